"""When signing closes, and what opens it again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from academics_svc.domain import (
    Course,
    Plan,
    Preferences,
    adapt_signing,
    check_plan,
    check_preferences,
    close_by_hand,
    due_at,
    expire,
    linked,
    open_by_hand,
    unlinked,
)
from contracts.ids import CourseId, SchoolId
from contracts.problems import ConflictError, InvalidInputError

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SCHOOL = SchoolId(uuid4())
MS = timedelta(milliseconds=1)


def after(minutes):
    return NINE + timedelta(minutes=minutes)


def a_course(**changes):
    usual = {"id": CourseId(uuid4()), "school_id": SCHOOL, "name": "Algebra", "start_at": NINE, "end_at": after(120)}
    return Course(**(usual | changes))


def some_preferences(**changes):
    return Preferences(id=uuid4(), school_id=SCHOOL, **changes)


def closed_by_job(course, preferences=None):
    return expire(course, preferences or some_preferences(), after(10_000))


def adapt(before, now, preferences=None, new_preferences=None, **changes):
    old = preferences or some_preferences()
    plan, new_plan = (
        Plan(course=before, preferences=old),
        Plan(course=replace(before, **changes), preferences=new_preferences or old),
    )
    return adapt_signing(plan, new_plan, now)


@pytest.mark.parametrize(
    ("course", "preferences", "due"),
    [
        ({}, {}, after(15)),
        ({"closing_delay_minutes": 40}, {}, after(40)),
        ({"closing_delay_minutes": 0}, {"late_grace_minutes": 5}, after(5)),
        ({}, {"default_signature_closing_delay_minutes": 600}, after(120)),
        ({"signing_open_until": after(90)}, {}, after(90)),
    ],
)
def test_signing_is_due_after_the_delay_and_grace_at_most_at_the_end_unless_reopened(course, preferences, due):
    assert due_at(a_course(**course), some_preferences(**preferences)) == due


@pytest.mark.parametrize(("now", "is_closed"), [(after(15) - MS, False), (after(15), True), (after(15) + MS, True)])
def test_the_job_closes_from_the_due_time_on(now, is_closed):
    closed = expire(a_course(), some_preferences(), now)

    assert (closed is not None) == is_closed


def test_the_job_records_the_nominal_time_however_late_it_comes():
    closed = expire(a_course(), some_preferences(), after(600))

    assert (closed.signature_closed_at, closed.closed_by) == (after(15), "job")


def test_the_job_ends_a_reopening_at_its_own_end():
    closed = expire(a_course(signing_open_until=after(60)), some_preferences(), after(61))

    assert (closed.signature_closed_at, closed.signing_open_until) == (after(60), None)


@pytest.mark.parametrize(
    "course",
    [a_course(cancelled=True), a_course(signature_closed_at=after(5), closed_by="hand")],
    ids=["cancelled", "closed"],
)
def test_the_job_leaves_cancelled_and_closed_courses_alone(course):
    assert expire(course, some_preferences(), after(600)) is None


def test_a_course_that_the_job_closed_opens_again_when_its_due_time_moves_past_now():
    opened = adapt(closed_by_job(a_course()), after(20), closing_delay_minutes=30)

    assert not opened.signature_closed
    assert opened.closed_by is None


@pytest.mark.parametrize("delay", [10, 15, 20])
def test_it_stays_closed_when_the_new_due_time_is_not_ahead(delay):
    assert adapt(closed_by_job(a_course()), after(20), closing_delay_minutes=delay).signature_closed


def test_a_later_default_of_the_school_opens_it_too():
    new = some_preferences(late_grace_minutes=30)

    assert not adapt(closed_by_job(a_course()), after(20), new_preferences=new).signature_closed


def test_what_a_hand_closed_stays_closed():
    assert adapt(close_by_hand(a_course(), after(5)), after(6), closing_delay_minutes=60).signature_closed


def test_an_unrelated_change_does_not_open_what_a_short_reopening_left_closed():
    reopened = open_by_hand(
        close_by_hand(a_course(closing_delay_minutes=60), after(5)),
        some_preferences(),
        until=after(20),
        now=after(10),
    )
    closed = expire(reopened, some_preferences(), after(21))

    assert adapt(closed, after(22), name="Geometry").signature_closed


def test_a_reopening_ends_with_the_course():
    assert adapt(a_course(signing_open_until=after(90)), after(30), end_at=after(60)).signing_open_until == after(60)


def test_a_reopening_gives_way_to_a_plan_that_goes_on_for_longer():
    moved = adapt(a_course(signing_open_until=after(90)), after(30), start_at=after(1440), end_at=after(1500))

    assert moved.signing_open_until is None


def test_a_reopening_never_ends_before_the_course_begins():
    before = a_course(signing_open_until=after(20), closing_delay_minutes=60)

    moved = adapt(before, after(15), start_at=after(30), end_at=after(120), closing_delay_minutes=20)

    assert moved.signing_open_until is None


def test_nor_when_it_would_end_with_the_first_moment_of_the_course():
    before = a_course(signing_open_until=after(30), closing_delay_minutes=60)

    moved = adapt(before, after(15), start_at=after(30), closing_delay_minutes=20)

    assert moved.signing_open_until is None


@pytest.mark.parametrize("changes", [{"closing_delay_minutes": 30}, {"name": "Geometry"}])
def test_a_reopening_stays_while_no_plan_goes_on_for_longer_than_before(changes):
    before = a_course(signing_open_until=after(30), closing_delay_minutes=20)

    assert adapt(before, after(12), **changes).signing_open_until == after(30)


def test_a_reopening_shorter_than_the_plan_outlives_an_unrelated_change():
    before = a_course(signing_open_until=after(20), closing_delay_minutes=60)

    assert adapt(before, after(12), name="Geometry").signing_open_until == after(20)


def test_closing_twice_keeps_the_first_time():
    closed = close_by_hand(a_course(), after(5))

    assert close_by_hand(closed, after(8)) == closed
    assert (closed.signature_closed_at, closed.closed_by) == (after(5), "hand")


def test_opening_before_the_planned_end_restores_the_plan():
    opened = open_by_hand(close_by_hand(a_course(), after(5)), some_preferences(), until=None, now=after(6))

    assert opened == a_course(id=opened.id)


def test_opening_after_the_planned_end_lasts_until_the_course_ends():
    opened = open_by_hand(closed_by_job(a_course()), some_preferences(), until=None, now=after(30))

    assert (opened.signature_closed, opened.signing_open_until) == (False, after(120))


@pytest.mark.parametrize("until", [after(30), after(29), after(120) + MS])
def test_a_reopening_ends_ahead_of_now_and_with_the_course_at_the_latest(until):
    with pytest.raises(InvalidInputError, match="until_out_of_range"):
        open_by_hand(closed_by_job(a_course()), some_preferences(), until=until, now=after(30))


def test_a_reopening_may_last_to_the_very_end():
    opened = open_by_hand(closed_by_job(a_course()), some_preferences(), until=after(120), now=after(30))

    assert opened.signing_open_until == after(120)


def test_what_is_open_as_planned_is_not_reopened_for_that_would_make_the_punctual_late():
    with pytest.raises(ConflictError, match="signing_is_open"):
        open_by_hand(a_course(), some_preferences(), until=after(60), now=after(5))

    assert open_by_hand(a_course(), some_preferences(), until=None, now=after(5)).signing_open_until is None


@pytest.mark.parametrize("now", [15, 16])
def test_what_is_due_but_not_closed_yet_may_be_reopened(now):
    opened = open_by_hand(a_course(), some_preferences(), until=after(60), now=after(now))

    assert opened.signing_open_until == after(60)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"end_at": NINE}, "end_not_after_start"),
        ({"end_at": NINE - MS}, "end_not_after_start"),
        ({"closing_delay_minutes": -1}, "minutes_out_of_range"),
        ({"closing_delay_minutes": 1441}, "minutes_out_of_range"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes, code):
    with pytest.raises(InvalidInputError, match=code):
        check_plan(a_course(**changes))


@pytest.mark.parametrize("minutes", [0, 1440])
def test_delays_of_up_to_a_day_are_taken(minutes):
    check_plan(a_course(closing_delay_minutes=minutes))
    check_preferences(some_preferences(late_grace_minutes=minutes))


def test_preferences_out_of_range_are_named():
    with pytest.raises(InvalidInputError) as refused:
        check_preferences(some_preferences(early_open_minutes=-1, late_grace_minutes=1441))

    assert refused.value.extra["fields"] == ["early_open_minutes", "late_grace_minutes"]


@pytest.mark.parametrize("kind", ["teacher", "group", "classroom"])
def test_linking_and_unlinking_cancel_out(kind):
    course, target = a_course(), uuid4()

    one = linked(course, kind, target)

    assert getattr(one, f"{kind}_ids") == {target}
    assert unlinked(one, kind, target) == course
