"""What a report counts."""

from datetime import timedelta

import pytest

from attendance_svc.domain.reports import Found, Tally, is_over, state_of, tally
from tests.fakes.attendance import MS, NINE

NOTHING = {"expected": 0, "accepted": 0, "late": 0, "pending": 0, "refused": 0, "absent": 0, "awaited": 0}


@pytest.mark.parametrize(("after_end", "over"), [(-MS, False), (timedelta(0), False), (MS, True)])
def test_a_course_is_over_when_nobody_can_sign_any_more(after_end, over):
    assert is_over(NINE, NINE + after_end) is over


@pytest.mark.parametrize("over", [True, False])
@pytest.mark.parametrize("status", ["ACCEPTED", "LATE", "PENDING"])
def test_what_counts_is_the_state(status, over):
    assert state_of(status, is_over=over) == status


@pytest.mark.parametrize("status", [None, "REFUSED"])
def test_whom_nothing_counts_for_is_absent_when_the_course_is_over(status):
    assert state_of(status, is_over=True) == "ABSENT"
    assert state_of(status, is_over=False) == "AWAITED"


@pytest.mark.parametrize(
    ("found", "counted"),
    [
        (Found(status="ACCEPTED", is_over=True, count=2), {"expected": 2, "accepted": 2}),
        (Found(status="LATE", is_over=False), {"expected": 1, "late": 1}),
        (Found(status="PENDING", is_over=True), {"expected": 1, "pending": 1}),
        (Found(status="REFUSED", is_over=True, count=3), {"expected": 3, "absent": 3, "refused": 3}),
        (Found(status="REFUSED", is_over=False), {"expected": 1, "awaited": 1, "refused": 1}),
        (Found(status=None, is_over=True), {"expected": 1, "absent": 1}),
        (Found(status=None, is_over=False, count=4), {"expected": 4, "awaited": 4}),
    ],
)
def test_each_course_is_counted_once(found, counted):
    assert tally([found]) == Tally(**(NOTHING | counted))


def test_counts_add_up():
    found = [
        Found(status=status, is_over=over, count=2 ** (2 * place + over))
        for place, status in enumerate(("ACCEPTED", "LATE", "PENDING", "REFUSED", None))
        for over in (False, True)
    ]

    counted = tally(found)

    assert counted == Tally(
        expected=1023, accepted=3, late=12, pending=48, refused=192, absent=128 + 512, awaited=64 + 256
    )
    assert tally([]) == Tally(**NOTHING)
