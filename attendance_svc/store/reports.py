"""Count over many courses what became of their students, from the copy of academics and the signatures."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from attendance_svc.domain.reports import (
    Attended,
    Found,
    Report,
    ReportScope,
    StudentReport,
    is_over,
    state_of,
    tally,
)
from contracts.ids import CourseId, SchoolId, SignatureId, StudentId
from contracts.problems import InvalidInputError, UnavailableError
from infra.postgres import Connection, Pool, Row, columns, connection, planned_anew
from streams.names import shard_of

# Each course as it is now, with the groups that count: those recorded at its end, or by now, as for its sheet
# (academics_copy.ROSTER); a course that was entered only afterwards has those it began with.
LIST_COURSES = """
SELECT c.course_id, c.start_at, c.end_at, v.group_ids, v.at
FROM (
    SELECT course_id, start_at, end_at, least(end_at, $4::timestamptz) AS at FROM copy_course
    WHERE school_id = $1 AND recorded_to = 'infinity' AND start_at >= $2 AND start_at < $3 AND NOT cancelled
      AND ($5::uuid IS NULL OR course_id = $5) AND ($6::uuid IS NULL OR $6 = ANY (teacher_ids)) OFFSET 0
) AS c
CROSS JOIN LATERAL (
    SELECT group_ids, greatest(c.at, recorded_from) AS at FROM copy_course WHERE course_id = c.course_id
    ORDER BY recorded_from <= c.at DESC, CASE WHEN recorded_from <= c.at THEN version END DESC, version LIMIT 1
) AS v
WHERE ($7::uuid IS NULL OR $7 = ANY (v.group_ids))
  AND ($8::uuid IS NULL OR EXISTS (
      SELECT FROM copy_membership
      WHERE student_id = $8 AND group_id = ANY (v.group_ids) AND ($7::uuid IS NULL OR group_id = $7)
        AND recorded_from <= v.at AND v.at < recorded_to))
