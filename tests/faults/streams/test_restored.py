"""The producer's database goes back to the past: nobody doubles or skips anything without a word.

What was told after the backup is gone from the log; only an operator can say what becomes of it.
"""

from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.faults.streams.theatre import PATIENCE_S
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.fault(23)]
SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
PENDING = "SELECT count(*) FROM streams_pending"


async def test_a_relay_whose_stream_is_ahead_of_its_log_halts(theatre):
    backup = await begin(theatre)

    await restore(theatre, backup)
    theatre.start("relay")
    await theatre.write(10)

    await nothing_is_sealed(theatre, "log_behind_stream")


async def test_a_relay_that_saw_its_log_go_back_halts_before_it_seals(theatre):
    backup = await begin(theatre, relay_lives=True)

    await restore(theatre, backup)
    await theatre.write(10)

    await nothing_is_sealed(theatre, "LogWentBackError")


async def test_with_redis_flushed_too_the_copy_is_made_anew_from_the_log(theatre, client):
    backup = await begin(theatre)

    await client.flushall()
    await restore(theatre, backup)
    theatre.start("relay")
    await theatre.write(10)

    await theatre.settled()
    assert len(await theatre.effects()) == 30


async def begin(theatre, *, relay_lives=False):
    """Write 20 events, back up, write 20 more; return the name of the backup."""
    relay, _ = theatre.both()
    await theatre.write(20)
    await theatre.settled()
    backup = await back_up(theatre)
    theatre.kept = list(theatre.acknowledged)
    await theatre.write(20)
    await theatre.settled()
    if not relay_lives:
        relay.kill()
        relay.wait()
    return backup


async def nothing_is_sealed(theatre, reason):
    """Wait until the relay has halted, saying why, and the copy is what the log is now."""

    async def agree():
        return await theatre.log() == await theatre.effects()

    await until(lambda: reason in (theatre.folder / "relay.log").read_text(), PATIENCE_S)
    await until(agree, PATIENCE_S)
    assert len(await theatre.log()) == 20
    assert await theatre.pool.fetchval(PENDING) == 10
    assert "a copy is made anew" in (theatre.folder / "consumer.log").read_text()


async def back_up(theatre):
    name = theatre.producer.rpartition("/")[2]
    async with alone(theatre, name) as admin:
        await admin.execute(f'CREATE DATABASE "{name}_backup" TEMPLATE "{name}"')
    return f"{name}_backup"


async def restore(theatre, backup):
    """Put the backup in the place of the producer's database; what was told since is gone."""
    name = theatre.producer.rpartition("/")[2]
    async with alone(theatre, name) as admin:
        await admin.execute(f'ALTER DATABASE "{name}" RENAME TO "{name}_lost"')
        await admin.execute(f'ALTER DATABASE "{backup}" RENAME TO "{name}"')
    theatre.acknowledged = theatre.kept
    theatre.injected += 1


@asynccontextmanager
async def alone(theatre, name):
    """Keep everybody out of the database of this name for the length of a block."""
    admin = await asyncpg.connect(theatre.postgres.admin_url)
    try:
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await admin.execute(SESSIONS, name)
        yield admin
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    finally:
        await admin.close()
    await theatre.pool.expire_connections()
