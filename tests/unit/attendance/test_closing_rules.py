from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from attendance_svc.domain.attempts import Course, Preferences
from attendance_svc.domain.closing import (
    ClosingTimer,
    CourseOutline,
    Sheet,
    SheetCount,
    count_sheet,
    decide_sheet,
    decide_timer,
    due_of,
    is_settled,
    next_look,
    retry_at,
)
from contracts.ids import CourseId, SchoolId, StudentId

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DUE = NINE + 15 * MINUTE
ANNA, BEN, CARLA, DINA = (StudentId(UUID(int=n)) for n in (1, 2, 3, 4))
PREFERENCES = Preferences()


def a_course(**changes) -> Course:
    usual = {
        "id": CourseId(UUID(int=10)),
        "school_id": SchoolId(UUID(int=11)),
        "start_at": NINE,
        "end_at": NINE + 60 * MINUTE,
        "closing_delay": 15 * MINUTE,
    }
    return Course(**(usual | changes))


def a_timer(state="armed", due_at=DUE, **changes) -> ClosingTimer:
    return ClosingTimer(state=state, due_at=due_at, **({"next_at": due_at} | changes))


TRIED = a_timer("firing", next_at=DUE + MINUTE, attempts=5)


@pytest.mark.parametrize(
    ("course", "preferences", "due_at"),
    [
        (a_course(), PREFERENCES, DUE),
        (a_course(), Preferences(late_grace=5 * MINUTE), DUE + 5 * MINUTE),
        (a_course(end_at=NINE + 10 * MINUTE), PREFERENCES, NINE + 10 * MINUTE),
        (a_course(open_until=NINE + 40 * MINUTE), PREFERENCES, NINE + 40 * MINUTE),
        (a_course(is_closed=True, closed_at=NINE + MINUTE), PREFERENCES, DUE),
    ],
    ids=["delay", "delay and grace", "the end comes first", "reopened until", "closed by hand before"],
)
def test_signing_is_due_to_close_by_the_plan(course, preferences, due_at):
    assert due_of(course, preferences) == due_at


@pytest.mark.parametrize(
    "standing", [None, a_timer("done"), a_timer("cancelled")], ids=["new", "reopened", "taken up again"]
)
def test_an_open_course_without_a_running_timer_arms_one(standing):
    assert decide_timer(standing, a_course(), PREFERENCES) == a_timer()


@pytest.mark.parametrize("standing", [a_timer(), TRIED])
def test_a_change_that_leaves_the_due_time_leaves_the_timer_with_its_tries(standing):
    assert decide_timer(standing, a_course(is_online=True, version=7), PREFERENCES) is standing


@pytest.mark.parametrize("standing", [a_timer(), TRIED])
@pytest.mark.parametrize("moved", [-5 * MINUTE, -timedelta(microseconds=1), timedelta(seconds=1)])
def test_a_moved_due_time_arms_the_timer_anew(standing, moved):
    course = a_course(closing_delay=15 * MINUTE + moved)

    assert decide_timer(standing, course, PREFERENCES) == a_timer(due_at=DUE + moved)


@pytest.mark.parametrize("standing", [None, a_timer(), TRIED, a_timer("done")])
def test_only_the_word_of_academics_that_it_closed_ends_a_timer(standing):
    timer = decide_timer(standing, a_course(is_closed=True, closed_at=DUE), PREFERENCES)

    assert (timer.state, timer.is_running) == ("done", False)


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_cancelled_course_needs_no_timer(is_closed):
    timer = decide_timer(TRIED, a_course(is_cancelled=True, is_closed=is_closed), PREFERENCES)

    assert (timer.state, timer.is_running) == ("cancelled", False)


@pytest.mark.parametrize(("attempts", "pause_s"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (100_000, 60)])
def test_tries_come_further_apart_up_to_a_minute(attempts, pause_s):
    assert retry_at(NINE, attempts) == NINE + timedelta(seconds=pause_s)


