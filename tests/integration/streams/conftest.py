"""A producer's database with four shards, and what writes to it."""

import pytest

from infra.postgres import create_pool
from streams import schema
from streams.redis_client import writer_client
from tests.streams_builders import SOURCE, Writer

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
