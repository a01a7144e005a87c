"""Reads of schools and their preferences."""

from uuid import UUID

from academics_svc.domain import Preferences, School
from contracts.ids import SchoolId
from infra.postgres import Connection, Row

FIND_SCHOOL = "SELECT id, name, retired_at, version FROM school WHERE id = $1"
LIST_SCHOOLS = """
SELECT id, name, retired_at, version FROM school
WHERE retired_at IS NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2
"""
FIND_PREFERENCES = """
SELECT id, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
       students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
       early_open_minutes, late_grace_minutes, version
FROM school_preferences
WHERE school_id = $1 AND EXISTS (SELECT FROM school WHERE id = $1 AND retired_at IS NULL)
"""


async def find_school(connection: Connection, school_id: UUID) -> School | None:
    """Return the school, retired or not."""
    row = await connection.fetchrow(FIND_SCHOOL, school_id)
    return None if row is None else school_of(row)


async def list_schools(connection: Connection, *, after: UUID | None, limit: int) -> list[School]:
    """Return the schools that are not retired, in the order of their ids."""
    return [school_of(row) for row in await connection.fetch(LIST_SCHOOLS, after, limit)]


async def find_preferences(connection: Connection, school_id: UUID) -> Preferences | None:
    """Return the preferences of a school that is not retired."""
    row = await connection.fetchrow(FIND_PREFERENCES, school_id)
    return None if row is None else preferences_of(row)


def school_of(row: Row) -> School:
    """Columns as in FIND_SCHOOL."""
    return School(
        id=SchoolId(row["id"]), name=row["name"], retired=row["retired_at"] is not None, version=row["version"]
    )


def preferences_of(row: Row) -> Preferences:
    """Columns as in FIND_PREFERENCES, whose names are the fields'."""
    return Preferences(**dict(row))
