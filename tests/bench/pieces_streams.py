"""The relay beside a bare pipeline of XADD (G16), and a replay into memory beside a bare XREAD (G14)."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

import asyncpg
from redis.asyncio import Redis

from infra.local.variables import SHARD_COUNT
from infra.postgres import BACKGROUND_TRANSACTION_MS, create_pool
from streams import schema
from streams.broadcast import BroadcastConsumer
from streams.codec import Delivered, fields_of
from streams.log_postgres import PostgresEventLog
from streams.names import stream_key
from streams.outbox import Outbox
from streams.reading import COUNT
from streams.redis_client import reader_client, writer_client
from streams.relay import Relay
from streams.seal import PostgresLedger
from tests.bench.figures import Sample, over
from tests.bench.pieces_ground import Workshop
from tests.bench.pieces_log import AT_ONCE, SOURCE, told
from tests.bench.replay import sample
from tests.waiting import until

RELAYED = "relay: sealed and in the streams"
PIPELINE = "XADD in a pipeline"
INTO_MEMORY = "replay into memory, checked and decoded"
RAW = "XREAD, not looked at"
PIPELINE_COUNT = 500
RELAY_TIMEOUT_S = 60.0
LONG_AGO = timedelta(days=36_500)
SHARDS = range(SHARD_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A producer with `count` events that are committed and not sealed."""

    ground: Workshop
    pool: asyncpg.Pool
    redis: Redis
    count: int

    async def relayed(self) -> Sample:
        """Let the relay carry them to empty streams."""
        await self.redis.flushall()
        relay, stop = Relay(source=SOURCE, pool=self.pool, redis=self.redis, shards=SHARDS), asyncio.Event()
        with self._meter() as used:
            started = time.perf_counter()
            running = asyncio.create_task(relay.run(stop))
            await until(self._has_all, RELAY_TIMEOUT_S)
            elapsed_s = time.perf_counter() - started
        stop.set()
        await running
        return sample(RELAYED, self.count, elapsed_s, used)

    async def pipelined(self) -> Sample:
        """Append the same entries, whose fields are ready, to empty streams: the least that can be done."""
        lines = []
        for shard in SHARDS:
            entries = await PostgresLedger(pool=self.pool, shard=shard).entries_after(0, self.count)
            lines += [(stream_key(SOURCE, shard), str(entry.id), _paired(fields_of(entry))) for entry in entries]
        await self.redis.flushall()
        with self._meter() as used:
            started = time.perf_counter()
            rest = iter(lines)
            while some := list(islice(rest, PIPELINE_COUNT)):
                async with self.redis.pipeline(transaction=False) as pipe:
                    for key, id_, fields in some:
                        pipe.xadd(key, fields, id=id_)
                    await pipe.execute()
            elapsed_s = time.perf_counter() - started
        return sample(PIPELINE, len(lines), elapsed_s, used)

    async def raw(self) -> Sample:
        """Read the streams, one after the other, as the driver gives their entries."""
        read = 0
        async with reader_client(self.ground.valkey.url()) as redis:
            with self._meter() as used:
                started = time.perf_counter()
                for shard in SHARDS:
                    key, last = stream_key(SOURCE, shard), b"0-0"
                    while answer := await redis.xread({key: last}, count=COUNT):
                        read, last = read + len(answer[0][1]), answer[0][1][-1][0]
                elapsed_s = time.perf_counter() - started
        return sample(RAW, read, elapsed_s, used)

    async def into_memory(self) -> Sample:
        """Let a broadcast consumer hear everything from the beginning."""
        heard, done, stop = 0, asyncio.Event(), asyncio.Event()

        async def listen(_event: Delivered) -> None:
            nonlocal heard
            heard += 1
            if heard == self.count:
                done.set()

        listeners = dict.fromkeys({event.type for event in told(1_000)}, listen)
        consumer = BroadcastConsumer(
            name="bench",
            source=SOURCE,
            shards=SHARDS,
            redis_url=self.ground.valkey.url(),
            log=PostgresEventLog(self.pool),
            listeners=listeners,
            since=LONG_AGO,
        )
        with self._meter() as used:
            started = time.perf_counter()
            running = asyncio.create_task(consumer.run(stop))
            finished = asyncio.create_task(done.wait())
            await asyncio.wait({running, finished}, return_when=asyncio.FIRST_COMPLETED)
            elapsed_s = time.perf_counter() - started
        stop.set()
        finished.cancel()
        with suppress(asyncio.CancelledError):
            await finished
        await running
        return sample(INTO_MEMORY, heard, elapsed_s, used)

    async def _has_all(self) -> bool:
        return sum([await self.redis.xlen(stream_key(SOURCE, shard)) for shard in SHARDS]) == self.count

    def _meter(self):
        return self.ground.meter({"client": [os.getpid()]})


def _paired(parts: Sequence[str | bytes]) -> dict:
    return dict(zip(parts[::2], parts[1::2], strict=True))


async def measure_streams(ground: Workshop, count: int) -> tuple[list[Sample], dict[str, float]]:
    """Return the samples, G16 and G14."""
    async with publisher(ground, count) as made:
        relayed = await made.relayed()
        raw, heard = await made.raw(), await made.into_memory()
        pipelined = await made.pipelined()
    return [relayed, pipelined, heard, raw], {
        "G16": over(relayed.per_second, pipelined.per_second),
        "G14": over(heard.per_second, raw.per_second),
    }


@asynccontextmanager
async def publisher(ground: Workshop, count: int) -> AsyncIterator[Publisher]:
    """Make a producer's database and commit the events to it."""
    url = await ground.blank_database()
    async with (
        create_pool(url, name="relay", transaction_ms=BACKGROUND_TRANSACTION_MS) as pool,
        writer_client(ground.valkey.url()) as redis,
    ):
        for statement in schema.statements(*schema.PRODUCER):
            await pool.execute(statement)
        outbox, events = Outbox(SHARD_COUNT), told(count)
        async with pool.acquire() as connection:
            await schema.prepare(connection, source=SOURCE, shard_count=SHARD_COUNT)
            while some := list(islice(events, AT_ONCE)):
                await outbox.add(connection, *some)
        yield Publisher(ground=ground, pool=pool, redis=redis, count=count)
