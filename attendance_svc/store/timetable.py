"""Which course takes place in a room, as far as the copy of academics can tell."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attendance_svc.domain.attempts import Course
from attendance_svc.store.academics_copy import facts_as_of, find_courses_in_room, roster
from contracts.ids import ClassroomId, CourseId, StudentId, TeacherId
from infra.postgres import Pool, connection

# A yes may rest on what was known a moment before; "none" and "several" may not.
RECENT = timedelta(seconds=5)
NOBODY = StudentId(UUID(int=0))

AS_OF = """
SELECT CASE WHEN bool_and(state = 'running' AND as_of IS NOT NULL) THEN min(as_of) END AS as_of
FROM streams_checkpoint WHERE consumer = 'attendance.copy' AND source = 'academics'
"""


class CopiedTimetable:
    """Satisfies ports.Timetable from the copy of academics."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find_in_room(self, classroom_id: ClassroomId, at: datetime) -> Sequence[CourseId] | None:
        async with connection(self._pool) as lent, lent.transaction(isolation="repeatable_read", readonly=True):
            as_of = await lent.fetchval(AS_OF)
            courses = await find_courses_in_room(lent, classroom_id, at)
        needed = at - RECENT if len(courses) == 1 else at
        return courses if as_of is not None and as_of >= needed else None

    async def find_course(self, course_id: CourseId, at: datetime) -> tuple[Course, frozenset[TeacherId]] | None:
        async with connection(self._pool) as lent:
            known = await facts_as_of(lent, course_id, NOBODY, None, at)
        if known.plan is None or known.plan.course is None or known.as_of is None:
            return None
        return known.plan.course, known.teacher_ids

    async def list_expected(self, course_id: CourseId, at: datetime) -> Sequence[StudentId]:
        async with connection(self._pool) as lent:
            return await roster(lent, course_id, at)
