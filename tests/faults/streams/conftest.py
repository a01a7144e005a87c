"""A producer and a consumer as processes of their own, under load, with servers that may be killed."""

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import asyncpg
import pytest
import redis.asyncio

from infra.local.databases import with_database
from infra.local.ports import free_port
from infra.local.postgres import LocalPostgres
from infra.local.valkey import LocalValkey
from infra.postgres import create_pool
from streams import schema
from tests.faults.streams.copy import EFFECTS
from tests.faults.streams.part import SHARDS
from tests.streams_builders import SCHOOLS, SOURCE, Writer
from tests.waiting import until

# A machine may be busy; only what is promised in seconds is asserted in seconds.
PATIENCE_S = 30
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
AGES = "SELECT extract(epoch FROM clock_timestamp() - as_of)::float8 AS age_s FROM streams_checkpoint"
CLAIMS = """
SELECT c.shard, as_of, (SELECT max(pos) FROM effect e WHERE e.shard = c.shard) AS pos
FROM streams_checkpoint c WHERE as_of IS NOT NULL
"""
HELD = "SELECT count(*) > 0 FROM streams_checkpoint WHERE owner = $1 AND lease_until > clock_timestamp()"


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
    """A Valkey for tests that kill it; without a file, so that a kill loses everything."""
    server = LocalValkey(folder=folder / "faulty-valkey", log=folder / "faulty-valkey.log")
    server.start()
    yield server
    server.stop()


class Theatre:
    """Where a fault is played: two databases, a Redis, processes, and what was seen of them."""

    def __init__(self, *, postgres, valkey, producer, copy, folder):
        self.postgres, self.valkey, self.folder = postgres, valkey, folder
        self.producer, self.copy, self.port = producer, copy, free_port()
        self.processes, self.acknowledged, self.samples = [], [], []
        self.pool, self.copy_pool, self.writer = None, None, None

    def start(self, part, **settings):
        """Start a process; return it."""
        database = self.producer if part == "relay" else self.copy
        settings = {"database": database, "redis": self.valkey.url(), "port": self.port, **settings}
        command = [sys.executable, "-m", "tests.faults.streams.part", part, json.dumps(settings)]
        with (self.folder / f"{part}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def both(self):
        """Start one relay and one consumer."""
        return self.start("relay"), self.start("consumer", owner="a")

    async def write(self, count=1, pause_s=0.005):
        """Write events one by one, coming back when the database is away; note those that were acknowledged."""
        for n in range(count):
            try:
                ids = await self.writer.paint(school=SCHOOLS[n % 3])
                self.acknowledged.append((ids[0], await self.pool.fetchval("SELECT clock_timestamp()")))
            except AWAY:
                await asyncio.sleep(0.05)
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def load(self):
        """Write all the time."""
        task = asyncio.create_task(self.write(10**6))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def log(self):
        rows = await self.pool.fetch("SELECT shard, pos, event_id FROM streams_log ORDER BY shard, pos")
        return [(row["shard"], row["pos"], row["event_id"]) for row in rows]

    async def effects(self):
        rows = await self.copy_pool.fetch("SELECT shard, pos, event_id FROM effect ORDER BY shard, id")
        return [(row["shard"], row["pos"], row["event_id"]) for row in rows]

    async def as_of_age_s(self):
        """Seconds since the moment at which every shard of the copy was exact; infinite while unknown."""
        rows = await self.copy_pool.fetch(AGES)
        ages = [row["age_s"] for row in rows]
        return max(ages) if len(ages) == SHARDS and None not in ages else float("inf")

    async def watch(self):
        """Note what the copy claims and has, again and again."""
        while True:
            try:
                rows = await self.copy_pool.fetch(CLAIMS)
                self.samples += [(row["shard"], row["as_of"], row["pos"] or 0) for row in rows]
            except AWAY:
                pass
            await asyncio.sleep(0.03)

    async def settled(self):
        """Wait until all is applied; nothing was lost, doubled, reordered or claimed too early."""

        async def same():
            pending = await self.pool.fetchval("SELECT count(*) FROM streams_pending")
            return pending == 0 and await self.log() == await self.effects()

        try:
            await until(same, PATIENCE_S)
        except TimeoutError:
            log, effects = await self.log(), await self.effects()
            missing, extra = set(log) - set(effects), set(effects) - set(log)
            raise AssertionError(f"{len(log)} sealed, {len(effects)} applied, {missing=}, {extra=}") from None
        places = {id_: (shard, pos) for shard, pos, id_ in await self.log()}
        assert [id_ for id_, _ in self.acknowledged if id_ not in places] == []
        for shard, as_of, applied in self.samples:
            due = [places[id_] for id_, at in self.acknowledged if at < as_of]
            assert [place for place in due if place[0] == shard and place[1] > applied] == [], as_of

    async def running(self, name="a"):
        """Wait until a replica holds the lease."""
        await until(lambda: self.copy_pool.fetchval(HELD, name), PATIENCE_S)


@pytest.fixture
async def theatre(own_postgres, own_valkey, tmp_path):
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
    async with create_pool(urls[0], name="test") as pool, create_pool(urls[1], name="test") as copy_pool:
        made.pool, made.copy_pool, made.writer = pool, copy_pool, Writer(pool, SHARDS)
        for statement in schema.statements("producer_1"):
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
    await admin.close()
