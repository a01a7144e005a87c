"""A stream that ends otherwise than its relay left it: every case, decided from values alone."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from streams.entries import NOTHING, Head, Place, StreamId
from streams.ledger import Evidence, went_back
from streams.reconcile import Halt, Resume, StartOver, reconcile

INCARNATION = UUID(int=7)
NOW = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)


def place(pos, ms=None, hash_=None, incarnation=INCARNATION):
    return Place(
        incarnation=incarnation, pos=pos, ms=pos * 10 if ms is None else ms, hash=hash_ or bytes([pos % 256]) * 32
    )


def evidence(*, base=0, last=10, at=None, first_kept=1, floor=0):
    head = Head(base=place(base, ms=0), last=place(last), closed=None, now=NOW)
    return Evidence(head=head, at=at, first_kept=first_kept, floor=floor)


def resume(sent, pos, last):
    return Resume(incarnation=INCARNATION, sent=sent, pos=pos, last=last)


@pytest.mark.parametrize(
    ("found", "after"),
    [
        (evidence(), 0),
        (evidence(floor=4), 4),
        (evidence(floor=10), 9),
        (evidence(last=1, floor=1), 0),
        (evidence(base=1000, last=1000, first_kept=None), 1000),
        (evidence(base=1000, last=1003, first_kept=1001, floor=7), 1000),
        (evidence(first_kept=6), 5),
        (evidence(first_kept=None), 10),
    ],
    ids=[
        "from the start",
        "only what a stream shall hold",
        "at least the last entry",
        "also when it is the only one",
        "nothing sealed yet in this incarnation",
        "never into the incarnation before",
        "only what is not archived",
        "all is archived",
    ],
)
def test_an_empty_stream_is_filled(found, after):
    assert reconcile(NOTHING, found) == resume(NOTHING, after, None)


def test_a_stream_that_ends_with_the_log_goes_on_there():
    assert reconcile(StreamId(100, 10), evidence()) == resume(StreamId(100, 10), 10, place(10))


def test_a_stream_that_ends_with_an_earlier_entry_gets_the_rest():
    assert reconcile(StreamId(40, 4), evidence(at=place(4))) == resume(StreamId(40, 4), 4, place(4))


def test_the_last_entry_counts_even_when_its_row_is_archived():
    assert reconcile(StreamId(100, 10), evidence(first_kept=None)) == resume(StreamId(100, 10), 10, place(10))


@pytest.mark.parametrize("actual", [StreamId(110, 11), StreamId(5, 11), StreamId(2**60, 2**60)])
def test_a_stream_ahead_of_its_log_halts(actual):
    assert reconcile(actual, evidence()) == Halt("log_behind_stream")


@pytest.mark.parametrize(
    ("actual", "found"),
    [
        (StreamId(20, 2), evidence(first_kept=3)),
        (StreamId(20, 2), evidence(first_kept=None)),
        (StreamId(900, 999), evidence(base=1000, last=1002, first_kept=1001)),
        (StreamId(900, 1000), evidence(base=1000, last=1000, first_kept=None)),
    ],
    ids=["archived", "all archived", "of the incarnation before", "at the base of a new one"],
)
def test_a_stream_that_ends_before_all_that_is_kept_starts_over(actual, found):
    assert reconcile(actual, found) == StartOver()


@pytest.mark.parametrize("actual", [StreamId(41, 4), StreamId(101, 10), StreamId(0, 1)])
def test_an_entry_that_the_log_never_sealed_halts(actual):
    assert reconcile(actual, evidence(at=place(actual.pos))) == Halt("foreign_entry")


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (None, False),
        (place(9), False),
        (place(10), False),
        (place(11), True),
        (place(10, hash_=b"x" * 32), True),
        (place(11, incarnation=UUID(int=8)), False),
    ],
    ids=[
        "nothing seen",
        "more sealed since",
        "the same",
        "fewer entries",
        "another entry there",
        "another incarnation",
    ],
)
def test_a_log_went_back_when_it_lacks_what_a_stream_was_given(seen, lost):
    assert went_back(place(10), seen) is lost
