"""Reads of classrooms and groups, and of who belongs to a group."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from academics_svc.domain import Part, PartKind
from contracts.ids import SchoolId
from infra.postgres import Connection, Row, planned_anew

FIND_CLASSROOM = """
SELECT id, school_id, name, retired_at, version FROM classroom
WHERE id = $1 AND ($2::uuid IS NULL OR school_id = $2)
"""
FIND_GROUP = """
SELECT id, school_id, name, retired_at, version FROM student_group
WHERE id = $1 AND ($2::uuid IS NULL OR school_id = $2)
"""
LIST_CLASSROOMS = """
SELECT id, school_id, name, retired_at, version FROM classroom
WHERE retired_at IS NULL AND ($1::uuid IS NULL OR school_id = $1) AND ($2::uuid IS NULL OR id > $2)
ORDER BY id LIMIT $3
"""
LIST_GROUPS = """
SELECT id, school_id, name, retired_at, version FROM student_group
WHERE retired_at IS NULL AND ($1::uuid IS NULL OR school_id = $1) AND ($2::uuid IS NULL OR id > $2)
ORDER BY id LIMIT $3
"""
LIST_MEMBERS = """
SELECT student_id, recorded_from FROM students_groups
WHERE group_id = $1 AND recorded_to = 'infinity' AND ($2::uuid IS NULL OR student_id > $2)
ORDER BY student_id LIMIT $3
"""
# OFFSET 0 keeps each look by itself, by its index: joined, it would be planned for a table of yesterday's size.
IS_CLASSROOM_OF_STUDENT = """
SELECT EXISTS (
    SELECT FROM students_groups m CROSS JOIN LATERAL (
        SELECT course_id FROM courses_student_groups WHERE group_id = m.group_id AND recorded_to = 'infinity' OFFSET 0
    ) AS g CROSS JOIN LATERAL (
        SELECT FROM courses_classrooms
        WHERE course_id = g.course_id AND classroom_id = $1 AND recorded_to = 'infinity' OFFSET 0
    ) AS r
    WHERE m.student_id = $2 AND m.recorded_to = 'infinity')
"""
IS_GROUP_OF_TEACHER = """
SELECT EXISTS (
    SELECT FROM courses_student_groups g CROSS JOIN LATERAL (
        SELECT FROM teachers_courses
        WHERE course_id = g.course_id AND teacher_id = $2 AND recorded_to = 'infinity' OFFSET 0
    ) AS t
    WHERE g.group_id = $1 AND g.recorded_to = 'infinity')
"""
FIND: Mapping[PartKind, str] = {"classroom": FIND_CLASSROOM, "group": FIND_GROUP}
LIST: Mapping[PartKind, str] = {"classroom": LIST_CLASSROOMS, "group": LIST_GROUPS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A student of a group. since: when the membership was recorded."""

    student_id: UUID
    since: datetime


async def find_part(connection: Connection, kind: PartKind, part_id: UUID, *, school_id: UUID | None) -> Part | None:
    """Return the classroom or group, retired or not. school_id: None for any school."""
    row = await connection.fetchrow(FIND[kind], part_id, school_id)
    return None if row is None else part_of(kind, row)


async def list_parts(
    connection: Connection, kind: PartKind, *, school_id: UUID | None, after: UUID | None, limit: int
) -> list[Part]:
    """Return classrooms or groups that are not retired, in the order of their ids."""
    async with planned_anew(connection):
        return [part_of(kind, row) for row in await connection.fetch(LIST[kind], school_id, after, limit)]


async def list_members(connection: Connection, group_id: UUID, *, after: UUID | None, limit: int) -> list[Member]:
    """Return the present members of a group, in the order of their ids."""
    rows = await connection.fetch(LIST_MEMBERS, group_id, after, limit)
    return [Member(student_id=row["student_id"], since=row["recorded_from"]) for row in rows]


async def is_classroom_of_student(connection: Connection, classroom_id: UUID, student_id: UUID) -> bool:
    """Return whether a course of the student is linked to the room."""
    return bool(await connection.fetchval(IS_CLASSROOM_OF_STUDENT, classroom_id, student_id))


async def is_group_of_teacher(connection: Connection, group_id: UUID, teacher_id: UUID) -> bool:
    """Return whether a course of the teacher is linked to the group."""
    return bool(await connection.fetchval(IS_GROUP_OF_TEACHER, group_id, teacher_id))


def part_of(kind: PartKind, row: Row) -> Part:
    """Columns as in FIND_CLASSROOM."""
    return Part(
        kind=kind,
        id=row["id"],
        school_id=SchoolId(row["school_id"]),
        name=row["name"],
        retired=row["retired_at"] is not None,
        version=row["version"],
    )
