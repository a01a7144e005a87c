"""History cannot be rewritten."""

import asyncpg
import pytest

from infra.postgres import create_pool


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test") as made:
        yield made


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
