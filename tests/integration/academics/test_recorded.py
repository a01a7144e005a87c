"""The clock of history rows."""

from datetime import timedelta

import asyncpg
import pytest

from streams.schema import prepare


@pytest.fixture
async def academics(databases):
    connection = await asyncpg.connect((await databases("academics")).migrate_url)
    yield connection
    await connection.close()


async def test_nothing_is_recorded_at_a_time_that_was_already_promised(academics):
    await prepare(academics, source="academics", shard_count=4)
    promised = await academics.fetchval(
        "UPDATE streams_shard SET closed_t = clock_timestamp() + interval '10 s' WHERE shard = 2 RETURNING closed_t"
    )

    assert await academics.fetchval("SELECT recorded_now()") >= promised


async def test_before_anything_is_promised_it_is_the_time(academics):
    asked = await academics.fetchval("SELECT clock_timestamp()")

    assert timedelta(0) <= await academics.fetchval("SELECT recorded_now()") - asked < timedelta(seconds=5)
