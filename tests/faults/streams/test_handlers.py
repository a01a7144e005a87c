"""Handlers that are slow, choke on one event or on all, and events from another release."""

import json
from uuid import uuid4

import psutil
import pytest

from infra.postgres import create_pool
from streams import parking
from streams.codec import canonical
from streams.outbox import ADD
from tests.faults.streams.copy import Copy
from tests.faults.streams.theatre import PATIENCE_S
from tests.streams_builders import SCHOOLS, SOURCE, RoomPainted, an_event
from tests.waiting import until

pytestmark = pytest.mark.slow
NAMES = {"consumer": "attendance.copy", "source": SOURCE}
HANDLERS = {RoomPainted.type: Copy().on_painted}
MEMORY_MIB = 200
PARKED = "SELECT count(*) FROM streams_parked"
HALTED = "SELECT bool_and(state = 'halted') FROM streams_checkpoint"


@pytest.mark.fault(17)
async def test_a_slow_handler_holds_up_its_own_shard_only(theatre):
    await theatre.writer.paint(3000, school=SCHOOLS[0])
    theatre.start("relay")
    consumer = theatre.start("consumer", owner="a", pause_s=0.02)
    theatre.injected += 1
    worst = []

    async def shard_1_is_fresh():
        return (await theatre.ages_s())[1] < 1.0

    await until(shard_1_is_fresh, PATIENCE_S)
    for _ in range(20):
        await theatre.write(5, school=SCHOOLS[1])
        worst.append((await theatre.ages_s())[1])
    await until(lambda: theatre.copy_pool.fetchval("SELECT count(*) > 0 FROM effect WHERE shard = 0"), PATIENCE_S)
    slow_s = (await theatre.ages_s())[0]
    applied = await theatre.copy_pool.fetchval("SELECT count(*) FROM effect WHERE shard = 0")

    assert max(worst) < 2.0
    assert slow_s == float("inf")
    assert 0 < applied < 3000
    assert psutil.Process(consumer.pid).memory_info().rss < MEMORY_MIB * 2**20
    consumer.terminate()
    await until(lambda: consumer.poll() == 0, 5)
    theatre.start("consumer", owner="b")
    await theatre.settled()


@pytest.mark.fault(18)
async def test_poison_stops_its_aggregate_alone_and_a_retry_applies_it_in_order(theatre):
    theatre.by_aggregate, bad = True, uuid4()
    theatre.start("relay")
    theatre.start("consumer", owner="a", die_at="poison")
    await theatre.running("a")
    await theatre.write(room=bad, school=SCHOOLS[0], colour="poison")
    theatre.injected += 1
    for _ in range(10):
        await theatre.write(5, room=bad, school=SCHOOLS[0], pause_s=0)
        await theatre.writer.paint(100, school=SCHOOLS[0])
    await theatre.applied(1000)

    await until(lambda: theatre.copy_pool.fetchval("SELECT count(*) = 51 FROM streams_parked"), PATIENCE_S)
    assert await theatre.copy_pool.fetchval("SELECT count(*) FROM effect") == 1000
    async with create_pool(theatre.copy, name="operator", transaction_ms=10_000) as pool, pool.acquire() as connection:
        assert await parking.retry(connection, **NAMES, agg_id=bad, handlers=HANDLERS) == 51

    found = await theatre.figures()
    assert found.is_clean and found.applied == 1051, found


@pytest.mark.fault(19)
async def test_a_handler_that_fails_on_everything_halts_and_drains_nothing(theatre):
    theatre.by_aggregate = True
    theatre.start("relay")
    broken = theatre.start("consumer", owner="a", die_at="bug")
    await theatre.write(60)
    await until(lambda: theatre.copy_pool.fetchval(HALTED), PATIENCE_S)
    theatre.injected += 1

    assert await theatre.copy_pool.fetchval(PARKED) <= 2 * (parking.IN_A_ROW - 1)
    assert await theatre.effects() == []
    broken.kill()
    await mend(theatre)
    theatre.start("consumer", owner="a")
    await theatre.applied(60)
    found = await theatre.figures()
    assert found.is_clean and found.applied == 60, found


async def mend(theatre):
    """What an operator does once the code is right: retry what is parked, then let the shards go on."""
    async with theatre.copy_pool.acquire() as connection:
        for parked in await parking.list_parked(connection, **NAMES):
            await parking.retry(connection, **NAMES, agg_id=parked.agg_id, handlers=HANDLERS)
        assert sorted(await parking.resume(connection, **NAMES)) == [0, 1]


@pytest.mark.fault(24)
async def test_events_of_another_release_are_read_skipped_or_put_aside(theatre):
    theatre.skipped.add("academics.room.burnt.v1")
    theatre.both()
    await theatre.write(5)
    await say(theatre, data={"colour": "blue", "shade": "dark"})
    await say(theatre, type="academics.room.burnt.v1")
    await say(theatre, type="academics.room.painted.v2")
    await say(theatre, subject="room")
    await theatre.write(5)
    await theatre.applied(11)

    reasons = await theatre.copy_pool.fetch("SELECT reason FROM streams_parked ORDER BY pos")
    assert [row["reason"].partition(":")[0] for row in reasons] == ["UnknownVersionError", "UndecodableError"]
    found = await theatre.figures()
    assert found.is_clean and found.applied == 11, found


async def say(theatre, **attributes):
    """Write an event as a newer or a faulty publisher would."""
    *columns, [body] = theatre.writer.outbox.rows(an_event(school=SCHOOLS[0]))
    columns[6] = [attributes.get("type", RoomPainted.type)]
    await theatre.pool.execute(ADD, *columns, [canonical(json.loads(body) | attributes)])
    theatre.injected += 1
