"""Reads of courses as they are now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from academics_svc.domain import Course
from contracts.ids import CourseId, SchoolId
from infra.postgres import Connection, Row, planned_anew

READ_COURSES = "SELECT * FROM course_now WHERE id = ANY($1::uuid[]) ORDER BY id"
FIND_COURSE = "SELECT * FROM course_now WHERE id = $1 AND ($2::uuid IS NULL OR school_id = $2)"
# Each filter counts only when given; what it names is then found by its index.
LIST_COURSES = """
SELECT * FROM course_now
WHERE ($1::uuid IS NULL OR school_id = $1)
  AND ($2::timestamptz IS NULL OR end_at >= $2)
  AND ($3::timestamptz IS NULL OR start_at < $3)
  AND ($4::uuid IS NULL OR id = ANY(ARRAY(
        SELECT course_id FROM teachers_courses WHERE teacher_id = $4 AND recorded_to = 'infinity')))
  AND ($5::uuid IS NULL OR id = ANY(ARRAY(
        SELECT l.course_id FROM courses_student_groups l JOIN students_groups m USING (group_id)
        WHERE l.recorded_to = 'infinity' AND m.student_id = $5 AND m.recorded_to = 'infinity')))
  AND ($6::uuid IS NULL OR id = ANY(ARRAY(
        SELECT course_id FROM courses_student_groups WHERE group_id = $6 AND recorded_to = 'infinity')))
  AND ($7::uuid IS NULL OR id = ANY(ARRAY(
        SELECT course_id FROM courses_classrooms WHERE classroom_id = $7 AND recorded_to = 'infinity')))
  AND ($8::uuid IS NULL OR id > $8)
ORDER BY id LIMIT $9
"""
ATTENDS = """
SELECT EXISTS (
    SELECT FROM courses_student_groups l JOIN students_groups m USING (group_id)
    WHERE l.course_id = $1 AND l.recorded_to = 'infinity' AND m.student_id = $2 AND m.recorded_to = 'infinity')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseView:
    """A course as it is shown. default_delay_minutes: its school's."""

    course: Course
    default_delay_minutes: int

    @property
    def signature_closing_delay_minutes(self) -> int:
        """The delay that counts: the course's own, else its school's."""
        own = self.course.closing_delay_minutes
        return self.default_delay_minutes if own is None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseFilter:
    """Which courses are wanted; None: any. begins, ends: courses that overlap [begins, ends)."""

    school_id: UUID | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    teacher_id: UUID | None = None
    student_id: UUID | None = None
    group_id: UUID | None = None
    classroom_id: UUID | None = None


async def read_courses(connection: Connection, ids: Collection[UUID]) -> list[Course]:
    """Return the courses of `ids`, in the order of their ids."""
    return [course_of(row) for row in await connection.fetch(READ_COURSES, list(ids))]


async def find_course(connection: Connection, course_id: UUID, *, school_id: UUID | None) -> CourseView | None:
    """Return the course, cancelled or not. school_id: None for any school."""
    row = await connection.fetchrow(FIND_COURSE, course_id, school_id)
    return None if row is None else view_of(row)


async def list_courses(
    connection: Connection, wanted: CourseFilter, *, after: UUID | None, limit: int
) -> list[CourseView]:
    """Return the courses that fit, in the order of their ids."""
    async with planned_anew(connection):
        rows = await connection.fetch(
            LIST_COURSES,
            wanted.school_id,
            wanted.begins,
            wanted.ends,
            wanted.teacher_id,
            wanted.student_id,
            wanted.group_id,
            wanted.classroom_id,
            after,
            limit,
        )
    return [view_of(row) for row in rows]


async def attends(connection: Connection, course_id: UUID, student_id: UUID) -> bool:
    """Return whether the student is in a group of the course."""
    return bool(await connection.fetchval(ATTENDS, course_id, student_id))


def view_of(row: Row) -> CourseView:
    """Columns of the view course_now."""
    return CourseView(course=course_of(row), default_delay_minutes=row["default_signature_closing_delay_minutes"])


def course_of(row: Row) -> Course:
    """Columns of the view course_now."""
    return Course(
        id=CourseId(row["id"]),
        school_id=SchoolId(row["school_id"]),
        name=row["name"],
        start_at=row["start_at"],
        end_at=row["end_at"],
        is_online=row["is_online"],
        closing_delay_minutes=row["closing_delay_minutes"],
        signature_closed_at=row["signature_closed_at"],
        closed_by=row["closed_by"],
        signing_open_until=row["signing_open_until"],
        cancelled=row["cancelled"],
        version=row["version"],
        teacher_ids=frozenset(row["teacher_ids"]),
        group_ids=frozenset(row["group_ids"]),
        classroom_ids=frozenset(row["classroom_ids"]),
    )
