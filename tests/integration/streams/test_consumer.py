"""A copy has every event once and in order, whatever became of Redis, the log's door or the other replica."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from prometheus_client import REGISTRY

from streams.checkpoint import Lease
from tests.integration.streams.conftest import SHARDS
from tests.streams_builders import SCHOOLS, SOURCE, RoomPainted
from tests.streams_running import running
from tests.waiting import until


async def as_of(pool, shard=0):
    return await pool.fetchval("SELECT as_of FROM streams_checkpoint WHERE shard = $1", shard)


async def test_events_take_effect_once_and_in_order(pool, writer, relaying, consumer, copy):
    async with running(consumer()):
        ids = await writer.paint(30)

        await until(async_equal(copy.ids, ids))


def async_equal(ask, wanted):
    async def holds():
        return await ask() == wanted

    return holds


async def test_a_proved_copy_is_never_older_than_a_second(pool, writer, relaying, consumer):
    await writer.paint(5)
    async with running(consumer()):
        before = await pool.fetchval("SELECT clock_timestamp()")

        async def proved():
            rows = await pool.fetch("SELECT as_of FROM streams_checkpoint WHERE as_of > $1", before)
            return len(rows) == SHARDS

        await until(proved, 3)


async def test_a_flush_is_survived_without_a_repeat(redis, writer, relaying, consumer, copy):
    async with running(consumer()):
        ids = await writer.paint(10)
        await until(async_equal(copy.ids, ids))

        await redis.flushall()
        ids += await writer.paint(10)

        await until(async_equal(copy.ids, ids))


async def test_what_was_trimmed_is_read_from_the_log(redis, writer, relaying, consumer, copy):
    ids = await writer.paint(10)
    await until(async_equal(lambda: redis.xlen("{academics:0}:ev"), 10))
    await redis.xtrim("{academics:0}:ev", maxlen=0, approximate=False)

    async with running(consumer(proofs=False)):
        await until(async_equal(copy.ids, ids))


async def test_a_trimmed_tail_that_nothing_follows_is_noticed(redis, writer, relaying, consumer, copy):
    ids = await writer.paint(3)
    async with running(consumer(proofs=False)):
        await until(async_equal(copy.ids, ids))
    ids += await writer.paint(3)
    relaying.poke()
    await until(async_equal(lambda: redis.xlen("{academics:0}:ev"), 6))
    await redis.xtrim("{academics:0}:ev", maxlen=0, approximate=False)

    async with running(consumer(proofs=False)):
        await until(async_equal(copy.ids, ids))


async def test_without_redis_the_copy_follows_the_log_and_stays_fresh(pool, writer, grpc_log, relay, consumer, copy):
    one = relay()
    async with running(consumer(redis_url="redis://127.0.0.1:1/0")):
        ids = await writer.paint(5)
        await one.turn()

        await until(async_equal(copy.ids, ids))

        first = await until(lambda: as_of(pool))
        await one.turn()
        await until(lambda: _newer(pool, first))


async def _newer(pool, than):
    return (await as_of(pool)) > than


async def test_only_one_replica_applies_and_the_other_takes_over_at_once(writer, relaying, consumer, copy):
    async with running(consumer("b")):
        ids = await writer.paint(5)
        await until(async_equal(copy.ids, ids))
        async with running(consumer("a")):
            ids += await writer.paint(5)
            await until(async_equal(copy.ids, ids))

    async with running(consumer("a")):
        ids += await writer.paint(5)
        await until(async_equal(copy.ids, ids), 1.5)


async def test_a_replica_that_lost_its_lease_writes_nothing(pool, writer, relaying, consumer, copy):
    before = fenced()
    async with running(consumer("a")):
        await until(lambda: _owned(pool, "a"))
        # As if it had slept past its lease: another one has the next epoch.
        await pool.execute(
            "UPDATE streams_checkpoint SET epoch = epoch + 1, owner = 'b', lease_until = now() + '1 min'"
        )
        await writer.paint()

        await until(lambda: fenced() > before)

    assert await copy.positions() == []


def fenced():
    labels = {"consumer": "attendance.copy", "source": SOURCE}
    return REGISTRY.get_sample_value("streams_fenced_total", labels) or 0


async def _owned(pool, owner):
    return await pool.fetchval("SELECT count(*) FROM streams_checkpoint WHERE owner = $1", owner) == SHARDS


async def test_poison_parks_its_aggregate_in_order_and_nobody_else(pool, writer, relaying, consumer, copy):
    bad, others = uuid4(), uuid4()
    copy.fails = lambda event: event.data["colour"] == "poison"
    async with running(consumer()):
        await writer.paint(room=bad, colour="poison")
        await writer.paint(3, room=bad)
        ids = await writer.paint(20, room=others)

        await until(async_equal(copy.ids, ids))

    parked = await pool.fetch("SELECT pos, agg_id, reason FROM streams_parked ORDER BY pos")
    assert [(row["pos"], row["agg_id"]) for row in parked] == [(n, bad) for n in (1, 2, 3, 4)]


async def test_a_handler_that_is_always_wrong_halts_the_shard_and_drains_nothing(
    pool, writer, relaying, consumer, copy
):
    copy.fails = lambda event: True
    async with running(consumer()):
        await writer.paint(40)

        async def halted():
            return await pool.fetchval("SELECT state = 'halted' FROM streams_checkpoint WHERE shard = 0")

        await until(halted)
        assert await pool.fetchval("SELECT count(*) FROM streams_parked") == 9


async def test_a_log_that_lost_its_past_makes_the_copy_anew(pool, redis, writer, relay, consumer, copy):
    one = relay()
    await writer.paint(3)
    await one.turn()
    async with running(consumer()):
        await until(async_equal(copy.positions, [1, 2, 3]))
    await pool.execute("DELETE FROM streams_log")
    await pool.execute("UPDATE streams_shard SET last_pos = 0, last_ms = 0, last_hash = base_hash WHERE shard = 0")
    await redis.flushall()
    ids = await writer.paint(2)
    await relay().turn()

    async with running(consumer()):
        await until(async_equal(copy.ids, ids))


async def test_a_slow_handler_holds_up_its_own_shard_only(pool, writer, relaying, consumer, copy):
    release, entered = asyncio.Event(), asyncio.Event()

    async def slow(connection, event):
        if event.shard == 0:
            entered.set()
            await release.wait()
        await copy.on_painted(connection, event)

    one, other = consumer("a", handlers={RoomPainted.type: slow}), consumer("b", handlers={RoomPainted.type: slow})
    async with running(one), running(other):
        await writer.paint()
        await asyncio.wait_for(entered.wait(), 3)
        began = await pool.fetchval("SELECT clock_timestamp() + '2.5 s'")  # longer than the lease
        while await pool.fetchval("SELECT clock_timestamp() < $1", began):
            await writer.paint(school=SCHOOLS[1])
            await asyncio.sleep(0.1)
        await until(lambda: pool.fetchval("SELECT count(*) > 10 FROM effect WHERE shard = 1"))
        assert await pool.fetchval("SELECT min(epoch) = max(epoch) AND max(epoch) <= 2 FROM streams_checkpoint")
        fresh = "SELECT as_of > clock_timestamp() - interval '1.5 s' FROM streams_checkpoint WHERE shard = 1"
        assert await pool.fetchval(fresh)
        assert await copy.positions() == []
        release.set()

        await until(async_equal(copy.positions, [1]))


async def test_an_erased_event_is_passed_without_effect(pool, writer, relay, consumer, copy):
    await writer.paint(3)
    await relay().turn()
    await pool.execute("UPDATE streams_log SET body = NULL, salt = NULL, agg_id = NULL, tenant = NULL WHERE pos = 2")

    async with running(consumer(redis_url="redis://127.0.0.1:1/0")):
        await until(async_equal(copy.positions, [1, 3]))


async def test_what_follows_a_renewal_on_its_connection_waits_for_the_disk_again(pool):
    lease = Lease(consumer="attendance.copy", source=SOURCE, shards=(0,), owner="a", lasts=timedelta(seconds=5))
    async with pool.acquire() as connection:
        epochs = await lease.acquire(connection)
        await lease.keep(connection, epochs, {})

        assert await connection.fetchval("SHOW synchronous_commit") == "on"
