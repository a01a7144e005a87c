"""History cannot be rewritten."""

import asyncpg
import pytest

from infra.postgres import create_pool


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("academics")).app_url, name="test") as made:
        yield made


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
