"""A relay's turn on fakes: what it seals, appends and refuses when something else is wrong."""

from uuid import UUID

import pytest

from streams.append import StreamDownError
from streams.chain import genesis, seal_after
from streams.entries import NOTHING, Place
from streams.ledger import LogWentBackError
from streams.relay import APPEND_LIMIT, HaltedError, ShardRelay
from tests.fakes.streams import MemoryLedger, MemoryLog, MemoryStream


@pytest.fixture
def log():
    return MemoryLog()


@pytest.fixture
def stream():
    return MemoryStream()


@pytest.fixture
def relay(log, stream):
    return ShardRelay(MemoryLedger(log), stream)


def positions(stream):
    return [entry.pos for entry in stream.entries]


async def test_while_the_stream_is_away_sealing_goes_on(log, stream, relay):
    stream.is_away = True
    log.pending.append(b"1")

    with pytest.raises(StreamDownError):
        await relay.turn()

    assert log.last.pos == 1
    stream.is_away = False
    await relay.turn()
    assert positions(stream) == [1]


async def test_a_turn_without_the_stream_only_seals(log, stream, relay):
    log.pending.append(b"1")

    await relay.turn(with_stream=False)

    assert log.last.pos == 1
    assert stream.entries == []


async def test_a_stream_ahead_of_its_log_is_found_before_anything_is_sealed(log, stream, relay):
    stream.last = replace_pos(NOTHING, 9)
    log.pending.append(b"1")

    with pytest.raises(HaltedError, match="log_behind_stream"):
        await relay.turn()

    assert log.last.pos == 0


def replace_pos(id_, pos):
    return id_._replace(ms=pos, pos=pos)


async def test_a_halted_shard_stays_halted_while_redis_is_away(log, stream, relay):
    stream.last = replace_pos(NOTHING, 9)
    with pytest.raises(HaltedError):
        await relay.turn()
    stream.is_away = True
    log.pending.append(b"1")

    with pytest.raises(HaltedError):
        await relay.turn()

    assert log.last.pos == 0


async def test_a_halted_shard_goes_on_by_itself_once_the_stream_is_gone(log, stream, relay):
    stream.last = replace_pos(NOTHING, 9)
    with pytest.raises(HaltedError):
        await relay.turn()
    stream.last = NOTHING
    log.pending.append(b"1")

    await relay.turn()

    assert positions(stream) == [1]


async def test_what_the_stream_was_given_is_remembered_when_the_stream_forgot_it(log, stream, relay):
    log.pending.append(b"1")
    await relay.turn()
    stream.entries, stream.last = [], NOTHING
    log.entries, log.last = [], log.base
    log.pending.append(b"2")

    with pytest.raises(LogWentBackError):
        await relay.turn()


async def test_a_log_with_another_past_under_the_same_positions_halts(log, stream, relay):
    log.pending.append(b"1")
    await relay.turn()
    other = seal_after(log.base, 0, log.last.ms, b"another")
    log.entries = [other, seal_after(other.place, 0, log.last.ms, b"2")]
    log.last = log.entries[-1].place

    with pytest.raises(HaltedError, match="chain_broken"):
        await relay.turn()
    log.pending.append(b"3")
    with pytest.raises(HaltedError, match="chain_broken"):
        await relay.turn()

    assert positions(stream) == [1]
    assert log.pending == [b"3"]


async def test_a_new_incarnation_is_followed(log, stream, relay):
    log.pending.append(b"1")
    await relay.turn()
    stream.entries, stream.last, stream.closed = [], NOTHING, None
    incarnation = UUID(int=8)
    log.base = log.last = Place(incarnation=incarnation, pos=1001, ms=log.last.ms, hash=genesis("a", 0, incarnation))
    log.closed = None
    log.pending.append(b"2")

    while await relay.turn():
        pass

    assert positions(stream) == [1002]
    assert stream.closed.incarnation == incarnation


async def test_an_archived_beginning_is_not_missed(log, stream, relay):
    log.pending += [b"1", b"2", b"3"]
    await relay.turn()
    log.entries = log.entries[2:]
    stream.entries, stream.last = [], NOTHING

    while await relay.turn():
        pass

    assert positions(stream) == [3]


async def test_a_stream_from_before_all_that_is_kept_is_made_anew(log, stream, relay):
    log.pending += [b"1", b"2", b"3"]
    await relay.turn()
    stream.entries, stream.last = stream.entries[:1], stream.entries[0].id
    log.entries = log.entries[2:]

    while await relay.turn():
        pass

    assert positions(stream) == [3]


async def test_nothing_is_promised_by_a_relay_that_nobody_copies(log, stream):
    log.pending.append(b"1")

    await ShardRelay(MemoryLedger(log), stream, watermarks=False).turn()

    assert stream.closed is None


async def test_nothing_is_promised_about_what_is_not_appended_yet(log, stream, relay):
    log.pending += [str(n).encode() for n in range(APPEND_LIMIT + 50)]
    await relay.turn(with_stream=False)
    await relay.turn(with_stream=False)

    await relay.turn()
    assert (positions(stream)[-1], stream.closed) == (APPEND_LIMIT, None)

    await relay.turn()
    assert (positions(stream)[-1], stream.closed.pos) == (APPEND_LIMIT + 50, APPEND_LIMIT + 50)


async def test_what_was_found_is_counted(log, stream, relay):
    log.pending.append(b"1")
    await relay.turn()

    assert relay.found == {"empty": 1}
    assert (relay.sealed_pos, relay.appended_pos) == (1, 1)


class LostBetween(MemoryStream):
    """Says where it ends, and is away when it is to be given something."""

    async def append(self, expected, entries, closed, keep_from_ms):
        self.is_away = bool(entries)
        return await super().append(expected, entries, closed, keep_from_ms)


async def test_a_log_that_went_back_before_its_flushed_stream_was_given_anything_fills_it():
    log, stream = MemoryLog(keep=1), LostBetween()
    relay = ShardRelay(MemoryLedger(log), stream)
    log.pending += [b"1", b"2", b"3", b"4", b"5"]
    await relay.turn(with_stream=False)
    with pytest.raises(StreamDownError):
        await relay.turn()
    del log.entries[3:]
    log.last, log.closed, stream.is_away = log.entries[-1].place, None, False
    stream.__class__ = MemoryStream

    for _ in range(4):
        await relay.turn()

    assert positions(stream) == [3]
