"""What waits: attempts that could not be judged, and courses where somebody waits for nothing."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from attendance_svc.domain.signatures import Signature
from attendance_svc.store.rows import from_row
from contracts.ids import CourseId
from infra.postgres import Pool, connection

LIST_WAITING = """
SELECT * FROM judged_signature
WHERE status = 'PENDING' AND reason = 'awaiting_validation' AND superseded_by IS NULL AND voided_at IS NULL
  AND (t, id) > ($1, $2) AND t <= coalesce($3::timestamptz, 'infinity') AND ($4 OR claim IS NULL)
ORDER BY t, id LIMIT $5
"""
LIST_OVERDUE = """
SELECT DISTINCT w.course_id
FROM (
    SELECT course_id FROM signature
    WHERE status = 'PENDING' AND reason = 'awaiting_teacher' AND superseded_by IS NULL AND voided_at IS NULL OFFSET 0
) AS w
WHERE EXISTS (SELECT FROM course_settled s WHERE s.course_id = w.course_id OFFSET 0)
   OR EXISTS (
        SELECT FROM signature s
        WHERE s.course_id = w.course_id AND s.kind = 'teacher' AND s.status IN ('ACCEPTED', 'LATE')
          AND s.superseded_by IS NULL AND s.voided_at IS NULL OFFSET 0
   )
ORDER BY w.course_id LIMIT $1
"""
COUNT_PENDING = """
SELECT reason, count(*) AS count FROM signature
WHERE status = 'PENDING' AND superseded_by IS NULL AND voided_at IS NULL GROUP BY reason
"""
FIND_OLDEST_AS_OF = """
SELECT CASE WHEN bool_and(as_of IS NOT NULL) THEN min(as_of) END FROM streams_checkpoint
WHERE consumer = 'attendance.copy' AND source = 'academics'
"""
NOWHERE = UUID(int=0)


class PostgresWaitingRoom:
    """Satisfies ports.WaitingRoom. Reads on connections of its own, outside of any transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_waiting(
        self, *, after: tuple[datetime, UUID] | None, until: datetime | None, with_claims: bool, limit: int
    ) -> list[Signature]:
        t, id_ = after or (datetime.fromisoformat("0001-01-01T00:00:00+00:00"), NOWHERE)
        async with connection(self._pool) as lent:
            rows = await lent.fetch(LIST_WAITING, t, id_, until, with_claims, limit)
        return [from_row(row) for row in rows]

    async def list_overdue(self, *, limit: int) -> list[CourseId]:
        async with connection(self._pool) as lent:
            return [CourseId(row["course_id"]) for row in await lent.fetch(LIST_OVERDUE, limit)]


class PostgresBacklog:
    """Satisfies jobs.Backlog."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def count_pending(self) -> Mapping[str, int]:
        async with connection(self._pool) as lent:
            return {row["reason"]: row["count"] for row in await lent.fetch(COUNT_PENDING)}

    async def find_oldest_as_of(self) -> datetime | None:
        async with connection(self._pool) as lent:
            as_of: datetime | None = await lent.fetchval(FIND_OLDEST_AS_OF)
            return as_of
