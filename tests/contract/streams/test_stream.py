"""Every stream is appended to by comparison and read from a place, real or fake."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from streams.append import Appended, Mismatch
from streams.chain import genesis, seal_after
from streams.codec import body_of
from streams.entries import NOTHING, Closed, Place
from tests.streams_builders import NINE, an_event

INCARNATION = UUID(int=7)
BASE = Place(incarnation=INCARNATION, pos=0, ms=0, hash=genesis("academics", 0, INCARNATION))
PROMISE = Closed(incarnation=INCARNATION, pos=2, t=NINE)


def a_log(count):
    entries, place = [], BASE
    for n in range(count):
        entries.append(seal_after(place, 0, 1000 + n // 2, body_of(an_event())))
        place = entries[-1].place
    return entries


LOG = a_log(5)


async def test_a_stream_that_is_not_there_is_empty(stream):
    writer, reader = stream

    assert await writer.append(None, (), None, 0) == Mismatch(NOTHING)
    assert await reader.look(NOTHING) == await reader.look(LOG[4].id)
    assert (await reader.look(NOTHING)).last == NOTHING
    assert await reader.read(NOTHING) == ()


async def test_what_was_appended_is_read_in_order_from_any_place(stream):
    writer, reader = stream

    assert await writer.append(NOTHING, LOG[:2], None, 0) == Appended()
    assert await writer.append(LOG[1].id, LOG[2:], None, 0) == Appended()

    assert await reader.read(NOTHING) == tuple(LOG)
    assert await reader.read(LOG[2].id) == tuple(LOG[3:])
    assert await reader.read(LOG[4].id) == ()


@pytest.mark.parametrize("text", ["", "\0", '"\\\n\x1f\x7f', "\u20ac \U0001f600 \ufb33", "\\u0000"], ids=ascii)
async def test_whatever_a_text_is_made_of_is_read_as_it_was_appended(stream, text):
    writer, reader = stream
    event = replace(an_event(colour=text, note=text), requestid=text)
    entry = seal_after(BASE, 0, 1000, body_of(event))

    assert await writer.append(NOTHING, [entry], None, 0) == Appended()

    assert await reader.read(NOTHING) == (entry,)


@pytest.mark.parametrize("expected", [None, NOTHING, LOG[0].id, LOG[2].id])
async def test_nothing_is_appended_to_a_stream_that_ends_otherwise(stream, expected):
    writer, reader = stream
    await writer.append(NOTHING, LOG[:2], None, 0)

    assert await writer.append(expected, LOG[2:], PROMISE, 0) == Mismatch(LOG[1].id)

    look = await reader.look(NOTHING)
    assert (look.entries, look.last, look.closed) == (tuple(LOG[:2]), LOG[1].id, None)


async def test_a_stream_may_begin_anywhere(stream):
    writer, reader = stream

    await writer.append(NOTHING, LOG[3:], None, 0)

    assert await reader.read(LOG[0].id) == tuple(LOG[3:])


async def test_a_look_shows_the_entries_the_end_and_the_promise(stream):
    writer, reader = stream
    await writer.append(NOTHING, LOG, PROMISE, 0)

    look = await reader.look(LOG[2].id)

    assert (look.entries, look.last, look.closed) == (tuple(LOG[3:]), LOG[4].id, PROMISE)


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (replace(PROMISE, pos=3, t=NINE + timedelta(microseconds=1)), "second"),
        (replace(PROMISE, pos=3, t=NINE - timedelta(microseconds=1)), "first"),
        (replace(PROMISE, incarnation=UUID(int=8), pos=1, t=NINE - timedelta(days=1)), "second"),
    ],
    ids=["a newer one", "an older one", "one of another incarnation"],
)
async def test_a_promise_is_replaced_by(stream, second, kept):
    writer, reader = stream
    await writer.append(NOTHING, LOG, PROMISE, 0)

    assert await writer.append(LOG[4].id, (), second, 0) == Appended()

    assert (await reader.look(NOTHING)).closed == {"first": PROMISE, "second": second}[kept]


async def test_a_deleted_stream_is_as_if_it_had_never_been(stream):
    writer, reader = stream
    await writer.append(NOTHING, LOG, PROMISE, 0)

    assert await writer.delete(LOG[3].id) == Mismatch(LOG[4].id)
    assert await writer.delete(LOG[4].id) == Appended()

    look = await reader.look(NOTHING)
    assert (look.entries, look.last, look.closed) == ((), NOTHING, None)
