"""Many events are applied at once while that works; where it does not, each is looked at."""

from contextlib import suppress
from datetime import timedelta

import pytest

from contracts.problems import UnavailableError
from streams.checkpoint import Checkpoint, Lease
from streams.consumer import LONGEST_BATCH_S, MOST_TOGETHER, OrderedSink, Pace
from streams.log_postgres import PostgresEventLog
from streams.seal import PostgresLedger
from tests.streams_builders import SOURCE, RoomPainted

BURN = "UPDATE streams_pending SET body = replace(convert_from(body, 'UTF8'), 'painted', 'burnt')::bytea"


@pytest.fixture
def batches():
    """How many events each attempt to apply many at once was given."""
    return []


@pytest.fixture
async def sink(pool, copy, batches):
    lease = Lease(consumer="attendance.copy", source=SOURCE, shards=(0,), owner="a", lasts=timedelta(seconds=5))
    async with pool.acquire() as connection:
        epochs = await lease.acquire(connection)

    async def on_all(connection, events):
        batches.append(len(events))
        await copy.on_all(connection, events)
        if len(events) > copy.most:
            raise UnavailableError("database_down", "TransactionTimeoutError")

    copy.most = MOST_TOGETHER
    made = OrderedSink(
        checkpoint=Checkpoint(lease=lease, shard=0, epoch=epochs[0]),
        pool=pool,
        log=PostgresEventLog(pool),
        handlers={RoomPainted.type: copy.on_painted},
        reset=copy.reset,
        together=on_all,
    )
    await made.start_anew(await PostgresLedger(pool=pool, shard=0).head(), "new")
    return made


async def sealed(pool):
    ledger = PostgresLedger(pool=pool, shard=0)
    await ledger.seal(limit=1000, seen=None)
    return await ledger.entries_after(0, 1000)


async def applied(sink, entries):
    """Apply `entries` as the consumer does, which goes on where it stands after an outage."""
    for _ in range(30):
        place = await sink.standing()
        if place.pos == entries[-1].pos:
            return
        with suppress(UnavailableError):
            await sink.apply(place, entries[place.pos :])
    raise AssertionError(f"stands at {place.pos}")


async def test_all_of_them_are_applied_at_once(pool, writer, copy, sink, batches):
    ids = await writer.paint(30)

    await applied(sink, await sealed(pool))

    assert await copy.ids() == ids
    assert batches == [30]


async def test_poison_among_them_is_found_and_the_rest_takes_effect_once(pool, writer, copy, sink, batches):
    copy.fails = lambda event: event.pos == 11

    ids = await writer.paint(30)
    await applied(sink, await sealed(pool))

    assert await copy.ids() == ids[:10] + ids[11:]
    assert await pool.fetchval("SELECT array_agg(pos) FROM streams_parked") == [11]
    assert batches == [30, 10, 20, 19]


async def test_too_many_for_one_transaction_are_tried_in_ever_smaller_batches(pool, writer, copy, sink, batches):
    copy.most = 3

    ids = await writer.paint(20)
    await applied(sink, await sealed(pool))

    assert await copy.ids() == ids
    assert max(batches[-5:]) < 20


async def test_even_one_event_too_many_does_not_stop_it(pool, writer, copy, sink):
    copy.most = 1

    ids = await writer.paint(5)
    await applied(sink, await sealed(pool))

    assert await copy.ids() == ids


async def test_a_type_without_a_handler_is_not_handed_over(pool, writer, copy, sink, batches):
    await writer.paint(3)
    await pool.execute(
        "UPDATE streams_pending SET body = replace(convert_from(body, 'UTF8'), 'painted', 'burnt')::bytea"
    )

    await applied(sink, await sealed(pool))

    assert await copy.ids() == []
    assert batches == []


def test_the_pace_halves_after_a_slow_batch_and_doubles_after_a_quick_one():
    pace = Pace(count=8)

    pace.note(LONGEST_BATCH_S + 0.1)
    assert pace.count == 4
    pace.note(LONGEST_BATCH_S - 0.1)
    assert pace.count == 8
    for _ in range(20):
        pace.note(float("inf"))
    assert pace.count == 1
    for _ in range(20):
        pace.note(0.0)
    assert pace.count == MOST_TOGETHER
