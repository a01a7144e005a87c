"""Note which published sheets no longer say how it is. Part of every change of a signature."""

from collections.abc import Collection
from uuid import UUID

from infra.postgres import Connection

# Adds rows and waits for nobody. Publishing holds the course's lock alone, so `version` cannot change meanwhile.
MARK = """
INSERT INTO sheet_change (course_id) SELECT course_id FROM sheet WHERE course_id = ANY ($1::uuid[]) AND version > 0
"""


async def mark_changes(connection: Connection, course_ids: Collection[UUID]) -> None:
    """Have the sheets of these courses published again, those that were published; the caller holds their locks."""
    await connection.execute(MARK, list(course_ids))
