"""Every statement fits the migrated schema, and the service's role may do only what it must."""

import importlib

import asyncpg
import pytest

from beacon_svc import jobs
from beacon_svc.store import codes, proofs
from infra.postgres import create_pool
from streams import seal
from tests.plans import comparisons_of, indexes_of, scans_of

MODULES = (
    "beacon_svc.jobs",
    "beacon_svc.queries.beacons",
    "beacon_svc.queries.nfc",
    "beacon_svc.store.academics",
    "beacon_svc.store.beacons",
    "beacon_svc.store.codes",
    "beacon_svc.store.proofs",
    "beacon_svc.store.public_keys",
)
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
GROWING = ("proof", "flash_code", "beacon_key")
FOR_EVERY_PROOF = (
    "LOCK_KEYS",
    "LIST_AROUND",
    "LIST_BY_SEQ",
    "LOCK_CODES",
    "KEEP",
    "ACKNOWLEDGE",
    "SETTLE",
    "CLAIM_DUE",
)


@pytest.fixture
async def counted_empty(databases):
    """A connection of the service, to tables that were counted while they were empty."""
    urls = await databases("beacon")
    owner = await asyncpg.connect(urls.admin_url)
    await owner.execute("ANALYZE")
    await owner.close()
    async with create_pool(urls.app_url, name="test", by_index=True) as pool, pool.acquire() as lent:
        yield lent


async def test_every_statement_prepares(databases):
    connection = await asyncpg.connect((await databases("beacon")).app_url)
    for module in MODULES:
        values = vars(importlib.import_module(module)).values()
        statements = [value for value in values if isinstance(value, str) and value.strip().startswith(VERBS)]
        assert statements
        for sql in statements:
            await connection.prepare(sql)
    await connection.close()


@pytest.mark.parametrize("table", ["proof", "beacon", "beacon_key", "beacon_assignment", "streams_log"])
async def test_evidence_is_never_deleted_by_the_service(databases, table):
    connection = await asyncpg.connect((await databases("beacon")).app_url)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"DELETE FROM {table}")

    await connection.close()


async def test_a_plan_that_was_made_for_empty_tables_still_serves_full_ones(counted_empty):
    for name in FOR_EVERY_PROOF:
        by_index, whole = await scans_of(counted_empty, getattr(proofs, name), GROWING)

        assert by_index, name
        assert not whole, name
        assert not await comparisons_of(counted_empty, getattr(proofs, name)), name


async def test_what_is_sealed_is_not_compared_with_everything_that_is_pending(counted_empty):
    by_index, whole = await scans_of(counted_empty, seal.EXTEND, {"streams_pending"})

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
async def test_codes_are_found_among_everybodys_by_what_is_asked_for(counted_empty, sql, indexes):
    assert await indexes_of(counted_empty, sql, "flash_code") == indexes
