"""How far the copy must be beyond a moment: by the clocks, as they were compared."""

from datetime import timedelta
from uuid import uuid4

from attendance_svc.domain.bearings import WRITE_BOUND, Bearings
from tests.fakes.attendance import MINUTE, MS, NINE


def heard(bearings, at=NINE, *, ahead=0, took=0):
    """Ask for the time at `at`: their clock is `ahead` of ours and the answer took so long, in ms."""
    theirs = at + took * MS / 2 + ahead * MS
    return bearings.note_clock(theirs, sent_at=at, heard_at=at + took * MS)


def test_before_the_clocks_were_compared_nothing_is_certain():
    assert (Bearings().offset(), Bearings().margin()) == (None, None)


def test_the_margin_is_the_offset_and_what_a_write_may_take():
    bearings = Bearings()
    heard(bearings, ahead=40)

    assert bearings.margin() == 40 * MS + WRITE_BOUND


def test_a_clock_behind_counts_like_one_ahead():
    bearings = Bearings()
    heard(bearings, ahead=-40)

    assert bearings.offset() == 40 * MS


def test_half_of_what_the_question_took_may_be_wrong():
    bearings = Bearings()
    reading = heard(bearings, ahead=40, took=60)

    assert (bearings.offset(), reading.at_least, reading.at_most) == (70 * MS, 10 * MS, 70 * MS)


def test_a_slow_answer_proves_no_difference():
    reading = heard(Bearings(), ahead=40, took=1_000)

    assert reading.at_least == timedelta(0)


def test_the_largest_of_the_last_ten_minutes_counts():
    bearings = Bearings()
    for minute, ahead in enumerate((10, 300, 20, 30)):
        heard(bearings, NINE + minute * MINUTE, ahead=ahead)

    assert bearings.offset() == 300 * MS
    heard(bearings, NINE + 11 * MINUTE, ahead=5)
    assert bearings.offset() == 300 * MS
    heard(bearings, NINE + 11 * MINUTE + MS, ahead=5)
    assert bearings.offset() == 30 * MS


def test_what_was_learnt_last_counts_while_academics_is_away():
    bearings = Bearings()
    heard(bearings, ahead=10)
    heard(bearings, NINE + 300 * MINUTE, ahead=7)

    assert bearings.offset() == 7 * MS


def test_a_question_during_which_our_own_clock_was_set_back_says_nothing():
    bearings = Bearings()

    assert bearings.note_clock(NINE, sent_at=NINE, heard_at=NINE - MS) is None
    assert bearings.offset() is None


def test_much_is_asked_and_little_is_kept():
    bearings = Bearings()
    for second in range(10_000):
        heard(bearings, NINE + timedelta(seconds=second), ahead=10_000 - second)

    assert len(bearings._bounds) <= 601


def test_another_log_than_the_one_that_academics_writes_is_not_current():
    bearings, old, new = Bearings(), uuid4(), uuid4()
    assert bearings.is_current(0, old)

    bearings.note_log(0, new)

    assert [bearings.is_current(0, old), bearings.is_current(0, new), bearings.is_current(1, old)] == [
        False,
        True,
        True,
    ]
    assert not bearings.is_current(1, None)
