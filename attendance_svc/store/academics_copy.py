"""Read the copy of academics as of a moment: what academics had recorded then, however much has changed since."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from attendance_svc.domain.attempts import CopyPlace, Course, PlanFacts, Preferences
from attendance_svc.domain.copy import CopiedFacts, Question
from attendance_svc.domain.freshness import CopyState
from contracts.ids import ClassroomId, CourseId, SchoolId, StudentId, TeacherId
from infra.postgres import Connection, Row
from streams.names import shard_of

# One statement is one snapshot: the facts and the promise about them belong together, for many questions at once. An
# unknown course is judged by the shard of the asker's school, without one by the copy as a whole. OFFSET 0 keeps each
# look at a table by itself, by its index: joined, it would be planned for a table of yesterday's size. How a shard
# stands is looked up once for all questions about it, for nothing else is asked there: a range of one shard, or of all.
FACTS = """
SELECT c.course_id, c.version, c.school_id, c.start_at, c.end_at, c.is_online, c.cancelled, c.signature_closed,
       c.signature_closed_at, c.signing_open_until,
       coalesce(c.closing_delay_minutes, p.default_signature_closing_delay_minutes) AS closing_delay_minutes,
       c.teacher_ids,
       p.version AS preferences_version, p.students_can_sign_before_teacher, p.enable_flash, p.enable_nfc, p.enable_qr,
       p.early_open_minutes, p.late_grace_minutes,
       EXISTS (
           SELECT FROM copy_membership m
           WHERE m.student_id = a.student_id AND m.group_id = ANY (c.group_ids)
             AND m.recorded_from <= a.at AND a.at < m.recorded_to
       ) AS is_enrolled,
       coalesce(cardinality(c.classroom_ids) > 0, false) AS has_rooms,
       coalesce(a.classroom_id = ANY (c.classroom_ids), false) AS is_room_linked,
       k.as_of, coalesce(k.is_running, false) AS is_running, k.facts_since, k.pos, k.shards, k.incarnations,
       EXISTS (
           SELECT FROM streams_parked q
           WHERE q.consumer = 'attendance.copy' AND q.source = 'academics' AND q.dropped_at IS NULL
             AND (q.agg_id = ANY (c.group_ids || ARRAY[a.course_id, p.preferences_id])
                  OR (q.agg_id IS NULL AND (s.shard IS NULL OR q.shard = s.shard)))
       ) AS is_tainted
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::smallint[])
     WITH ORDINALITY AS a (course_id, student_id, classroom_id, at, shard, place)
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT shard FROM copy_course WHERE course_id = a.course_id LIMIT 1), a.shard) AS shard OFFSET 0
) AS s
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(as_of IS NOT NULL) THEN min(as_of) END AS as_of,
           bool_and(state = 'running') AS is_running, max(facts_since) AS facts_since,
           array_agg(shard) AS shards, array_agg(incarnation) AS incarnations,
           CASE WHEN count(*) = 1 THEN min(pos) END AS pos
    FROM streams_checkpoint
    WHERE consumer = 'attendance.copy' AND source = 'academics'
      AND shard BETWEEN coalesce(s.shard, 0) AND coalesce(s.shard, 32767)
) AS k
LEFT JOIN LATERAL (
    SELECT * FROM copy_course WHERE course_id = a.course_id AND recorded_from <= a.at AND a.at < recorded_to OFFSET 0
) AS c ON true
LEFT JOIN LATERAL (
    SELECT * FROM copy_preferences
    WHERE school_id = c.school_id AND recorded_from <= a.at AND a.at < recorded_to OFFSET 0
) AS p ON true
ORDER BY a.place
"""
# Its columns that belong together. What a class has in common is made once: it comes as the same values.
COURSE, PREFERENCES, STATE = slice(0, 11), slice(12, 19), slice(22, 26)
# Signing opens at most a day early, so what starts later need not be looked at.
IN_ROOM = """
SELECT c.course_id, c.cancelled
FROM copy_course_room r
CROSS JOIN LATERAL (SELECT * FROM copy_course WHERE course_id = r.course_id AND version = r.version OFFSET 0) AS c
LEFT JOIN LATERAL (
    SELECT early_open_minutes FROM copy_preferences
    WHERE school_id = c.school_id AND recorded_from <= $2 AND $2 < recorded_to OFFSET 0
) AS p ON true
WHERE r.classroom_id = $1 AND r.end_at >= $2 AND r.start_at <= $2 + interval '1 day'
  AND c.recorded_from <= $2 AND $2 < c.recorded_to
  AND $2 >= c.start_at - coalesce(p.early_open_minutes, 0) * interval '1 minute'
