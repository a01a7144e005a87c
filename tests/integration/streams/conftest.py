"""A producer's database with four shards, and what writes to it."""

import pytest

from infra.postgres import create_pool
from streams import schema
from streams.append import RedisStreamWriter
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.redis_client import writer_client
from streams.relay import Relay, ShardRelay
from streams.seal import PostgresLedger
from tests.streams_builders import SOURCE, Writer
from tests.streams_running import running, serve_log

SHARDS = 4


@pytest.fixture
async def pool(blank_database):
    """A database that publishes and that consumes."""
    async with create_pool(blank_database, name="test", size=12, transaction_ms=10_000) as made:
        for file in ("producer_1", "consumer_1"):
            for statement in schema.statements(file):
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
