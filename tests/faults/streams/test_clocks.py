"""Clocks that are off, and one that goes back: positions and milliseconds only rise, and no claim is false."""

import asyncpg
import pytest

from tests.faults.streams.theatre import PATIENCE_S
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.fault(16)]
# A schema that is searched before the system's own: what asks for the time in this database gets another one.
ANOTHER_CLOCK = """
CREATE SCHEMA another;
CREATE TABLE another.clock (ahead interval NOT NULL);
INSERT INTO another.clock VALUES ('0');
CREATE FUNCTION another.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
RETURN pg_catalog.clock_timestamp() + (SELECT ahead FROM another.clock);
CREATE FUNCTION another.now() RETURNS timestamptz LANGUAGE sql STABLE
RETURN pg_catalog.now() + (SELECT ahead FROM another.clock);
"""
NOT_RISING = """
SELECT count(*) FROM (SELECT sealed_ms - lag(sealed_ms) OVER (PARTITION BY shard ORDER BY pos) AS step FROM streams_log)
WHERE step < 0
"""


@pytest.mark.parametrize("ahead", ["2 seconds", "-2 seconds"])
@pytest.mark.parametrize("where", ["producer", "copy"])
async def test_a_clock_that_is_off_makes_no_claim_false(theatre, ahead, where):
    await shift(theatre, where, ahead)
    theatre.both()
    await theatre.write(50)
    await until(lambda: theatre.copy_pool.fetchval("SELECT bool_and(as_of IS NOT NULL) FROM streams_checkpoint"), 30)
    await theatre.write(50)

    await theatre.settled()


async def test_a_clock_that_goes_back_by_ten_seconds_stops_nothing(theatre):
    await shift(theatre, "producer", "0 seconds")
    theatre.both()
    async with theatre.load():
        await theatre.applied(50)
        await shift(theatre, "producer", "-10 seconds")
        await theatre.applied(await theatre.copy_pool.fetchval("SELECT count(*) FROM effect") + 50)

    await theatre.settled()
    assert await theatre.pool.fetchval(NOT_RISING) == 0


async def test_a_clock_that_jumps_by_two_minutes_stops_the_sealing_until_it_is_back(theatre):
    await shift(theatre, "producer", "0 seconds")
    theatre.both()
    await theatre.write(10)
    await theatre.settled()
    await shift(theatre, "producer", "2 minutes")
    await theatre.writer.paint(5)
    await until(lambda: "ClockJumpedError" in (theatre.folder / "relay.log").read_text(), PATIENCE_S)
    assert await theatre.pool.fetchval("SELECT count(*) FROM streams_log") == 10

    await shift(theatre, "producer", "0 seconds")

    await theatre.settled()
    assert len(await theatre.log()) == 15


async def shift(theatre, where, ahead):
    """Set the clock of a database that much ahead of the machine's."""
    url = getattr(theatre, where)
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT to_regnamespace('another') IS NOT NULL"):
            await connection.execute(ANOTHER_CLOCK)
            name = url.rpartition("/")[2]
            await connection.execute(f'ALTER DATABASE "{name}" SET search_path = another, pg_catalog, public')
            await (theatre.pool if where == "producer" else theatre.copy_pool).expire_connections()
        await connection.execute(f"UPDATE another.clock SET ahead = '{ahead}'")
    finally:
        await connection.close()
    theatre.injected += ahead != "0 seconds"
