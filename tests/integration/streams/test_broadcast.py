"""Every process hears everything, in order, from as far back as it asked for."""

from datetime import timedelta

import pytest

from contracts.problems import UnavailableError
from streams.broadcast import BroadcastConsumer
from tests.integration.streams.conftest import SHARDS
from tests.streams_builders import SOURCE, RoomPainted
from tests.streams_running import running
from tests.waiting import until


class Ears:
    """What one process heard. Each shard is listened to by itself, so one that starts later forgets only its own."""

    def __init__(self):
        self._heard = []

    @property
    def heard(self):
        return [event.id for event in self._heard]

    async def on_painted(self, event):
        self._heard.append(event)

    async def reset(self, shard):
        self._heard = [event for event in self._heard if event.shard != shard]


@pytest.fixture
def listen(redis_url, grpc_log):
    """Makes a process's consumer."""

    def make(ears, **changes):
        usual = {"name": "attendance.sessions", "source": SOURCE, "shards": range(SHARDS), "redis_url": redis_url}
        listeners = {"listeners": {RoomPainted.type: ears.on_painted}, "reset": ears.reset, "log": grpc_log}
        return BroadcastConsumer(**(usual | listeners | changes))

    return make


async def test_every_process_hears_everything(writer, relaying, listen):
    one, other = Ears(), Ears()
    async with running(listen(one, since=timedelta(hours=1))), running(listen(other, since=timedelta(hours=1))):
        ids = await writer.paint(5)

        await until(lambda: one.heard == ids and other.heard == ids)


async def test_a_process_starts_with_the_recent_past(pool, writer, relay, listen):
    await writer.paint(3)
    await relay().turn()
    await pool.execute("UPDATE streams_log SET sealed_ms = sealed_ms - 7200000")
    ids = await writer.paint(3)
    await relay().turn()
    ears = Ears()

    async with running(listen(ears, since=timedelta(hours=1))):
        await until(lambda: ears.heard == ids)


async def test_a_process_may_start_with_what_is_new(pool, writer, relaying, listen):
    await writer.paint(3)
    await until(lambda: pool.fetchval("SELECT last_pos = 3 FROM streams_shard WHERE shard = 0"))
    ears = Ears()
    consumer = listen(ears)

    async with running(consumer):
        await until(lambda: consumer.as_of)
        ids = await writer.paint(2)

        await until(lambda: ears.heard == ids)


async def test_a_flush_and_a_listener_that_fails_hold_nobody_up(redis, writer, relaying, listen):
    ears = Ears()

    async def moody(event):
        if event.data["colour"] == "poison":
            raise ValueError
        await ears.on_painted(event)

    async with running(listen(ears, listeners={RoomPainted.type: moody})) as _:
        await redis.flushall()
        consumer_ids = await writer.paint(2)
        await writer.paint(colour="poison")
        consumer_ids += await writer.paint(2)

        await until(lambda: ears.heard[-2:] == consumer_ids[-2:])

    assert ears.heard == consumer_ids[-len(ears.heard) :]


class AwayLog:
    """A log that cannot be asked while it is away."""

    def __init__(self, log):
        self.log, self.is_away, self.asked = log, True, 0

    async def _ask(self, method, *args, **options):
        self.asked += 1
        if self.is_away:
            raise UnavailableError("log_down")
        return await getattr(self.log, method)(*args, **options)

    async def head(self, shard):
        return await self._ask("head", shard)

    async def read(self, *args, **options):
        return await self._ask("read", *args, **options)

    async def read_since(self, *args, **options):
        return await self._ask("read_since", *args, **options)


async def test_a_process_that_starts_while_the_producer_is_away_waits_and_misses_nothing(
    writer, relaying, listen, grpc_log
):
    ears, log = Ears(), AwayLog(grpc_log)
    ids = await writer.paint(3)

    async with running(listen(ears, log=log, since=timedelta(hours=1))) as task:
        await until(lambda: log.asked >= 2 * SHARDS)
        assert not task.done()
        assert ears.heard == []
        log.is_away = False

        await until(lambda: ears.heard == ids)


async def test_a_consumer_that_is_started_again_learns_anew_how_fresh_it_is(relaying, listen):
    consumer = listen(Ears())
    async with running(consumer):
        await until(lambda: consumer.as_of)
    before = consumer.as_of

    async with running(consumer):
        await until(lambda: consumer.as_of and consumer.as_of > before)


async def test_a_stream_that_gets_nothing_is_read_from_the_log(writer, relay, redis, listen):
    ears = Ears()
    async with running(listen(ears, since=timedelta(hours=1))):
        ids = await writer.paint(2)
        await relay().turn(with_stream=False)

        await until(lambda: ears.heard == ids)

    assert await redis.exists("{academics:0}:ev") == 0
