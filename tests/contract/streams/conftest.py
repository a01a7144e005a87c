"""Each promise of streams on the real thing and on the fake."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pytest

from infra.postgres import create_pool
from streams import schema
from streams.append import RedisStreamWriter
from streams.checkpoint import Checkpoint, Lease
from streams.codec import body_of
from streams.consumer import OrderedSink
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.reading import RedisStreamReader
from streams.redis_client import writer_client
from streams.seal import PostgresLedger
from tests.fakes.streams import MemoryCheckpoint, MemoryEventLog, MemoryLedger, MemoryLog, MemorySink, MemoryStream
from tests.streams_builders import SOURCE, RoomPainted, Writer
from tests.streams_running import serve_log


@pytest.fixture
async def pool(blank_database):
    async with create_pool(blank_database, name="test", size=5, transaction_ms=10_000) as made:
        for statement in schema.statements(*schema.PRODUCER, "consumer_1"):
            await made.execute(statement)
        async with made.acquire() as connection:
            await schema.prepare(connection, source=SOURCE, shard_count=1)
        yield made


@dataclass
class Shard:
    """One shard of a log: its ledger, its readers' side, and what a test does to it."""

    ledger: object
    log: object
    paint: object
    archive: object


@pytest.fixture(params=["fake", "postgres", "grpc"])
def shard(request):
    return request.getfixturevalue(f"{request.param}_shard")


@pytest.fixture
def postgres_shard(pool):
    return Shard(
        ledger=PostgresLedger(pool=pool, shard=0),
        log=PostgresEventLog(pool),
        paint=Writer(pool, 1).paint,
        archive=lambda pos: pool.execute("DELETE FROM streams_log WHERE pos <= $1", pos),
    )


@pytest.fixture
async def grpc_shard(postgres_shard):
    async with serve_log(postgres_shard.log) as channel:
        yield replace(postgres_shard, log=GrpcEventLog(channel))


@pytest.fixture
def fake_shard():
    memory, writer = MemoryLog(), Writer(None, 1)

    async def paint(count=1, **changes):
        memory.now_ms += 1
        memory.pending += [body_of(writer.next(**changes)) for _ in range(count)]

    async def archive(pos):
        memory.entries = [entry for entry in memory.entries if entry.pos > pos]

    return Shard(ledger=MemoryLedger(memory), log=MemoryEventLog(memory), paint=paint, archive=archive)


@pytest.fixture(params=["fake", "valkey"])
def stream(request):
    """The two ends of one stream: its writer and its reader."""
    return request.getfixturevalue(f"{request.param}_stream")


@pytest.fixture
def fake_stream():
    memory = MemoryStream()
    return memory, memory


@pytest.fixture
async def valkey_stream(redis_url):
    async with writer_client(redis_url) as one, writer_client(redis_url) as other:
        yield RedisStreamWriter(one, source=SOURCE, shard=0), RedisStreamReader(other, source=SOURCE, shard=0)


@dataclass
class Seat:
    """A checkpoint's row. sink: makes an owner's view of it. effects: the positions applied so far."""

    sink: object
    effects: object
    take_over: object


@pytest.fixture(params=["fake", "postgres", "together"])
def seat(request):
    return request.getfixturevalue(f"{request.param}_seat")


@pytest.fixture
def postgres_seat(make_seat):
    return make_seat(together=None)


@pytest.fixture
def together_seat(make_seat):
    async def on_all(connection, events):
        await connection.executemany("INSERT INTO effect VALUES ($1)", [(event.pos,) for event in events])

    return make_seat(together=on_all)


@pytest.fixture
async def make_seat(pool):
    await pool.execute("CREATE TABLE effect (pos bigint)")
    lease = Lease(consumer="c", source=SOURCE, shards=(0,), owner="a", lasts=timedelta(seconds=5))
    async with pool.acquire() as connection:
        epochs = await lease.acquire(connection)

    async def on_painted(connection, event):
        await connection.execute("INSERT INTO effect VALUES ($1)", event.pos)

    async def reset(connection, shard):
        await connection.execute("DELETE FROM effect")

    async def effects():
        return [row["pos"] for row in await pool.fetch("SELECT pos FROM effect ORDER BY pos")]

    def sink(together):
        return OrderedSink(
            checkpoint=Checkpoint(lease=lease, shard=0, epoch=epochs[0]),
            pool=pool,
            log=PostgresEventLog(pool),
            handlers={RoomPainted.type: on_painted},
            reset=reset,
            together=together,
        )

    async def take_over():
        await pool.execute("UPDATE streams_checkpoint SET epoch = epoch + 1")

    return lambda together: Seat(sink=partial(sink, together), effects=effects, take_over=take_over)


@pytest.fixture
def fake_seat():
    row = MemoryCheckpoint()

    async def effects():
        return [entry.pos for entry in row.effects]

    async def take_over():
        row.epoch += 1

    return Seat(sink=lambda: MemorySink(row, row.epoch), effects=effects, take_over=take_over)
