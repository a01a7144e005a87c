"""A producer's database with four shards, what writes to it, and a copy of it."""

from datetime import timedelta

import pytest

from infra.postgres import create_pool
from streams import schema
from streams.append import RedisStreamWriter
from streams.consumer import OrderedConsumer
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.redis_client import writer_client
from streams.relay import Relay, ShardRelay
from streams.seal import PostgresLedger
from tests.streams_builders import SOURCE, RoomPainted, Writer
from tests.streams_running import running, serve_log

SHARDS = 4


@pytest.fixture
async def pool(blank_database):
    """A database that publishes and that consumes."""
    async with create_pool(blank_database, name="test", size=12, transaction_ms=10_000) as made:
        for statement in schema.statements(*schema.PRODUCER, "consumer_1"):
            await made.execute(statement)
        async with made.acquire() as connection:
            await schema.prepare(connection, source=SOURCE, shard_count=SHARDS)
        yield made


@pytest.fixture
async def redis(redis_url):
    async with writer_client(redis_url) as client:
        yield client


@pytest.fixture
def writer(pool):
    return Writer(pool, SHARDS)


@pytest.fixture
async def grpc_log(pool):
    """The producer's log, asked over a socket."""
    async with serve_log(PostgresEventLog(pool)) as channel:
        yield GrpcEventLog(channel)


@pytest.fixture
def relay(pool, redis):
    """Makes a relay of one shard, as every replica has one."""
    return lambda shard=0: ShardRelay(
        PostgresLedger(pool=pool, shard=shard), RedisStreamWriter(redis, source=SOURCE, shard=shard)
    )


@pytest.fixture
async def relaying(pool, redis):
    """The producer's relay, running."""
    relay = Relay(source=SOURCE, pool=pool, redis=redis, shards=range(SHARDS))
    async with running(relay):
        yield relay


EFFECTS = (
    "CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY, event_id uuid, shard int, pos bigint, colour text)"
)


class Copy:
    """A service's copy: one row per event, so that a second effect or another order would show."""

    def __init__(self, pool):
        self.pool, self.fails = pool, lambda event: False

    async def on_painted(self, connection, event):
        await connection.execute(
            "INSERT INTO effect (event_id, shard, pos, colour) VALUES ($1, $2, $3, $4)",
            event.id,
            event.shard,
            event.pos,
            event.data["colour"],
        )
        if self.fails(event):
            raise ZeroDivisionError

    async def on_all(self, connection, events):
        for event in events:
            await self.on_painted(connection, event)

    async def reset(self, connection, shard):
        await connection.execute("DELETE FROM effect WHERE shard = $1", shard)

    async def ids(self):
        return [row["event_id"] for row in await self.pool.fetch("SELECT event_id FROM effect ORDER BY id")]

    async def positions(self, shard=0):
        rows = await self.pool.fetch("SELECT pos FROM effect WHERE shard = $1 ORDER BY id", shard)
        return [row["pos"] for row in rows]


@pytest.fixture
async def copy(pool):
    await pool.execute(EFFECTS)
    return Copy(pool)


@pytest.fixture
def is_together():
    """Whether consumers apply many events at once where they can."""
    return False


@pytest.fixture
def consumer(pool, redis_url, grpc_log, copy, is_together):
    """Makes a replica's consumer."""

    def make(owner="a", **changes):
        usual = {
            "name": "attendance.copy",
            "source": SOURCE,
            "owner": owner,
            "shards": range(SHARDS),
            "pool": pool,
            "redis_url": redis_url,
            "log": grpc_log,
            "handlers": {RoomPainted.type: copy.on_painted},
            "reset": copy.reset,
            "together": copy.on_all if is_together else None,
            "lease": timedelta(seconds=2),
        }
        return OrderedConsumer(**(usual | changes))

    return make
