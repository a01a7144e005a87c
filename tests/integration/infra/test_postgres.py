"""A database that is away, busy or slow is a problem that may be tried again; a fault of ours stays one."""

import asyncio
import time
from uuid import uuid4

import asyncpg
import pytest

from contracts.problems import NotFoundError, UnavailableError
from infra.local.databases import with_database
from infra.local.ports import free_port
from infra.postgres import check_durable, connection, create_pool, transaction


@pytest.fixture
async def pool(blank_database):
    async with create_pool(blank_database, name="test", size=2) as made:
        await made.execute("CREATE TABLE room (id int PRIMARY KEY, name text)")
        yield made


async def count(pool):
    return await pool.fetchval("SELECT count(*) FROM room")


async def test_leaving_a_transaction_keeps_what_was_done(pool):
    async with transaction(pool) as lent:
        await lent.execute("INSERT INTO room VALUES (1)")

    assert await count(pool) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError(), NotFoundError("not_found"), asyncio.CancelledError()])
async def test_an_exception_rolls_everything_back_and_stays_what_it_is(error, pool):
    with pytest.raises(type(error)):
        async with transaction(pool) as lent:
            await lent.execute("INSERT INTO room VALUES (1)")
            raise error

    assert await count(pool) == 0


async def test_a_broken_rule_of_the_schema_stays_what_it_is(pool):
    with pytest.raises(asyncpg.UniqueViolationError):
        async with transaction(pool) as lent:
            await lent.execute("INSERT INTO room VALUES (1), (1)")


@pytest.mark.parametrize("value", ["\0", "\ud800", 5, ["x"], object()])
async def test_an_argument_that_postgres_cannot_hold_is_a_fault_of_ours(value, pool):
    with pytest.raises((asyncpg.DataError, UnicodeEncodeError, TypeError)):
        async with transaction(pool) as lent:
            await lent.execute("INSERT INTO room VALUES (1, $1)", value)


async def test_a_server_that_is_not_there_is_down():
    async with create_pool(f"postgresql://x:x@127.0.0.1:{free_port()}/x", name="test") as pool:
        with pytest.raises(UnavailableError, match="ConnectionRefusedError"):
            async with connection(pool):
                raise AssertionError


async def test_a_database_that_is_not_there_or_not_ours_is_no_outage(postgres):
    async with create_pool(with_database(postgres.admin_url, f"t_{uuid4().hex}"), name="test") as pool:
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            async with connection(pool):
                raise AssertionError


async def test_a_connection_that_breaks_is_down_and_the_next_one_works(pool, blank_database):
    admin = await asyncpg.connect(blank_database)
    with pytest.raises(UnavailableError) as caught:
        async with transaction(pool) as lent:
            await admin.execute("SELECT pg_terminate_backend($1)", lent.get_server_pid())
            await lent.execute("SELECT 1")
    await admin.close()

    assert caught.value.code == "database_down"
    assert await count(pool) == 0


async def test_without_a_free_connection_one_waits_and_is_then_told(pool, monkeypatch):
    monkeypatch.setattr("infra.postgres.ACQUIRE_TIMEOUT_S", 0.2)
    async with connection(pool), connection(pool):
        begun_s = time.monotonic()
        with pytest.raises(UnavailableError):
            async with connection(pool):
                raise AssertionError

    assert time.monotonic() - begun_s > 0.19


async def test_who_waits_for_a_lock_in_vain_is_told_so_before_the_transaction_ends(pool, blank_database):
    await pool.execute("INSERT INTO room VALUES (1)")
    holder = await asyncpg.connect(blank_database)
    async with holder.transaction():
        await holder.execute("UPDATE room SET name = 'a'")

        begun_s = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            async with transaction(pool) as lent:
                await lent.execute("UPDATE room SET name = 'b'")

        assert isinstance(caught.value.__cause__, asyncpg.LockNotAvailableError)
        assert time.monotonic() - begun_s > 0.7
    await holder.close()
    assert await pool.fetchval("SELECT name FROM room") == "a"


async def test_a_transaction_that_takes_too_long_is_ended(blank_database):
    async with create_pool(blank_database, name="test", transaction_ms=200) as pool:
        with pytest.raises(UnavailableError):
            async with transaction(pool) as lent:
                await lent.execute("SELECT pg_sleep(2)")

        assert await pool.fetchval("SELECT 1") == 1


async def test_transactions_that_wait_for_each_other_end(pool):
    await pool.execute("INSERT INTO room VALUES (1), (2)")
    both = asyncio.Barrier(2)

    async def change(first, second):
        async with transaction(pool) as lent:
            await lent.execute("UPDATE room SET name = 'x' WHERE id = $1", first)
            await both.wait()
            await lent.execute("UPDATE room SET name = 'x' WHERE id = $1", second)

    answers = await asyncio.gather(change(1, 2), change(2, 1), return_exceptions=True)

    refused = [answer for answer in answers if answer is not None]
    assert refused
    assert {type(answer) for answer in refused} == {UnavailableError}


async def test_a_request_that_gives_up_gives_its_connection_back(pool):
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), transaction(pool) as lent:
                await lent.execute("SELECT pg_sleep(0.5)")

    assert await count(pool) == 0


async def test_durability_that_is_off_is_named(pool, blank_database):
    assert await check_durable(pool) == ["fsync"]

    admin = await asyncpg.connect(blank_database)
    await admin.execute(f'ALTER DATABASE "{blank_database.rpartition("/")[2]}" SET synchronous_commit = off')
    await admin.close()
    async with create_pool(blank_database, name="other") as other:
        assert await check_durable(other) == ["fsync", "synchronous_commit"]