def test_a_sheet_counts_everybody_expected_by_the_best_that_became_of_them():
    signatures = [
        (ANNA, "REFUSED"),
        (ANNA, "ACCEPTED"),
        (BEN, "PENDING"),
        (BEN, "LATE"),
        (CARLA, "PENDING"),
        (CARLA, "REFUSED"),
        (DINA, "REFUSED"),
    ]
    eva = StudentId(UUID(int=5))

    count = count_sheet([ANNA, BEN, CARLA, eva, DINA], signatures)

    assert count == SheetCount(expected=5, accepted=1, late=1, pending=1, refused=1, absent_ids=(DINA, eva))


def test_somebody_who_is_not_expected_is_not_counted():
    assert count_sheet([], [(ANNA, "ACCEPTED")]) == SheetCount(
        expected=0, accepted=0, late=0, pending=0, refused=0, absent_ids=()
    )


def a_sitting(**changes) -> CourseOutline:
    course = a_course()
    return CourseOutline(**({"id": course.id, "school_id": course.school_id, "end_at": course.end_at} | changes))


ALL_THERE = count_sheet([ANNA], [(ANNA, "ACCEPTED")])
ONE_PENDING = count_sheet([ANNA], [(ANNA, "PENDING")])
ONE_ABSENT = count_sheet([ANNA], [])
END = a_sitting().end_at
SETTLED = Sheet(version=1, settled_end_at=END, published=replace(ALL_THERE, provisional=False))


@pytest.mark.parametrize(
    ("sheet", "course", "news"),
    [
        (Sheet(), a_sitting(), None),
        (Sheet(), a_sitting(is_closed=True), "closed"),
        (Sheet(settled_end_at=END), a_sitting(), "closed"),
        (Sheet(settled_end_at=END), a_sitting(end_at=END + MINUTE), None),
    ],
    ids=["open", "closed", "over", "extended after it was over"],
)
def test_the_first_sheet_comes_when_signing_is_closed(sheet, course, news):
    assert decide_sheet(sheet, course, ONE_ABSENT, END)[0] == news


@pytest.mark.parametrize(
    ("count", "after_end", "news", "provisional"),
    [
        (ALL_THERE, timedelta(0), "final", False),
        (ONE_PENDING, timedelta(0), "revised", True),
        (ONE_ABSENT, timedelta(0), "revised", True),
        (ONE_ABSENT, timedelta(hours=24, microseconds=-1), "revised", True),
        (ONE_ABSENT, timedelta(hours=24), "final", False),
        (ONE_PENDING, timedelta(hours=24), "final", True),
    ],
)
def test_a_sheet_is_final_when_nothing_can_change_by_itself_or_a_day_after_the_end(count, after_end, news, provisional):
    said, said_count = decide_sheet(SETTLED, a_sitting(), count, END + after_end)

    assert (said, said_count) == (news, replace(count, provisional=provisional))


def test_a_sheet_is_not_final_before_the_course_was_settled():
    sheet = Sheet(version=1, published=replace(ALL_THERE, provisional=False))

    assert decide_sheet(sheet, a_sitting(is_closed=True), ALL_THERE, END + timedelta(days=3))[0] is None


@pytest.mark.parametrize(("count", "news"), [(ALL_THERE, None), (ONE_PENDING, "revised")])
def test_after_it_was_final_a_sheet_is_revised_when_it_says_something_new(count, news):
    assert decide_sheet(replace(SETTLED, is_final=True), a_sitting(), count, END + timedelta(days=3))[0] == news


@pytest.mark.parametrize(
    ("sheet", "at"),
    [
        (Sheet(), END),
        (Sheet(version=3, settled_end_at=END - MINUTE), END),
        (SETTLED, END + timedelta(hours=24)),
        (replace(SETTLED, is_final=True), None),
    ],
    ids=["open", "extended", "settled", "final"],
)
def test_a_sheet_is_looked_at_when_the_clock_alone_can_change_it(sheet, at):
    assert next_look(sheet, a_sitting()) == at


def test_a_course_that_was_extended_is_not_settled_any_more():
    assert is_settled(SETTLED, a_sitting())
    assert not is_settled(SETTLED, a_sitting(end_at=END + timedelta(microseconds=1)))
