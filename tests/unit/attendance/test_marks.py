"""When people may say by hand that somebody was there."""

import pytest

from attendance_svc.domain.marks import check_rank, check_teacher_window
from tests.fakes.attendance import HOUR, MINUTE, MS, NINE, a_course


@pytest.mark.parametrize("presence", ["own", "other"])
@pytest.mark.parametrize(
    ("moment", "expected"),
    [(NINE - 15 * MINUTE - MS, "too_early"), (NINE - 15 * MINUTE, None), (NINE - 15 * MINUTE + MS, None)],
)
def test_teachers_may_begin_a_quarter_of_an_hour_early(moment, expected, presence):
    assert check_teacher_window(a_course(), moment, presence) == expected


@pytest.mark.parametrize(("after", "expected"), [(-MS, None), (0 * MS, None), (MS, "course_ended")])
def test_teachers_sign_until_the_end(after, expected):
    assert check_teacher_window(a_course(), NINE + HOUR + after, "own") == expected


@pytest.mark.parametrize(("after", "expected"), [(-MS, None), (0 * MS, None), (MS, "course_ended")])
def test_teachers_correct_for_a_day(after, expected):
    assert check_teacher_window(a_course(), NINE + 25 * HOUR + after, "other") == expected


def test_a_cancelled_course_is_not_marked_by_teachers():
    assert check_teacher_window(a_course(is_cancelled=True), NINE, "other") == "course_cancelled"


@pytest.mark.parametrize(
    ("actor", "judged_by", "expected"),
    [
        ("teacher", "admin", "decided_by_admin"),
        ("teacher", "teacher", None),
        ("teacher", None, None),
        ("admin", "admin", None),
        ("admin", "teacher", None),
    ],
)
def test_a_teacher_does_not_undo_an_admin(actor, judged_by, expected):
    assert check_rank(actor, judged_by) == expected
