"""The service's role may do only what it must, and what is asked often is found by its index."""

import asyncpg
import pytest

from beacon_svc import jobs
from beacon_svc.store import codes
from streams import seal
from tests.plans import counted_empty, indexes_of, scans_of


@pytest.fixture
async def connection(databases):
    async with counted_empty(await databases("beacon")) as lent:
        yield lent


@pytest.mark.parametrize("table", ["proof", "beacon", "beacon_key", "beacon_assignment", "streams_log"])
async def test_evidence_is_never_deleted_by_the_service(databases, table):
    connection = await asyncpg.connect((await databases("beacon")).app_url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"DELETE FROM {table}")

    await connection.close()


async def test_what_is_sealed_is_not_compared_with_everything_that_is_pending(connection):
    by_index, whole = await scans_of(connection, seal.EXTEND, {"streams_pending"})

    assert (by_index, whole) == ({"streams_pending"}, set())


@pytest.mark.parametrize(
    ("sql", "indexes"),
    [
        (codes.COUNT, {"flash_code_student"}),
        (codes.ADD, {"flash_code_student", "flash_code_number", "flash_code_pkey"}),
        (jobs.FORGET_CODES, {"flash_code_day", "flash_code_pkey"}),
    ],
    ids=["count", "add", "forget"],
)
async def test_codes_are_found_among_everybodys_by_what_is_asked_for(connection, sql, indexes):
    assert await indexes_of(connection, sql, "flash_code") == indexes
