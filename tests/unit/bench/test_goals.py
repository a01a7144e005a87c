from math import nan

import pytest

from tests.bench.goals import GOALS, Goal, Reading, judge, judge_all

FASTER = Goal(number="G1", says="more is better", must=2, aim=4, decides=True)
SOONER = Goal(number="G4", says="less is better", must=3, aim=2, better="less")


def a_verdict(goal, *values, fault="", is_quiet=True):
    return judge(goal, Reading(values=values, fault=fault), is_quiet=is_quiet).verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(4.0, "met aim"), (3.9, "met must"), (2.0, "met must"), (1.9, "missed")], ids=str
)
def test_more_must_reach_its_bounds(value, verdict):
    assert a_verdict(FASTER, value) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(2.0, "met aim"), (2.1, "met must"), (3.0, "met must"), (3.1, "missed")], ids=str
)
def test_less_must_stay_below_its_bounds(value, verdict):
    assert a_verdict(SOONER, value) == verdict


def test_the_middle_of_the_rounds_decides_and_the_worst_is_shown():
    more = judge(FASTER, Reading(values=[1.0, 4.0, 5.0]), is_quiet=True)
    less = judge(SOONER, Reading(values=[9.0, 2.0, 1.0]), is_quiet=True)

    assert (more.verdict, more.figure.worst) == ("met aim", 1.0)
    assert (less.verdict, less.figure.worst) == ("met aim", 9.0)


def test_a_fault_is_a_miss_however_good_the_figure_is():
    judged = judge(FASTER, Reading(values=[9.0], fault="3 errors"), is_quiet=True)

    assert (judged.verdict, judged.note, judged.fails) == ("missed", "3 errors", True)


def test_a_machine_that_others_use_judges_nothing_and_fails_nothing():
    judged = judge(FASTER, Reading(values=[0.1], fault="3 errors"), is_quiet=False)

    assert (judged.verdict, judged.figure.median, judged.fails) == ("not judged", 0.1, False)


@pytest.mark.parametrize("values", [[], [nan]], ids=str)
def test_what_has_no_number_was_not_measured(values):
    judged = judge(FASTER, Reading(values=values), is_quiet=True)

    assert (judged.verdict, judged.figure, judged.times_short) == ("not measured", None, None)


def test_only_a_goal_that_decides_fails_the_run():
    assert judge(FASTER, Reading(values=[1.0]), is_quiet=True).fails
    assert not judge(SOONER, Reading(values=[9.0]), is_quiet=True).fails


@pytest.mark.parametrize(("goal", "value", "times"), [(FASTER, 1.0, 4), (SOONER, 8.0, 4), (FASTER, 4.0, None)])
def test_the_way_to_the_aim_is_a_factor(goal, value, times):
    assert judge(goal, Reading(values=[value]), is_quiet=True).times_short == times


def test_every_goal_is_judged_in_order_whether_measured_or_not():
    judged = judge_all({"G6": Reading(values=[0.95])}, is_quiet=True)

    assert [each.goal for each in judged] == list(GOALS)
    assert {each.goal.number: each.verdict for each in judged if each.figure} == {"G6": "met must"}


def test_a_figure_for_a_goal_that_does_not_exist_is_noticed():
    with pytest.raises(KeyError, match="G99"):
        judge_all({"G99": Reading(values=[1.0])}, is_quiet=True)


def test_no_aim_is_easier_than_what_must_be():
    assert [goal.number for goal in GOALS if not goal.holds(goal.aim, goal.must)] == []


def test_a_value_is_shown_with_its_unit_and_few_digits():
    percent = Goal(number="G9", says="", must=45, aim=60, unit="%")

    assert [percent.shown(value) for value in (45, 5.424, 1234.5)] == ["45 %", "5.42 %", "1,234 %"]
    assert FASTER.shown(2.5) == "2.50"
