"""PostgreSQL is killed, writers are slow: what was acknowledged is there, and only what is slow waits."""

import signal

import asyncpg
import pytest

from infra.postgres import create_pool
from streams.outbox import Outbox
from tests.faults.streams.part import SHARDS
from tests.faults.streams.theatre import PATIENCE_S
from tests.streams_builders import SCHOOLS, an_event
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.mark.fault(13)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "restarted"])
async def test_a_database_that_went_away_in_the_middle_loses_nothing(theatre, own_postgres, number):
    theatre.both()
    async with theatre.load():
        await until(lambda: theatre.copy_pool.fetchval("SELECT count(*) > 20 FROM effect"), PATIENCE_S)
        if number == signal.SIGKILL:
            # The postmaster alone would leave its children: the memory they share is not free until they are gone.
            own_postgres.child.process.send_signal(signal.SIGQUIT)
            own_postgres.child.process.wait()
        else:
            own_postgres.stop()
        before = theatre.turned_away
        await until(lambda: theatre.turned_away >= before + 5, PATIENCE_S)
        own_postgres.start()
        theatre.injected += 1
        await theatre.acknowledged_more(100)

    await theatre.settled()


@pytest.mark.fault(14)
async def test_an_open_transaction_delays_only_its_own_event(theatre):
    theatre.both()
    await theatre.write(3)
    async with (
        create_pool(theatre.producer, name="slow", transaction_ms=120_000) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        slow = theatre.writer.next(school=SCHOOLS[0])
        await Outbox(SHARDS).add(connection, slow)
        await theatre.write(12)
        await until(lambda: theatre.copy_pool.fetchval("SELECT count(*) = 15 FROM effect"), PATIENCE_S)
        theatre.injected += 1

    await theatre.settled()
    assert slow.id in [id_ for _, _, id_ in await theatre.log()]


@pytest.mark.fault(14)
async def test_a_transaction_that_takes_too_long_is_ended_and_nothing_of_it_is_sealed(theatre):
    theatre.both()
    event = an_event(school=SCHOOLS[0])
    async with create_pool(theatre.producer, name="request", transaction_ms=300) as pool:
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            async with pool.acquire() as connection, connection.transaction():
                await Outbox(SHARDS).add(connection, event)
                await connection.execute("SELECT pg_sleep(5)")
    theatre.injected += 1
    await theatre.write(5)

    await theatre.settled()
    assert event.id not in [id_ for _, _, id_ in await theatre.log()]


@pytest.mark.fault(14)
async def test_an_idle_transaction_elsewhere_holds_nobody_up(theatre):
    theatre.both()
    async with (
        create_pool(theatre.copy, name="idle", transaction_ms=120_000) as pool,
        pool.acquire() as idle,
        idle.transaction(isolation="repeatable_read"),
    ):
        await idle.fetchval("SELECT count(*) FROM effect")
        await theatre.write(20)
        theatre.injected += 1

        await theatre.settled()
