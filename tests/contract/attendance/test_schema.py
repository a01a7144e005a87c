"""Code and schema agree, and history cannot be rewritten."""

import importlib
from pathlib import Path

import asyncpg
import pytest

import attendance_svc
from infra.postgres import create_pool

ROOT = Path(attendance_svc.__file__).parent
MODULES = ["queries", *(f"store.{file.stem}" for file in sorted((ROOT / "store").glob("[a-z]*.py")))]
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test") as made:
        yield made


async def test_every_statement_prepares_on_the_migrated_schema(pool):
    statements = [
        value
        for name in MODULES
        for constant, value in vars(importlib.import_module(f"attendance_svc.{name}")).items()
        if constant.isupper() and isinstance(value, str) and value.split()[0] in VERBS
    ]

    assert len(statements) > 40
    async with pool.acquire() as connection:
        for sql in statements:
            await connection.prepare(sql)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE signature_transition SET reason = 'x'",
        "DELETE FROM signature_transition",
        "TRUNCATE signature_transition",
        "DELETE FROM signature",
        "TRUNCATE signature CASCADE",
        "DELETE FROM student_signature",
        "DELETE FROM teacher_signature",
        "UPDATE streams_log SET type = 'x'",
        "CREATE TABLE x ()",
    ],
)
async def test_the_service_cannot_rewrite_what_was(pool, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)
