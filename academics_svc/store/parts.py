"""Classrooms, groups and the history of who belonged to a group."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg

from academics_svc.domain import Part, PartKind
from academics_svc.queries.parts import part_of
from academics_svc.store.writing import Writer, Written, check_repeat
from contracts.events.academics import GroupMembershipChanged
from contracts.events.envelope import Event
from contracts.ids import SchoolId
from contracts.problems import ConflictError, NotFoundError
from infra.postgres import Row

ADD_CLASSROOM = """
INSERT INTO classroom (id, school_id, name, request_digest) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO NOTHING RETURNING version, recorded_at
"""
ADD_GROUP = """
INSERT INTO student_group (id, school_id, name, request_digest) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO NOTHING RETURNING version, recorded_at
"""
FIND_CLASSROOM_DIGEST = "SELECT request_digest FROM classroom WHERE id = $1"
FIND_GROUP_DIGEST = "SELECT request_digest FROM student_group WHERE id = $1"
LOCK_CLASSROOM = """
SELECT id, school_id, name, retired_at, version FROM classroom WHERE id = $1 AND school_id = $2 FOR UPDATE
"""
LOCK_GROUP = """
SELECT id, school_id, name, retired_at, version FROM student_group WHERE id = $1 AND school_id = $2 FOR UPDATE
"""
HOLD_CLASSROOMS = """
SELECT id FROM classroom WHERE id = ANY($1::uuid[]) AND school_id = $2 AND retired_at IS NULL ORDER BY id FOR SHARE
"""
HOLD_GROUPS = """
SELECT id FROM student_group WHERE id = ANY($1::uuid[]) AND school_id = $2 AND retired_at IS NULL
ORDER BY id FOR SHARE
"""
CHANGE_CLASSROOM = """
UPDATE classroom SET name = $2, retired_at = CASE WHEN $3 THEN recorded_after(recorded_at) END,
       version = version + 1, recorded_at = recorded_after(recorded_at)
WHERE id = $1 RETURNING version, recorded_at
"""
CHANGE_GROUP = """
UPDATE student_group SET name = $2, retired_at = CASE WHEN $3 THEN recorded_after(recorded_at) END,
       version = version + 1, recorded_at = recorded_after(recorded_at)
WHERE id = $1 RETURNING version, recorded_at
"""
IS_CLASSROOM_NEEDED = """
SELECT EXISTS (
    SELECT FROM courses_classrooms l
    CROSS JOIN LATERAL (SELECT cancelled, end_at FROM course WHERE id = l.course_id OFFSET 0) AS c
    WHERE l.classroom_id = $1 AND l.recorded_to = 'infinity' AND NOT c.cancelled AND c.end_at > $2)
"""
IS_GROUP_NEEDED = """
SELECT EXISTS (
    SELECT FROM courses_student_groups l
    CROSS JOIN LATERAL (SELECT cancelled, end_at FROM course WHERE id = l.course_id OFFSET 0) AS c
    WHERE l.group_id = $1 AND l.recorded_to = 'infinity' AND NOT c.cancelled AND c.end_at > $2)
"""
FIND_MEMBERS = """
SELECT student_id FROM students_groups
WHERE group_id = $1 AND student_id = ANY($2::uuid[]) AND recorded_to = 'infinity'
"""
END_MEMBERS = """
UPDATE students_groups SET recorded_to = $3
WHERE group_id = $1 AND student_id = ANY($2::uuid[]) AND recorded_to = 'infinity'
"""
ADD_MEMBERS = """
INSERT INTO students_groups (group_id, student_id, recorded_from) SELECT $1, unnest($2::uuid[]), $3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The statements of one kind of part."""

    kind: PartKind
    add: str
    find_digest: str
    lock: str
    hold: str
    change: str
    is_needed: str


CLASSROOMS = Statements(
    kind="classroom",
    add=ADD_CLASSROOM,
    find_digest=FIND_CLASSROOM_DIGEST,
    lock=LOCK_CLASSROOM,
    hold=HOLD_CLASSROOMS,
    change=CHANGE_CLASSROOM,
    is_needed=IS_CLASSROOM_NEEDED,
)
GROUPS = Statements(
    kind="group",
    add=ADD_GROUP,
    find_digest=FIND_GROUP_DIGEST,
    lock=LOCK_GROUP,
    hold=HOLD_GROUPS,
    change=CHANGE_GROUP,
    is_needed=IS_GROUP_NEEDED,
)


class PostgresPartBook:
    """Satisfies ports.PartBook. statements: CLASSROOMS or GROUPS."""

    def __init__(self, writer: Writer, statements: Statements) -> None:
        self._writer, self._connection, self._sql = writer, writer.connection, statements

    async def add(self, part: Part, *, digest: bytes, announce: Event) -> None:
        with names_are_unique():
            row = await self._connection.fetchrow(self._sql.add, part.id, part.school_id, part.name, digest)
        if row is None:
            check_repeat(await self._connection.fetchrow(self._sql.find_digest, part.id), digest)
            return
        await self._writer.announce((announce, written_part(part, row)))

    async def lock(self, part_id: UUID, *, school_id: SchoolId) -> Part:
        row = await self._connection.fetchrow(self._sql.lock, part_id, school_id)
        if row is None:
            raise NotFoundError("not_found")
        return part_of(self._sql.kind, row)

    async def hold(self, part_ids: Collection[UUID], *, school_id: SchoolId) -> None:
        if part_ids and len(await self._connection.fetch(self._sql.hold, list(part_ids), school_id)) < len(part_ids):
            raise NotFoundError("not_found")

    async def change(self, part: Part, announce: Event) -> Part:
        with names_are_unique():
            row = await self._connection.fetchrow(self._sql.change, part.id, part.name, part.retired)
        if row is None:
            raise NotFoundError("not_found")
        await self._writer.announce((announce, written_part(part, row)))
        return replace(part, version=row["version"])

    async def is_needed(self, part_id: UUID, now: datetime) -> bool:
        return bool(await self._connection.fetchval(self._sql.is_needed, part_id, now))


class PostgresMemberBook:
    """Satisfies ports.MemberBook."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._connection = writer, writer.connection

    async def find(self, group_id: UUID, student_ids: Collection[UUID]) -> frozenset[UUID]:
        rows = await self._connection.fetch(FIND_MEMBERS, group_id, list(student_ids))
        return frozenset(row["student_id"] for row in rows)

    async def change(self, group: Part, announce: GroupMembershipChanged) -> Part:
        row = await self._connection.fetchrow(CHANGE_GROUP, group.id, group.name, group.retired)
        if row is None:
            raise NotFoundError("not_found")
        await self._connection.execute(END_MEMBERS, group.id, announce.removed, row["recorded_at"])
        await self._connection.execute(ADD_MEMBERS, group.id, announce.added, row["recorded_at"])
        await self._writer.announce((announce, written_part(group, row)))
        return replace(group, version=row["version"])


@contextmanager
def names_are_unique() -> Iterator[None]:
    """Raises: ConflictError("name_taken") when another part of the school has the name."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise ConflictError("name_taken") from error


def written_part(part: Part, row: Row) -> Written:
    """Columns version and recorded_at."""
    return Written(kind=part.kind, id=part.id, school_id=part.school_id, **dict(row))
