"""A stream that somebody else wrote to misleads nobody."""

import pytest
from prometheus_client import REGISTRY

from tests.streams_builders import SOURCE
from tests.streams_running import running
from tests.waiting import until

KEY = "{academics:0}:ev"


@pytest.fixture
async def entries(redis, writer, relay):
    """What the relay appended: five entries, ids and fields."""
    await writer.paint(5)
    await relay().turn()
    return await redis.xrange(KEY)


async def forge(redis, entries):
    await redis.delete(KEY)
    for id_, fields in entries:
        await redis.xadd(KEY, fields, id=id_)


@pytest.mark.parametrize("forgery", ["missing", "swapped", "changed", "garbage", "another chain"])
async def test_the_copy_is_as_the_log_is(pool, redis, entries, consumer, copy, forgery):
    ids, fields = [id_ for id_, _ in entries], [dict(fields) for _, fields in entries]
    if forgery == "swapped":
        fields[1], fields[2] = fields[2], fields[1]
    elif forgery == "changed":
        fields[2][b"data"] = b'{"coats":9,"colour":"gold","note":null}'
    elif forgery == "garbage":
        fields[2] = {b"x": b"y"}
    elif forgery == "another chain":
        fields[2][b"prevhash"] = b"00" * 32
    made = list(zip(ids, fields, strict=True))
    await forge(redis, [made[0], *made[3:]] if forgery == "missing" else made)

    async with running(consumer(proofs=False)):
        await until(lambda: pool.fetchval("SELECT pos = 5 FROM streams_checkpoint WHERE shard = 0"))

    assert await copy.positions() == [1, 2, 3, 4, 5]
    assert await pool.fetchval("SELECT count(*) FROM effect WHERE colour <> 'blue'") == 0


async def test_an_event_that_was_never_sealed_is_left_alone(pool, redis, entries, relay, consumer, copy):
    one = relay()
    await redis.xadd(KEY, {"sequence": "6", "hash": "00"}, id="9999999999999-6")
    async with running(consumer()):
        await until(lambda: pool.fetchval("SELECT pos = 5 FROM streams_checkpoint WHERE shard = 0"))
        with pytest.raises(Exception, match="log_behind_stream"):
            await one.turn()
        # What an operator does: the stream is only a cache.
        await redis.delete(KEY)
        await one.turn()

        assert await redis.xlen(KEY) == 5

    assert await copy.positions() == [1, 2, 3, 4, 5]


async def test_entries_read_again_have_no_second_effect(pool, redis, entries, consumer, copy):
    async with running(consumer()):
        await until(lambda: pool.fetchval("SELECT pos = 5 FROM streams_checkpoint WHERE shard = 0"))
    again = [(f"9999999999999-{n + 1}".encode(), fields) for n, (_, fields) in enumerate(entries)]
    for id_, fields in again:
        await redis.xadd(KEY, fields, id=id_)

    before = asked()

    async with running(consumer()):
        await until(lambda: asked() > before)

    assert await copy.positions() == [1, 2, 3, 4, 5]


def asked():
    """How often a reader met entries from before its place, and asked the log."""
    labels = {"consumer": "attendance.copy", "source": SOURCE, "reason": "behind"}
    return REGISTRY.get_sample_value("streams_gap_fill_total", labels) or 0
