"""The shards of a source are read together: news of one reach it at once, and keep nobody else from theirs."""

import asyncio

import pytest

from streams import reading
from streams.append import StreamDownError
from streams.entries import NOTHING
from streams.reading import RedisStreamReader, TogetherReader
from streams.redis_client import reader_client
from tests.streams_builders import SCHOOLS, SOURCE
from tests.waiting import until


@pytest.fixture
async def readers(redis_url):
    """One of each shard."""
    async with reader_client(redis_url) as client:
        together = TogetherReader(client)
        yield [RedisStreamReader(client, source=SOURCE, shard=shard, together=together) for shard in range(4)]


async def calls(redis, command):
    return (await redis.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})["calls"]


async def test_shards_that_wait_at_the_same_moment_share_a_round_trip(redis, readers):
    await redis.config_resetstat()

    read = await asyncio.gather(*(reader.read(NOTHING) for reader in readers))
    looks = await asyncio.gather(*(reader.look(NOTHING) for reader in readers))

    assert read == [()] * 4
    assert [(look.entries, look.last, look.closed) for look in looks] == [((), NOTHING, None)] * 4
    assert (await calls(redis, "exec"), await calls(redis, "xread")) == (1, 1 + 4)


async def test_news_of_one_shard_reach_it_while_the_others_go_on_waiting(redis, writer, relay, readers, monkeypatch):
    monkeypatch.setattr(reading, "until_multiple", lambda _of_s, **_plus: 0.4)
    waiting = [asyncio.create_task(heard(readers[shard])) for shard in (1, 2)]
    idle = asyncio.create_task(readers[0].read(NOTHING))
    await until(lambda: blocked(redis))
    for shard in (2, 1):
        await writer.paint(school=SCHOOLS[shard])
        await relay(shard).turn()

    assert [[entry.shard for entry in await task] for task in waiting] == [[1], [2]]
    assert not idle.done()
    assert await idle == ()


async def heard(reader):
    """A reader waits a quarter of a second at most; then it is asked again."""
    while not (entries := await reader.read(NOTHING)):
        pass
    return entries


async def blocked(redis):
    return (await redis.info("clients"))["blocked_clients"] == 1


async def test_a_key_that_is_no_stream_keeps_only_its_own_shard_from_being_read(redis, writer, relay, readers):
    await redis.set("{academics:0}:ev", "x")
    await writer.paint(school=SCHOOLS[1])
    await relay(1).turn()

    wrong, good, *_ = await asyncio.gather(*(reader.read(NOTHING) for reader in readers), return_exceptions=True)

    assert isinstance(wrong, StreamDownError)
    assert len(good) == 1
