"""How much poison is an event's own fault, and how far a clock may jump."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.ledger import ClockJumpedError
from streams.parking import Limits
from streams.seal import ClockWatch

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)


def test_nine_in_a_row_may_be_chance_and_ten_are_not():
    limits = Limits()

    assert [limits.is_too_much() for _ in range(10)] == [False] * 9 + [True]


def test_a_good_event_ends_the_row():
    limits = Limits()
    for _ in range(9):
        limits.is_too_much()

    limits.note_good(1)

    assert not limits.is_too_much()


def test_one_in_twenty_of_the_last_two_hundred_may_be_poison_and_more_may_not():
    limits = Limits()
    for _ in range(10):
        limits.note_good(19)
        assert not limits.is_too_much()

    limits.note_good(1)

    assert limits.is_too_much()


def test_what_was_long_ago_is_forgotten():
    limits = Limits()
    for _ in range(10):
        limits.note_good(1)
        limits.is_too_much()

    limits.note_good(500)

    assert not limits.is_too_much()


class Stopwatch:
    """Seconds that a test lets pass."""

    s = 0.0

    def __call__(self):
        return self.s


@pytest.mark.parametrize("drift_s", [-59, 0, 59])
def test_clocks_may_drift(drift_s):
    stopwatch = Stopwatch()
    watch = ClockWatch(stopwatch)
    watch.check(NINE)
    stopwatch.s = 3600

    watch.check(NINE + timedelta(seconds=3600 + drift_s))


@pytest.mark.parametrize("jump_s", [-61, 61])
def test_a_jump_is_noticed_until_it_is_undone(jump_s):
    stopwatch = Stopwatch()
    watch = ClockWatch(stopwatch)
    watch.check(NINE)
    stopwatch.s = 10
    for _ in range(2):
        with pytest.raises(ClockJumpedError):
            watch.check(NINE + timedelta(seconds=10 + jump_s))

    watch.check(NINE + timedelta(seconds=10))


def test_a_slow_drift_over_a_year_is_no_jump():
    stopwatch = Stopwatch()
    watch = ClockWatch(stopwatch)
    for day in range(365):
        stopwatch.s = day * 86_400
        watch.check(NINE + timedelta(days=day, seconds=day))
