"""Code and schema agree, and history cannot be rewritten."""

import importlib
from pathlib import Path

import asyncpg
import pytest

import academics_svc
from infra.postgres import create_pool

ROOT = Path(academics_svc.__file__).parent
FILES = [file for folder in ("queries", "store") for file in sorted((ROOT / folder).glob("[a-z]*.py"))]


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("academics")).app_url, name="test") as made:
        yield made


async def test_every_statement_prepares_on_the_migrated_schema(pool):
    prepared = 0
    async with pool.acquire() as connection:
        for file in FILES:
            module = importlib.import_module(f"academics_svc.{file.parent.name}.{file.stem}")
            for name, sql in vars(module).items():
                if name.isupper() and isinstance(sql, str):
                    await connection.prepare(sql)
                    prepared += 1
    assert prepared > 40


HISTORY = [
    "school_preferences_version",
    "course_version",
    "students_groups",
    "teachers_courses",
    "courses_student_groups",
    "courses_classrooms",
]
FORBIDDEN = [
    *(f"DELETE FROM {table}" for table in [*HISTORY, "course", "school", "streams_log"]),
    *(f"UPDATE {table} SET recorded_from = now()" for table in HISTORY),
    *(f"TRUNCATE {table}" for table in HISTORY),
]


async def test_the_service_cannot_rewrite_what_was(pool):
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)
