"""What the database refuses the code."""

import asyncpg
import pytest

FORBIDDEN = [
    "DELETE FROM trail_entry",
    "UPDATE trail_entry SET reason = 'x'",
    "TRUNCATE trail_entry",
    "DELETE FROM app_user",
    "DELETE FROM device",
    "UPDATE streams_log SET type = 'x'",
    "CREATE TABLE x ()",
]


async def test_history_cannot_be_changed_by_the_service(pool):
    for statement in FORBIDDEN:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_nobody_is_two_things(pool):
    person = "3b241101-e2bb-4255-8caf-4136c566a962"
    await pool.execute(
        """INSERT INTO app_user (id, user_type, school_id, email, firstname, lastname, created_at)
        VALUES ($1, 'teacher', $1, 'a@b.example', 'A', 'B', now())""",
        person,
    )

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await pool.execute("INSERT INTO administrator (user_id) VALUES ($1)", person)
