"""What is committed gets into the stream: all of it, once, in order, whatever became of Redis."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest

from streams.append import Appended, Appender, Mismatch, RedisStreamWriter
from streams.codec import read_entry
from streams.entries import NOTHING, StreamId, parse_stream_id
from streams.ledger import LogWentBackError
from streams.redis_client import writer_client
from streams.seal import ClockWatch, PostgresLedger, Sealer, Wish, extend, prepare_runs
from tests.streams_builders import SCHOOLS, SOURCE
from tests.waiting import until

KEY = "{academics:0}:ev"


async def stream(redis):
    entries = [read_entry(parse_stream_id(id_.decode()), fields) for id_, fields in await redis.xrange(KEY)]
    return [(entry.pos, entry.body) for entry in entries]


async def log(pool):
    return [tuple(row) for row in await pool.fetch("SELECT pos, body FROM streams_log WHERE shard = 0 ORDER BY pos")]


async def all_turns(relay):
    while await relay.turn():
        pass


async def test_what_was_written_is_in_the_stream_byte_for_byte(pool, redis, writer, relay):
    events = [writer.next() for _ in range(3)]
    await writer.write(*events)
    pending = [row["body"] for row in await pool.fetch("SELECT body FROM streams_pending ORDER BY id")]

    await all_turns(relay())

    assert await stream(redis) == [(1, pending[0]), (2, pending[1]), (3, pending[2])]
    assert await log(pool) == await stream(redis)


async def test_a_rolled_back_writer_leaves_no_hole(pool, redis, writer, relay):
    await writer.paint()
    with pytest.raises(ZeroDivisionError):
        async with pool.acquire() as connection, connection.transaction():
            await writer.outbox.add(connection, writer.next())
            raise ZeroDivisionError
    await writer.paint()

    await all_turns(relay())

    assert [pos for pos, _ in await stream(redis)] == [1, 2]


async def test_a_long_writer_holds_nobody_up_and_is_sealed_later(pool, redis, writer, relay):
    one = relay()
    async with pool.acquire() as connection, connection.transaction():
        slow = writer.next()
        await writer.outbox.add(connection, slow)
        await writer.paint(2)
        await all_turns(one)
        assert len(await stream(redis)) == 2

    await all_turns(one)

    assert str(slow.id).encode() in (await stream(redis))[-1][1]


async def test_racing_relays_give_no_position_twice_and_append_nothing_twice(pool, redis, writer, relay):
    for _ in range(20):
        await writer.paint(10, room=uuid4())

    await asyncio.gather(*(all_turns(relay()) for _ in range(4)))
    await all_turns(relay())

    assert [pos for pos, _ in await stream(redis)] == list(range(1, 201))
    assert await log(pool) == await stream(redis)


async def test_while_one_relay_seals_another_takes_nothing_and_promises_nothing(pool, writer):
    await writer.paint(3)
    before = await pool.fetchrow("SELECT * FROM streams_shard WHERE shard = 0")
    async with pool.acquire() as sealing, sealing.transaction():
        await sealing.execute("SELECT FROM streams_shard WHERE shard = 0 FOR UPDATE")

        assert await PostgresLedger(pool=pool, shard=0).seal(limit=10, seen=None) is None

    assert await pool.fetchrow("SELECT * FROM streams_shard WHERE shard = 0") == before
    assert await pool.fetchval("SELECT count(*) FROM streams_pending") == 3


async def test_shards_that_ask_together_are_sealed_in_one_transaction(pool, writer):
    sealer = Sealer(pool)
    for shard in (0, 2):
        await writer.paint(3, school=SCHOOLS[shard])
    ledgers = [PostgresLedger(pool=pool, shard=shard, sealer=sealer) for shard in (0, 1, 2)]

    sealed = await asyncio.gather(*(ledger.seal(limit=10, seen=None) for ledger in ledgers))

    assert [(each.count, each.drained) for each in sealed] == [(3, True), (0, True), (3, True)]
    assert await pool.fetchval("SELECT count(DISTINCT xmin::text) FROM streams_log") == 1
    assert [len(await ledger.entries_after(0, 10)) for ledger in ledgers] == [3, 0, 3]


async def test_shards_that_have_fallen_behind_are_sealed_two_by_two(pool, writer):
    """So that the streams of two are given what these have, while the other two are sealed."""
    sealer = Sealer(pool)
    for shard in range(4):
        await writer.paint(2, school=SCHOOLS[shard])
    ledgers = [PostgresLedger(pool=pool, shard=shard, sealer=sealer) for shard in range(4)]

    for _ in range(2):
        await asyncio.gather(*(ledger.seal(limit=1, seen=None) for ledger in ledgers))

    rows = await pool.fetch("SELECT pos, count(DISTINCT xmin::text) FROM streams_log GROUP BY pos ORDER BY pos")
    assert [tuple(row) for row in rows] == [(1, 1), (2, 2)]


async def test_a_shard_that_may_not_go_on_does_not_hold_up_those_it_is_sealed_with(pool, writer):
    sealer = Sealer(pool)
    await writer.paint(3, school=SCHOOLS[1])
    good, bad = (PostgresLedger(pool=pool, shard=shard, sealer=sealer) for shard in (1, 0))
    ahead = replace((await bad.head()).last, pos=7)

    sealed, refused = await asyncio.gather(
        good.seal(limit=10, seen=None), bad.seal(limit=10, seen=ahead), return_exceptions=True
    )

    assert sealed.count == 3
    assert isinstance(refused, LogWentBackError)


async def test_shards_with_news_at_the_same_moment_share_a_round_trip(redis_url, redis):
    """Also when Redis was restarted and has forgotten the script; one that ends otherwise hears it alone."""
    expected = [NOTHING, StreamId(1, 1), NOTHING]
    async with writer_client(redis_url) as client:
        appender = Appender(client)
        writers = [RedisStreamWriter(client, source=SOURCE, shard=shard, appender=appender) for shard in range(3)]
        for _ in range(2):
            await redis.script_flush()
            pairs = zip(writers, expected, strict=True)
            ends = await asyncio.gather(*(writer.append(end, (), None, 0) for writer, end in pairs))

            assert ends == [Appended(), Mismatch(NOTHING), Appended()]
        assert len(await redis.client_list()) == 2  # the client's one connection, and the test's


async def test_a_flushed_stream_is_filled_again_with_the_same_ids(redis, writer, relay):
    one = relay()
    await writer.paint(5)
    await all_turns(one)
    before = await redis.xrange(KEY)

    await redis.flushall()
    await all_turns(one)

    assert await redis.xrange(KEY) == before


async def test_a_relay_that_another_one_overtook_adds_nothing(pool, writer):
    """Nor does it hold up the shards that it seals together with the one that has moved on."""
    for shard in (0, 1):
        await writer.paint(3, school=SCHOOLS[shard])
    wishes = [Wish(shard=shard, limit=10, seen=None, clock=ClockWatch()) for shard in (0, 1)]
    async with pool.acquire() as connection:
        runs = await prepare_runs(connection, wishes)
        await PostgresLedger(pool=pool, shard=0).seal(limit=2, seen=None)

        assert await extend(connection, runs) == {1}

    logs = await pool.fetch("SELECT shard, max(pos) AS last, count(*) FROM streams_log GROUP BY shard ORDER BY shard")
    assert [tuple(row) for row in logs] == [(0, 2, 2), (1, 3, 3)]
    assert await pool.fetchval("SELECT count(*) FROM streams_pending") == 1


async def test_an_event_that_is_gone_when_it_is_to_be_sealed_seals_nothing(pool, writer):
    await writer.paint(3)
    async with pool.acquire() as connection:
        runs = await prepare_runs(connection, [Wish(shard=0, limit=10, seen=None, clock=ClockWatch())])
        await connection.execute("DELETE FROM streams_pending WHERE id = (SELECT min(id) FROM streams_pending)")

        with pytest.raises(asyncpg.DivisionByZeroError):
            await extend(connection, runs)

    assert await pool.fetchval("SELECT last_pos FROM streams_shard WHERE shard = 0") == 0
    assert await log(pool) == []


async def test_a_promise_never_falls_whoever_made_it(pool):
    """Not even where another relay promised in between, and the log ends where it did."""
    wish = Wish(shard=0, limit=10, seen=None, clock=ClockWatch())
    ledger = PostgresLedger(pool=pool, shard=0)
    async with pool.acquire() as connection:
        runs = await prepare_runs(connection, [wish])
        await ledger.seal(limit=10, seen=None)
        newer = (await ledger.head()).closed

        assert await extend(connection, runs) == {0}

    assert (await ledger.head()).closed == newer


async def test_a_stream_that_lost_its_tail_gets_exactly_the_tail_again(redis, writer, relay):
    one = relay()
    await writer.paint(3)
    await all_turns(one)
    snapshot = await redis.dump(KEY)
    await writer.paint(2)
    await all_turns(one)
    before = await redis.xrange(KEY)

    await redis.restore(KEY, 0, snapshot, replace=True)
    await all_turns(one)

    assert await redis.xrange(KEY) == before


async def test_a_database_restored_to_the_past_halts_the_relay_before_it_seals(pool, redis, writer, relay):
    one = relay()
    await writer.paint(2)
    await all_turns(one)
    async with pool.acquire() as connection:
        row = await connection.fetchrow("SELECT * FROM streams_log WHERE shard = 0 AND pos = 1")
        await connection.execute("DELETE FROM streams_log WHERE pos = 2")
        await connection.execute(
            "UPDATE streams_shard SET last_pos = 1, last_ms = $1, last_hash = $2 WHERE shard = 0",
            row["sealed_ms"],
            row["hash"],
        )
    await writer.paint(3)

    with pytest.raises(LogWentBackError):
        await one.turn()

    assert await pool.fetchval("SELECT count(*) FROM streams_pending") == 3
    assert [pos for pos, _ in await stream(redis)] == [1, 2]


async def test_the_watermark_says_what_is_closed(redis, writer, relay):
    await writer.paint(2)

    await all_turns(relay())

    watermark = await redis.hgetall("{academics:0}:wm")
    assert watermark[b"pos"] == b"2"
    assert int(watermark[b"t_us"]) > 0


async def test_the_running_relay_follows_pokes_and_all_shards(redis, writer, relaying):
    for n in range(40):
        await writer.paint(school=uuid4() if n else None)
    relaying.poke()

    async def all_there():
        return sum([await redis.xlen(f"{{academics:{shard}}}:ev") for shard in range(4)]) == 40

    await until(all_there)
