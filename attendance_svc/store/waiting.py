"""What waits: attempts that could not be judged, and courses where somebody waits for nothing."""

from datetime import datetime
from uuid import UUID

from attendance_svc.domain.signatures import Signature
from attendance_svc.store.rows import from_row
from contracts.ids import CourseId
from infra.postgres import Pool, connection

LIST_WAITING = """
SELECT * FROM judged_signature
WHERE status = 'PENDING' AND reason = 'awaiting_validation' AND superseded_by IS NULL AND voided_at IS NULL
  AND (t, id) > ($1, $2)
ORDER BY t, id LIMIT $3
"""
LIST_OVERDUE = """
SELECT DISTINCT w.course_id
FROM signature w
WHERE w.status = 'PENDING' AND w.reason = 'awaiting_teacher' AND w.superseded_by IS NULL AND w.voided_at IS NULL
  AND (
    EXISTS (SELECT FROM course_settled s WHERE s.course_id = w.course_id)
    OR EXISTS (
        SELECT FROM signature s
        WHERE s.course_id = w.course_id AND s.kind = 'teacher' AND s.status IN ('ACCEPTED', 'LATE')
          AND s.superseded_by IS NULL AND s.voided_at IS NULL
    )
  )
ORDER BY w.course_id LIMIT $1
"""
NOWHERE = UUID(int=0)


class PostgresWaitingRoom:
    """Satisfies ports.WaitingRoom. Reads on connections of its own, outside of any transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_waiting(self, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Signature]:
        t, id_ = after or (datetime.fromisoformat("0001-01-01T00:00:00+00:00"), NOWHERE)
        async with connection(self._pool) as lent:
            return [from_row(row) for row in await lent.fetch(LIST_WAITING, t, id_, limit)]

    async def list_overdue(self, *, limit: int) -> list[CourseId]:
        async with connection(self._pool) as lent:
            return [CourseId(row["course_id"]) for row in await lent.fetch(LIST_OVERDUE, limit)]
