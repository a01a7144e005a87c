"""What a reader may believe of a stream: only what continues its own place."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from streams.chain import genesis, seal_after
from streams.continuity import Behind, Look, NothingNew, Proved, Run, check, judge, sound
from streams.entries import NOTHING, Closed, Damaged, Place, StreamId

INCARNATION = UUID(int=7)
BASE = Place(incarnation=INCARNATION, pos=0, ms=0, hash=genesis("academics", 0, INCARNATION))
NOW = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)


def a_log(count, after=BASE):
    entries = []
    for n in range(count):
        entries.append(seal_after(after, 0, 100 + n, b"{}"))
        after = entries[-1].place
    return entries


LOG = a_log(5)
HERE = LOG[1].place


def closed(pos, incarnation=INCARNATION):
    return Closed(incarnation=incarnation, pos=pos, t=NOW)


def look(entries=(), last=LOG[-1].id, promise=None):
    return Look(entries=tuple(entries), last=last, closed=promise)


def test_entries_that_continue_the_place_are_taken():
    assert check(HERE, LOG[2:]) == Run(entries=tuple(LOG[2:]))


@pytest.mark.parametrize(
    ("entries", "trouble", "upto"),
    [
        ([replace(LOG[2], incarnation=UUID(int=8))], "incarnation", None),
        ([LOG[0]], "behind", None),
        ([LOG[1]], "behind", None),
        ([LOG[4]], "gap", 4),
        ([replace(LOG[2], prev_hash=bytes(32))], "broken", 3),
        ([Damaged(id=LOG[2].id, reason="commit")], "broken", 3),
        ([Damaged(id=LOG[4].id, reason="commit")], "gap", 4),
        ([Damaged(id=LOG[0].id, reason="commit")], "behind", None),
    ],
    ids=[
        "of another incarnation",
        "before the place",
        "the place itself",
        "some are missing",
        "on another chain",
        "not as sealed",
        "not as sealed, after a gap",
        "not as sealed, before the place",
    ],
)
def test_what_does_not_continue_the_place_is_not(entries, trouble, upto):
    assert check(HERE, entries) == Run(entries=(), trouble=trouble, upto=upto)


def test_what_comes_before_the_trouble_is_taken():
    assert check(HERE, [LOG[2], LOG[4], LOG[3]]) == Run(entries=(LOG[2],), trouble="gap", upto=4)


def test_a_promise_is_proved_at_the_end_of_the_stream():
    assert judge(HERE, look(last=HERE.id, promise=closed(2))) == Proved(closed(2))


def test_a_promise_is_proved_by_the_entry_that_follows():
    assert judge(HERE, look(LOG[2:], promise=closed(1))) == Proved(closed(1))


@pytest.mark.parametrize(
    "look_",
    [
        look(last=HERE.id, promise=None),
        look(last=HERE.id, promise=closed(2, UUID(int=8))),
        look(last=NOTHING, promise=closed(2)),
        look(last=LOG[0].id, promise=closed(1)),
        look([replace(LOG[2], prev_hash=bytes(32))], promise=closed(2)),
        look([LOG[3]], promise=closed(2)),
        look(LOG[2:], promise=closed(3)),
    ],
    ids=[
        "no promise",
        "a promise of another incarnation",
        "a flushed stream",
        "a stream that lost its tail",
        "an entry of another chain",
        "a gap",
        "a promise about more than is applied",
    ],
)
def test_nothing_is_proved_by(look_):
    assert judge(HERE, look_) == NothingNew()


@pytest.mark.parametrize(
    ("look_", "upto"),
    [
        (look(last=LOG[4].id), 5),
        (look(last=HERE.id, promise=closed(4)), 4),
        (look(last=LOG[3].id, promise=closed(3)), 4),
        (look(last=StreamId(1, 3)), 3),
    ],
    ids=["the tail was trimmed", "the promise knows more", "both", "an end that sorts before the place"],
)
def test_a_stream_that_ought_to_have_more_is_read_from_the_log(look_, upto):
    assert judge(HERE, look_) == Behind(upto)


def test_entries_of_the_log_are_held_against_themselves_too():
    assert sound(HERE, LOG[2:])
    assert not sound(HERE, [replace(LOG[2], body=b"{ }")])
    assert not sound(HERE, [replace(LOG[2], ms=1)])
    assert not sound(HERE, LOG[3:])
