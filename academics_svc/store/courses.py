"""Courses, what they are linked to, and the history of both."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from academics_svc.domain import Course
from academics_svc.queries.courses import read_courses
from academics_svc.store.writing import Writer, Written, check_repeat
from contracts.events.academics import CourseState
from contracts.ids import SchoolId
from contracts.problems import NotFoundError
from infra.postgres import Row

ADD_COURSE = """
INSERT INTO course (id, school_id, name, start_at, end_at, is_online, closing_delay_minutes, request_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO NOTHING RETURNING id, version, recorded_at
"""
FIND_COURSE_DIGEST = "SELECT request_digest FROM course WHERE id = $1"
FIND_KNOWN = "SELECT id FROM course WHERE id = ANY($1::uuid[])"
LOCK_COURSE = "SELECT id FROM course WHERE id = $1 AND school_id = $2 FOR UPDATE"
CHANGE_COURSE = """
UPDATE course SET name = $2, start_at = $3, end_at = $4, is_online = $5, closing_delay_minutes = $6,
       signature_closed_at = $7, closed_by = $8, signing_open_until = $9, cancelled = $10,
       version = version + 1, recorded_at = recorded_after(recorded_at)
WHERE id = $1 RETURNING id, version, recorded_at
"""
# Found by its index, and changed by its place, which stays: who changes many has locked them. OFFSET 0, here and below,
# keeps each look at a table by itself: joined, a batch may be compared with the whole table.
CHANGE_SIGNING = """
UPDATE course c SET signature_closed_at = n.closed_at, closed_by = n.closed_by, signing_open_until = n.open_until,
       version = c.version + 1, recorded_at = recorded_after(c.recorded_at)
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::timestamptz[]) AS n (id, closed_at, closed_by, open_until)
CROSS JOIN LATERAL (SELECT ctid AS place FROM course WHERE id = n.id OFFSET 0) AS f
WHERE c.ctid = f.place RETURNING c.id, c.version, c.recorded_at
"""
END_COURSE_VERSIONS = """
UPDATE course_version v SET recorded_to = (SELECT recorded_at FROM course WHERE id = v.course_id)
WHERE course_id = ANY($1::uuid[]) AND recorded_to = 'infinity'
"""
ADD_COURSE_VERSIONS = """
INSERT INTO course_version (
    course_id, version, name, start_at, end_at, is_online, closing_delay_minutes,
    signature_closed_at, closed_by, signing_open_until, cancelled, recorded_from)
SELECT id, version, name, start_at, end_at, is_online, closing_delay_minutes,
    signature_closed_at, closed_by, signing_open_until, cancelled, recorded_at
FROM course WHERE id = ANY($1::uuid[])
"""
END_TEACHERS = """
UPDATE teachers_courses SET recorded_to = $3
WHERE course_id = $1 AND recorded_to = 'infinity' AND teacher_id <> ALL($2::uuid[])
"""
ADD_TEACHERS = """
INSERT INTO teachers_courses (course_id, teacher_id, recorded_from) SELECT $1, unnest($2::uuid[]), $3
ON CONFLICT (course_id, teacher_id) WHERE recorded_to = 'infinity' DO NOTHING
"""
END_GROUPS = """
UPDATE courses_student_groups SET recorded_to = $3
WHERE course_id = $1 AND recorded_to = 'infinity' AND group_id <> ALL($2::uuid[])
"""
ADD_GROUPS = """
INSERT INTO courses_student_groups (course_id, group_id, recorded_from) SELECT $1, unnest($2::uuid[]), $3
ON CONFLICT (course_id, group_id) WHERE recorded_to = 'infinity' DO NOTHING
"""
END_CLASSROOMS = """
UPDATE courses_classrooms SET recorded_to = $3
WHERE course_id = $1 AND recorded_to = 'infinity' AND classroom_id <> ALL($2::uuid[])
"""
ADD_CLASSROOMS = """
INSERT INTO courses_classrooms (course_id, classroom_id, recorded_from) SELECT $1, unnest($2::uuid[]), $3
ON CONFLICT (course_id, classroom_id) WHERE recorded_to = 'infinity' DO NOTHING
"""
LOCK_CLOSED_BY_JOB = """
SELECT id FROM course WHERE school_id = $1 AND closed_by = 'job' AND NOT cancelled AND end_at > $2
ORDER BY id FOR UPDATE
"""
FIND_DUE = """
SELECT c.id, c.school_id FROM (
    SELECT * FROM course WHERE signature_closed_at IS NULL AND NOT cancelled AND start_at <= $1 OFFSET 0
) AS c
CROSS JOIN LATERAL (SELECT * FROM school_preferences WHERE school_id = c.school_id OFFSET 0) AS p
WHERE coalesce(c.signing_open_until, least(c.end_at, c.start_at + make_interval(mins => p.late_grace_minutes
        + coalesce(c.closing_delay_minutes, p.default_signature_closing_delay_minutes)))) <= $1
