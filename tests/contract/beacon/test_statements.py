"""Every statement fits the migrated schema, and the service's role may do only what it must."""

import importlib

import asyncpg
import pytest

MODULES = (
    "beacon_svc.jobs",
    "beacon_svc.queries.beacons",
    "beacon_svc.queries.nfc",
    "beacon_svc.store.academics",
    "beacon_svc.store.beacons",
    "beacon_svc.store.codes",
    "beacon_svc.store.proofs",
)
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


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
