"""Every checkpoint moves with its effects, once, and only for its owner, real or fake."""

from datetime import timedelta
from uuid import UUID

import pytest

from streams.chain import genesis, seal_after
from streams.checkpoint import FencedError, MovedError
from streams.codec import body_of
from streams.entries import Head, Place
from tests.streams_builders import NINE, an_event

INCARNATION = UUID(int=7)
BASE = Place(incarnation=INCARNATION, pos=0, ms=0, hash=genesis("academics", 0, INCARNATION))
HEAD = Head(base=BASE, last=BASE, closed=None, now=NINE + timedelta(hours=1))


def a_log(count):
    entries, place = [], BASE
    for n in range(count):
        entries.append(seal_after(place, 0, 1000 + n, body_of(an_event())))
        place = entries[-1].place
    return entries


LOG = a_log(4)


@pytest.fixture
async def sink(seat):
    made = seat.sink()
    await made.start_anew(HEAD, "new")
    return made


async def test_a_new_consumer_starts_anew_at_the_base(seat):
    sink = seat.sink()

    assert await sink.standing() == "anew"
    await sink.start_anew(HEAD, "new")

    assert await sink.standing() == BASE


async def test_effects_and_place_move_together(seat, sink):
    await sink.apply(BASE, LOG[:2])
    await sink.apply(LOG[1].place, LOG[2:3])

    assert await sink.standing() == LOG[2].place
    assert await seat.effects() == [1, 2, 3]


async def test_a_repeat_has_no_effect(seat, sink):
    await sink.apply(BASE, LOG[:2])

    with pytest.raises(MovedError):
        await sink.apply(BASE, LOG[:2])

    assert await seat.effects() == [1, 2]


async def test_who_was_taken_over_writes_nothing(seat, sink):
    await sink.apply(BASE, LOG[:1])
    await seat.take_over()

    with pytest.raises(MovedError):
        await sink.apply(LOG[0].place, LOG[1:])
    with pytest.raises(FencedError):
        await sink.standing()
    with pytest.raises(FencedError):
        await sink.start_anew(HEAD, "forked")

    assert await seat.effects() == [1]


async def test_starting_anew_empties_the_copy(seat, sink):
    await sink.apply(BASE, LOG)

    await sink.start_anew(HEAD, "forked")

    assert await seat.effects() == []
    assert await sink.standing() == BASE


async def test_a_halted_consumer_says_so(sink):
    await sink.halt("log_damaged")

    assert await sink.standing() == "halted"
