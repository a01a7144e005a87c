"""Which course takes place in a room, as far as the copy of academics can tell."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attendance_svc.domain.freshness import RECENT
from attendance_svc.store.academics_copy import find_courses_in_room, roster
from contracts.ids import ClassroomId, CourseId, StudentId
from contracts.problems import UnavailableError
from infra.postgres import Pool, connection

AS_OF = """
SELECT CASE WHEN bool_and(state = 'running' AND as_of IS NOT NULL) THEN min(as_of) END AS as_of
FROM streams_checkpoint WHERE consumer = 'attendance.copy' AND source = 'academics'
"""
# Whether the copy of the course's shard is whole; of a course that it does not know, of every shard.
IS_WHOLE = """
SELECT coalesce(bool_and(state = 'running' AND as_of IS NOT NULL), false)
FROM (SELECT (SELECT shard FROM copy_course WHERE course_id = $1 LIMIT 1) AS shard OFFSET 0) AS s
CROSS JOIN LATERAL (
    SELECT state, as_of FROM streams_checkpoint
    WHERE consumer = 'attendance.copy' AND source = 'academics'
      AND shard BETWEEN coalesce(s.shard, 0) AND coalesce(s.shard, 32767) OFFSET 0
) AS k
"""


class CopiedTimetable:
    """Satisfies ports.Timetable from the copy of academics."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find_in_room(
        self, classroom_id: ClassroomId, at: datetime, *, margin: timedelta | None
    ) -> Sequence[CourseId] | None:
        if margin is None:
            return None
        async with connection(self._pool) as lent, lent.transaction(isolation="repeatable_read", readonly=True):
            as_of = await lent.fetchval(AS_OF)
            courses = await find_courses_in_room(lent, classroom_id, at)
        needed = at - RECENT if len(courses) == 1 else at + margin
        return courses if as_of is not None and as_of >= needed else None

    async def list_expected(self, course_id: CourseId, at: datetime) -> Sequence[StudentId]:
        async with connection(self._pool) as lent, lent.transaction(isolation="repeatable_read", readonly=True):
            if not await lent.fetchval(IS_WHOLE, course_id):
                raise UnavailableError("academics_down", "the copy is made anew")
            return await roster(lent, course_id, at)
