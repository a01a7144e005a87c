"""What cannot be applied is put aside, waits in order, and is taken up again or given up by a person."""

import json
from uuid import uuid4

import pytest

from contracts.problems import NotFoundError
from streams import parking
from streams.codec import canonical
from streams.outbox import ADD
from tests.streams_builders import SCHOOLS, SOURCE, RoomPainted, an_event
from tests.streams_running import running
from tests.waiting import until

NAMES = {"consumer": "attendance.copy", "source": SOURCE}
KEY = ("attendance.copy", SOURCE, 0)


@pytest.fixture(params=[False, True], ids=["one by one", "together"])
def is_together(request):
    return request.param


async def parked(pool):
    async with pool.acquire() as connection:
        return await parking.list_parked(connection, **NAMES)


async def applied_up_to(pool, pos):
    return await pool.fetchval("SELECT pos >= $1 FROM streams_checkpoint WHERE shard = 0", pos)


@pytest.fixture
async def one_parked(pool, writer, relaying, consumer, copy):
    """A room whose first event is poison, with three good ones after it, and another room."""
    bad = uuid4()
    copy.fails = lambda event: event.data["colour"] == "poison"
    await writer.paint(room=bad, colour="poison")
    await writer.paint(3, room=bad)
    await writer.paint(2)
    async with running(consumer()):
        await until(lambda: applied_up_to(pool, 6))
    return bad


async def test_everything_of_the_aggregate_is_put_aside_with_its_reason(pool, copy, one_parked):
    rows = await parked(pool)

    assert [row.pos for row in rows] == [1, 2, 3, 4]
    assert [row.reason for row in rows] == ["ZeroDivisionError: ", "follows", "follows", "follows"]
    assert {row.agg_id for row in rows} == {one_parked}
    assert await copy.positions() == [5, 6]


async def test_a_retry_applies_all_of_it_in_order(pool, copy, one_parked):
    copy.fails = lambda event: False
    async with pool.acquire() as connection:
        handlers = {RoomPainted.type: copy.on_painted}
        count = await parking.retry(connection, **NAMES, agg_id=one_parked, handlers=handlers)

    assert count == 4
    assert await copy.positions() == [5, 6, 1, 2, 3, 4]
    assert await parked(pool) == []


async def test_a_retry_that_fails_again_changes_nothing(pool, copy, one_parked):
    async with pool.acquire() as connection:
        with pytest.raises(ZeroDivisionError):
            handlers = {RoomPainted.type: copy.on_painted}
            await parking.retry(connection, **NAMES, agg_id=one_parked, handlers=handlers)

    assert await copy.positions() == [5, 6]
    assert len(await parked(pool)) == 4


async def test_an_event_that_was_given_up_is_left_out_of_the_copy_made_anew(pool, consumer, copy, one_parked):
    async with pool.acquire() as connection:
        await parking.drop(connection, KEY, pos=1, why="painted by mistake")

    async def is_made_anew():
        return await copy.positions() == [2, 3, 4, 5, 6]

    async with running(consumer()):
        await until(is_made_anew)

    assert await parked(pool) == []
    assert await pool.fetchval("SELECT dropped_why FROM streams_parked") == "painted by mistake"


async def test_what_is_not_parked_is_a_problem(pool):
    async with pool.acquire() as connection:
        with pytest.raises(NotFoundError):
            await parking.retry(connection, **NAMES, agg_id=uuid4(), handlers={})
        with pytest.raises(NotFoundError):
            await parking.drop(connection, KEY, pos=1, why="nothing")


async def test_a_halted_shard_goes_on_when_it_is_told_to(pool, writer, relaying, consumer, copy):
    copy.fails = lambda event: True
    await writer.paint(15)
    async with running(consumer()):
        await until(lambda: pool.fetchval("SELECT state = 'halted' FROM streams_checkpoint WHERE shard = 0"))
        copy.fails = lambda event: False
        async with pool.acquire() as connection:
            assert await parking.resume(connection, **NAMES) == [0]

        await until(lambda: applied_up_to(pool, 15))

    assert await copy.positions() == [10, 11, 12, 13, 14, 15]
    assert len(await parked(pool)) == 9


async def test_an_unknown_type_is_skipped_and_an_unknown_version_is_poison(pool, writer, relaying, consumer, copy):
    await write_raw(pool, writer, type="academics.room.burnt.v1")
    await write_raw(pool, writer, type="academics.room.painted.v2")
    await writer.paint()
    async with running(consumer()):
        await until(lambda: applied_up_to(pool, 3))

    assert await copy.positions() == [3]
    assert [(row.pos, row.reason) for row in await parked(pool)] == [
        (2, "UnknownVersionError: academics.room.painted.v2")
    ]


async def test_a_newer_minor_shape_is_read_by_an_older_handler(pool, writer, relaying, consumer, copy):
    await write_raw(pool, writer, data={"colour": "blue", "shade": "dark"})
    async with running(consumer()):
        await until(lambda: applied_up_to(pool, 1))

    assert await copy.positions() == [1]


async def test_an_event_that_cannot_be_read_taints_the_whole_shard(pool, writer, relaying, consumer, copy):
    await write_raw(pool, writer, subject="room")
    await writer.paint()
    async with running(consumer()):
        await until(lambda: applied_up_to(pool, 2))

    assert [(row.pos, row.agg_id, row.type) for row in await parked(pool)] == [(1, None, None)]
    assert await copy.positions() == [2]


async def write_raw(pool, writer, **attributes):
    """Write an event as a faulty or a newer publisher would."""
    *columns, [body] = writer.outbox.rows(an_event())
    await pool.execute(ADD, *columns, [canonical(json.loads(body) | attributes)])


async def test_poison_in_one_shard_leaves_the_others_alone(pool, writer, relaying, consumer, copy):
    copy.fails = lambda event: event.shard == 0
    async with running(consumer()):
        await writer.paint(20)
        await writer.paint(20, school=SCHOOLS[1])

        await until(lambda: pool.fetchval("SELECT state = 'halted' FROM streams_checkpoint WHERE shard = 0"))
        await until(lambda: pool.fetchval("SELECT pos = 20 FROM streams_checkpoint WHERE shard = 1"))