ORDER BY c.start_at, c.course_id LIMIT $9
"""
# Whether the copy holds all that academics said of the school's courses and groups. What was put aside counts as the
# school's unless it is known to be another's: it may be the only word of a course or of a whole group.
IS_SOUND = """
SELECT EXISTS (
    SELECT FROM streams_checkpoint
    WHERE consumer = 'attendance.copy' AND source = 'academics' AND shard = $1 AND state = 'running'
      AND as_of IS NOT NULL
) AND NOT EXISTS (
    SELECT FROM streams_parked AS q
    WHERE consumer = 'attendance.copy' AND source = 'academics' AND shard = $1 AND dropped_at IS NULL
      AND coalesce(type, '') NOT LIKE 'academics.preferences.%'
      AND coalesce((SELECT school_id FROM copy_group WHERE group_id = q.agg_id),
                   (SELECT school_id FROM copy_course WHERE course_id = q.agg_id LIMIT 1), $2) = $2
)
"""
# The groups of the courses, and when their members count: of students behind $5, the first $6 and one more. Who is in
# two groups of a course is expected once. What counts most of each is found as for a sheet (queries.LIST_STATES).
COUNT = """
WITH expected AS MATERIALIZED (
    SELECT DISTINCT g.course_id, g.is_over, m.student_id
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::boolean[]) AS g (course_id, group_id, at, is_over)
    CROSS JOIN LATERAL (
        SELECT student_id FROM copy_membership
        WHERE group_id = g.group_id AND recorded_from <= g.at AND g.at < recorded_to
          AND ($5::uuid IS NULL OR student_id > $5) OFFSET 0
    ) AS m
), last AS (
    SELECT DISTINCT student_id FROM expected ORDER BY student_id OFFSET $6 LIMIT 1
)
SELECT e.student_id, s.status, e.is_over, count(*) AS count
FROM (
    SELECT * FROM expected
    WHERE student_id <= coalesce((SELECT student_id FROM last), 'ffffffff-ffff-ffff-ffff-ffffffffffff') OFFSET 0
) AS e
LEFT JOIN LATERAL (
    SELECT status FROM signature
    WHERE course_id = e.course_id AND subject_id = e.student_id AND kind = 'student'
      AND superseded_by IS NULL AND voided_at IS NULL
    ORDER BY array_position(ARRAY['ACCEPTED', 'LATE', 'PENDING', 'REFUSED'], status) LIMIT 1
) AS s ON true
GROUP BY e.student_id, s.status, e.is_over ORDER BY e.student_id
"""
LIST_STATES = """
SELECT a.course_id, s.*
FROM unnest($1::uuid[]) AS a (course_id)
CROSS JOIN LATERAL (
    SELECT id, status, reason, method, t FROM signature
    WHERE course_id = a.course_id AND subject_id = $2 AND kind = 'student'
      AND superseded_by IS NULL AND voided_at IS NULL
    ORDER BY array_position(ARRAY['ACCEPTED', 'LATE', 'PENDING', 'REFUSED'], status), t, id LIMIT 1
) AS s
"""

# Of columns that are None when there is no signature.
NOTHING: dict[str, None] = dict.fromkeys(("status", "reason", "method", "t", "id"))
ALL = 2**31 - 1
# Of one group or person these are twelve a day, in the longest span that may be asked for.
MAX_COURSES = 5_000


class PostgresReports:
    """Satisfies ports.Reports. A report is one snapshot in three statements, however many courses it is about."""

    def __init__(self, pool: Pool, *, shard_count: int) -> None:
        self._pool, self._shard_count = pool, shard_count

    async def count(
        self, scope: ReportScope, *, now: datetime, after: UUID | None = None, limit: int | None = None
    ) -> Report:
        async with (
            connection(self._pool) as lent,
            lent.transaction(isolation="repeatable_read", readonly=True),
            planned_anew(lent),
        ):
            await self._require_sound(lent, scope.school_id)
            courses = await _list_courses(lent, scope, now)
            if scope.student_id is None:
                students = await _count(
                    lent, _groups(courses, scope.group_id, now), after, ALL if limit is None else limit
                )
            else:
                is_before = after is None or scope.student_id > after
                students = [await _follow(lent, scope.student_id, courses, now)] if courses and is_before else []
        return Report(course_count=len(courses), students=students)

    async def _require_sound(self, lent: Connection, school_id: SchoolId) -> None:
        if not await lent.fetchval(IS_SOUND, shard_of(school_id, self._shard_count), school_id):
            raise UnavailableError("academics_down", "the copy lacks something")


async def _list_courses(lent: Connection, scope: ReportScope, now: datetime) -> Sequence[Row]:
    rows = await lent.fetch(
        LIST_COURSES,
        scope.school_id,
        scope.since,
        scope.until,
        now,
        scope.course_id,
        scope.teacher_id,
        scope.group_id,
        scope.student_id,
        MAX_COURSES + 1,
    )
    if len(rows) > MAX_COURSES:
        raise InvalidInputError("report_too_large")
    return rows


def _groups(courses: Sequence[Row], wanted: UUID | None, now: datetime) -> list[tuple[object, ...]]:
    """Columns as in COUNT."""
    return [
        (row["course_id"], group_id, row["at"], is_over(row["end_at"], now))
        for row in courses
        for group_id in row["group_ids"]
        if wanted in (None, group_id)
    ]


async def _count(
    lent: Connection, groups: Sequence[tuple[object, ...]], after: UUID | None, limit: int
) -> list[StudentReport]:
    rows = await lent.fetch(COUNT, *columns(groups, 4), after, limit - 1)
    return [
        StudentReport(student_id=StudentId(id_), tally=tally(_found(row) for row in of_student))
        for id_, of_student in groupby(rows, key=itemgetter("student_id"))
    ]


def _found(row: Row) -> Found:
    """Columns as in COUNT."""
    return Found(status=row["status"], is_over=row["is_over"], count=row["count"])


async def _follow(lent: Connection, student_id: StudentId, courses: Sequence[Row], now: datetime) -> StudentReport:
    rows = await lent.fetch(LIST_STATES, [row["course_id"] for row in courses], student_id)
    states = {row["course_id"]: row for row in rows}
    found = [(course, states.get(course["course_id"], NOTHING)) for course in courses]
    return StudentReport(
        student_id=student_id,
        tally=tally(Found(status=state["status"], is_over=is_over(course["end_at"], now)) for course, state in found),
        courses=[_attended(course, state, now) for course, state in found],
    )


def _attended(course: Row, state: Row | dict[str, None], now: datetime) -> Attended:
    """Columns as in LIST_COURSES and LIST_STATES."""
    return Attended(
        course_id=CourseId(course["course_id"]),
        start_at=course["start_at"],
        end_at=course["end_at"],
        state=state_of(state["status"], is_over=is_over(course["end_at"], now)),
        reason=state["reason"],
        method=state["method"],
        t=state["t"],
        signature_id=None if state["id"] is None else SignatureId(state["id"]),
    )