ORDER BY c.id LIMIT $2
"""
LOCK_FREE = "SELECT id FROM course WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED"


class PostgresCourseBook:
    """Satisfies ports.CourseBook."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._connection = writer, writer.connection

    async def add(self, course: Course, *, digest: bytes, announce: CourseState) -> None:
        row = await self._connection.fetchrow(
            ADD_COURSE,
            course.id,
            course.school_id,
            course.name,
            course.start_at,
            course.end_at,
            course.is_online,
            course.closing_delay_minutes,
            digest,
        )
        if row is None:
            check_repeat(await self._connection.fetchrow(FIND_COURSE_DIGEST, course.id), digest)
            return
        nothing = replace(course, teacher_ids=frozenset(), group_ids=frozenset(), classroom_ids=frozenset())
        await self._keep_versions([course.id])
        await self._keep_links(nothing, course, row["recorded_at"])
        await self._writer.announce((announce, written_course(course, row)))

    async def find_known(self, course_ids: Collection[UUID]) -> frozenset[UUID]:
        return frozenset(row["id"] for row in await self._connection.fetch(FIND_KNOWN, list(course_ids)))

    async def lock(self, course_id: UUID, *, school_id: SchoolId) -> Course:
        if await self._connection.fetchval(LOCK_COURSE, course_id, school_id) is None:
            raise NotFoundError("not_found")
        # In a statement of its own: the one that waited for the lock would still see the links as they were before.
        [course] = await read_courses(self._connection, [course_id])
        return course

    async def change(self, before: Course, after: Course, announce: CourseState) -> Course:
        row = await self._connection.fetchrow(
            CHANGE_COURSE,
            after.id,
            after.name,
            after.start_at,
            after.end_at,
            after.is_online,
            after.closing_delay_minutes,
            after.signature_closed_at,
            after.closed_by,
            after.signing_open_until,
            after.cancelled,
        )
        if row is None:
            raise NotFoundError("not_found")
        await self._keep_versions([after.id])
        await self._keep_links(before, after, row["recorded_at"])
        await self._writer.announce((announce, written_course(after, row)))
        return replace(after, version=row["version"])

    async def change_signing(self, news: Sequence[tuple[Course, CourseState]]) -> None:
        if not news:
            return
        courses = {course.id: (course, event) for course, event in news}
        rows = await self._connection.fetch(
            CHANGE_SIGNING,
            list(courses),
            [course.signature_closed_at for course, _ in courses.values()],
            [course.closed_by for course, _ in courses.values()],
            [course.signing_open_until for course, _ in courses.values()],
        )
        await self._keep_versions(courses)
        written = ((courses[row["id"]], row) for row in rows)
        await self._writer.announce(*((event, written_course(course, row)) for (course, event), row in written))

    async def lock_closed_by_job(self, school_id: SchoolId, now: datetime) -> list[Course]:
        rows = await self._connection.fetch(LOCK_CLOSED_BY_JOB, school_id, now)
        return await read_courses(self._connection, [row["id"] for row in rows])

    async def find_due(self, now: datetime, limit: int) -> Mapping[UUID, SchoolId]:
        return {row["id"]: SchoolId(row["school_id"]) for row in await self._connection.fetch(FIND_DUE, now, limit)}

    async def lock_free(self, course_ids: Collection[UUID]) -> list[Course]:
        rows = await self._connection.fetch(LOCK_FREE, list(course_ids))
        return await read_courses(self._connection, [row["id"] for row in rows])

    async def _keep_versions(self, ids: Collection[UUID]) -> None:
        await self._connection.execute(END_COURSE_VERSIONS, list(ids))
        await self._connection.execute(ADD_COURSE_VERSIONS, list(ids))

    async def _keep_links(self, before: Course, after: Course, at: datetime) -> None:
        for end, add, old, new in (
            (END_TEACHERS, ADD_TEACHERS, before.teacher_ids, after.teacher_ids),
            (END_GROUPS, ADD_GROUPS, before.group_ids, after.group_ids),
            (END_CLASSROOMS, ADD_CLASSROOMS, before.classroom_ids, after.classroom_ids),
        ):
            if old != new:
                await self._connection.execute(end, after.id, list(new), at)
                await self._connection.execute(add, after.id, list(new), at)


def written_course(course: Course, row: Row) -> Written:
    """Columns version and recorded_at."""
    return Written(
        kind="course",
        id=course.id,
        school_id=course.school_id,
        version=row["version"],
        recorded_at=row["recorded_at"],
    )