ORDER BY c.course_id
"""
# A course that was entered only afterwards has the roster it began with.
ROSTER = """
SELECT DISTINCT m.student_id
FROM (
    SELECT group_ids, greatest($2, recorded_from) AS at FROM copy_course WHERE course_id = $1
    ORDER BY recorded_from <= $2 DESC, CASE WHEN recorded_from <= $2 THEN version END DESC, version LIMIT 1
) AS c
CROSS JOIN LATERAL (
    SELECT student_id FROM copy_membership
    WHERE group_id = ANY (c.group_ids) AND recorded_from <= c.at AND c.at < recorded_to OFFSET 0
) AS m
ORDER BY m.student_id
"""


async def look_up(connection: Connection, questions: Sequence[Question], *, shard_count: int) -> list[CopiedFacts]:
    """Return what the copy knows about each question, in their order, all in one snapshot."""
    rows = await connection.fetch(
        FACTS,
        [each.course_id for each in questions],
        [each.student_id for each in questions],
        [each.classroom_id for each in questions],
        [each.at for each in questions],
        [None if each.school_id is None else shard_of(each.school_id, shard_count) for each in questions],
    )
    return [_facts(row) for row in rows]


async def find_courses_in_room(connection: Connection, classroom_id: ClassroomId, at: datetime) -> list[CourseId]:
    """Return the courses linked to the room whose window holds `at`; cancelled ones only if there is no other."""
    rows = await connection.fetch(IN_ROOM, classroom_id, at)
    taking_place = [row for row in rows if not row["cancelled"]]
    return [CourseId(row["course_id"]) for row in taking_place or rows]


async def roster(connection: Connection, course_id: CourseId, at: datetime) -> list[StudentId]:
    """Return the students of the course's groups as recorded at `at`, in order of their ids."""
    return [StudentId(row["student_id"]) for row in await connection.fetch(ROSTER, course_id, at)]


def _facts(row: Row) -> CopiedFacts:
    """Columns as in FACTS."""
    state, place = _state(row["is_tainted"], row[STATE], tuple(row["shards"] or ()), tuple(row["incarnations"] or ()))
    teachers = frozenset(TeacherId(each) for each in row["teacher_ids"] or ())
    return CopiedFacts(plan=_plan(row, place), teacher_ids=teachers, state=state)


def _plan(row: Row, place: CopyPlace | None) -> PlanFacts | None:
    """Columns as in FACTS."""
    if row["course_id"] is None:
        return PlanFacts(course=None, basis="copy", place=place)
    if row["preferences_version"] is None:
        return None
    return PlanFacts(
        course=_course(row[COURSE]),
        preferences=_preferences(row[PREFERENCES]),
        is_enrolled=row["is_enrolled"],
        has_rooms=row["has_rooms"],
        is_room_linked=row["is_room_linked"],
        basis="copy",
        place=place,
    )


@lru_cache(maxsize=64)
def _state(
    is_tainted: bool,  # noqa: FBT001 -- a column
    columns: tuple[Any, ...],
    shards: tuple[int, ...],
    incarnations: tuple[UUID | None, ...],
) -> tuple[CopyState, CopyPlace | None]:
    as_of, is_running, facts_since, pos = columns
    state = CopyState(
        as_of=as_of,
        is_running=is_running,
        facts_since=_aware(facts_since),
        is_tainted=is_tainted,
        logs=frozenset(zip(shards, incarnations, strict=True)),
        pos=pos,
    )
    only = shards[0] if len(shards) == 1 else None
    return state, None if as_of is None else CopyPlace(shard=only, pos=pos, as_of=as_of)


def _aware(moment: datetime | None) -> datetime | None:
    """Return `moment` with a zone: asyncpg gives `-infinity` without one."""
    return None if moment is None else moment.replace(tzinfo=UTC)


@lru_cache(maxsize=1024)
def _course(columns: tuple[Any, ...]) -> Course:
    (id_, version, school_id, start_at, end_at, is_online, *closing) = columns
    (is_cancelled, is_closed, closed_at, open_until, delay_minutes) = closing
    return Course(
        id=CourseId(id_),
        school_id=SchoolId(school_id),
        start_at=start_at,
        end_at=end_at,
        closing_delay=timedelta(minutes=delay_minutes),
        is_online=is_online,
        is_cancelled=is_cancelled,
        is_closed=is_closed,
        closed_at=closed_at,
        open_until=open_until,
        version=version,
    )


@lru_cache(maxsize=256)
def _preferences(columns: tuple[Any, ...]) -> Preferences:
    (version, before_teacher, flash, nfc, qr, early_minutes, late_minutes) = columns
    return Preferences(
        students_can_sign_before_teacher=before_teacher,
        enable_flash=flash,
        enable_nfc=nfc,
        enable_qr=qr,
        early_open=timedelta(minutes=early_minutes),
        late_grace=timedelta(minutes=late_minutes),
        version=version,
    )
