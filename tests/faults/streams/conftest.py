"""Servers that may be killed, and a theatre on them for each test."""

import asyncio
import secrets
import signal

import asyncpg
import pytest
import redis.asyncio

from infra.local.databases import with_database
from infra.local.postgres import LocalPostgres
from infra.local.valkey import LocalValkey
from infra.postgres import create_pool
from streams import schema
from tests.faults.streams.copy import EFFECTS
from tests.faults.streams.part import SHARDS
from tests.faults.streams.theatre import Theatre
from tests.streams_builders import SOURCE, Writer


@pytest.fixture(scope="session")
def own_postgres(folder):
    """A PostgreSQL for tests that kill it: what a killed process gave to the system is not lost."""
    server = LocalPostgres(
        folder=folder / "faulty-postgres", log=folder / "faulty-postgres.log", settings={"fsync": "off"}
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def own_valkey(folder):
    """A Valkey for tests that kill it, which loses everything then, or what came after a snapshot."""
    server = LocalValkey(folder=folder / "faulty-valkey", log=folder / "faulty-valkey.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(own_valkey, theatre):
    async with redis.asyncio.Redis.from_url(own_valkey.url()) as made:
        yield made


@pytest.fixture
def outage_s(is_long):
    """How long a server stays away."""
    return 60 if is_long else 5


@pytest.fixture
async def theatre(own_postgres, own_valkey, tmp_path, figures, is_long):
    if not own_valkey.child.is_running():
        own_valkey.start()
    async with redis.asyncio.Redis.from_url(own_valkey.url()) as client:
        await client.flushall()
    producer, copy = (f"{name}_{secrets.token_hex(4)}" for name in ("producer", "copy"))
    admin = await asyncpg.connect(own_postgres.admin_url)
    for name in (producer, copy):
        await admin.execute(f'CREATE DATABASE "{name}"')
    urls = [with_database(own_postgres.admin_url, name) for name in (producer, copy)]
    made = Theatre(postgres=own_postgres, valkey=own_valkey, producer=urls[0], copy=urls[1], folder=tmp_path)
    made.lease_s = 5 if is_long else 2
    async with create_pool(urls[0], name="test") as pool, create_pool(urls[1], name="test") as copy_pool:
        made.pool, made.copy_pool, made.writer = pool, copy_pool, Writer(pool, SHARDS)
        for statement in schema.statements(*schema.PRODUCER):
            await pool.execute(statement)
        for statement in (*schema.statements("consumer_1"), EFFECTS):
            await copy_pool.execute(statement)
        async with pool.acquire() as connection:
            await schema.prepare(connection, source=SOURCE, shard_count=SHARDS)
        watching = asyncio.create_task(made.watch())
        try:
            yield made
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            for process in made.processes:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
            figures.add(await made.figures())
    await admin.close()
