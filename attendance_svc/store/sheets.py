"""Keep and publish the sheets of courses: who was there, as far as it is known.

A sheet is looked at when the copy of academics is sure of everything up to the moment in question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from attendance_svc.domain.attempts import Status
from attendance_svc.domain.closing import (
    CourseOutline,
    DueSheet,
    Sheet,
    SheetCount,
    SheetNews,
    count_sheet,
    decide_sheet,
    is_settled,
    next_look,
)
from attendance_svc.store.academics_copy import roster
from attendance_svc.store.signatures import LOCK_COURSE, lock_number
from contracts.events.academics import CourseState
from contracts.events.attendance import SheetClosed, SheetFinal, SheetRevised, SheetState
from contracts.events.envelope import Aggregate, Cause, wrap
from contracts.ids import CourseId, SchoolId, StudentId, new_id
from infra.postgres import Connection, Row
from streams.codec import Delivered
from streams.outbox import Outbox

FIND = """
SELECT course_id, version, is_final, settled_end_at, expected, accepted, late, pending, refused, absent_ids, provisional
FROM sheet WHERE course_id = ANY ($1) ORDER BY course_id FOR UPDATE
"""
FOLLOW = """
INSERT INTO sheet (course_id, school_id, shard, look_at)
SELECT course_id, school_id, shard, coalesce(look_at, 'infinity')
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::timestamptz[]) AS f (course_id, school_id, shard, look_at)
ON CONFLICT (course_id) DO UPDATE SET look_at = excluded.look_at, next_at = '-infinity'
"""
UNSETTLE = "DELETE FROM course_settled WHERE course_id = ANY ($1)"
# $2: how far the copy must be beyond the moment that is looked at. Until next_at nobody else takes the sheet. One whose
# course or groups are not copied soundly waits a minute, and does not hold up the others.
CLAIM = """
WITH ready AS (
    SELECT shard, as_of - $2::interval AS sure_until FROM streams_checkpoint
    WHERE consumer = 'attendance.copy' AND source = 'academics' AND state = 'running'
), parked AS (
    SELECT agg_id, shard FROM streams_parked
    WHERE consumer = 'attendance.copy' AND source = 'academics' AND dropped_at IS NULL
), candidate AS (
    SELECT s.course_id FROM ready r CROSS JOIN LATERAL (
        SELECT course_id FROM sheet
        WHERE shard = r.shard AND look_at <= r.sure_until AND look_at < 'infinity' AND next_at <= $1
        ORDER BY look_at LIMIT $3
    ) AS s
    UNION
    (SELECT m.course_id FROM (SELECT course_id, min(id) AS first FROM sheet_change GROUP BY course_id) AS m
     CROSS JOIN LATERAL (SELECT shard FROM sheet WHERE course_id = m.course_id AND next_at <= $1 OFFSET 0) AS s
     WHERE s.shard IN (SELECT shard FROM ready) ORDER BY m.first LIMIT $3)
), due AS (
    SELECT s.course_id,
           c.course_id IS NOT NULL AND NOT EXISTS (
               SELECT FROM parked q
               WHERE q.agg_id = ANY (c.group_ids || c.course_id) OR (q.agg_id IS NULL AND q.shard = s.shard)
           ) AS is_sound,
           CASE WHEN c.end_at <= r.sure_until AND (s.settled_end_at IS NULL OR s.settled_end_at < c.end_at)
                THEN c.end_at END AS settles_end_at
    FROM candidate
    CROSS JOIN LATERAL (SELECT * FROM sheet WHERE course_id = candidate.course_id FOR UPDATE SKIP LOCKED) AS s
    JOIN ready r ON r.shard = s.shard
    LEFT JOIN LATERAL (
        SELECT * FROM copy_course WHERE course_id = s.course_id AND recorded_to = 'infinity' OFFSET 0
    ) AS c ON true
)
UPDATE sheet SET next_at = $1 + CASE WHEN due.is_sound THEN $4::interval ELSE $5::interval END
FROM due WHERE sheet.course_id = ANY (ARRAY (SELECT course_id FROM due)) AND sheet.course_id = due.course_id
RETURNING sheet.course_id, settles_end_at, is_sound
"""
FIND_COURSE = """
SELECT course_id, school_id, end_at, signature_closed, cancelled FROM copy_course
WHERE course_id = $1 AND recorded_to = 'infinity'
"""
LIST_SIGNATURES = """
SELECT subject_id, status FROM signature
WHERE course_id = $1 AND kind = 'student' AND superseded_by IS NULL AND voided_at IS NULL
"""
KEEP = """
UPDATE sheet
SET version = $2, is_final = $3, settled_end_at = $4, look_at = coalesce($5, 'infinity'::timestamptz),
    next_at = $6, expected = $7, accepted = $8, late = $9, pending = $10, refused = $11, absent_ids = $12,
    provisional = $13
WHERE course_id = $1
"""
FORGET_CHANGES = "DELETE FROM sheet_change WHERE course_id = $1"

CourseNews = tuple[CourseState, Delivered]

CLAIM_LIMIT = 20
LEASE = timedelta(seconds=10)
UNSOUND_PAUSE = timedelta(minutes=1)
# However many sign at once, a sheet is revised once a second at most.
PAUSE = timedelta(seconds=1)
EVENTS: dict[SheetNews, type[SheetState]] = {"closed": SheetClosed, "revised": SheetRevised, "final": SheetFinal}


async def follow_courses(connection: Connection, news: Sequence[CourseNews]) -> None:
    """Note when the sheets of courses that these are the newest states of have to be looked at, in their order.

    A course that now ends later than it was settled for is not settled any more.
    """
    found = await connection.fetch(FIND, list({course.course_id for course, _ in news}))
    sheets = {row["course_id"]: _sheet(row) for row in found}
    unsettled, looks = set[UUID](), dict[UUID, tuple[UUID, int, datetime | None]]()
    for course, event in news:
        sheet, outline = sheets.get(course.course_id, Sheet()), _outline_of(course)
        if event.aggver > 1 and not is_settled(sheet, outline):
            unsettled.add(outline.id)
        look_at = event.recorded_at if outline.is_closed or sheet.version else next_look(sheet, outline)
        looks[outline.id] = outline.school_id, event.shard, look_at
    if unsettled:
        await connection.execute(UNSETTLE, list(unsettled))
    kept = [(course_id, *looks[course_id]) for course_id in sorted(looks, key=lambda each: each.int)]
    await connection.execute(FOLLOW, *([row[n] for row in kept] for n in range(4)))


def _outline_of(course: CourseState) -> CourseOutline:
    return CourseOutline(
        id=CourseId(course.course_id),
        school_id=SchoolId(course.school_id),
        end_at=course.end_at,
        is_closed=course.signature_closed,
        is_cancelled=course.cancelled,
    )


@dataclass(frozen=True, slots=True)
class PostgresSheets:
    """Satisfies jobs.Sheets."""

    outbox: Outbox

    async def claim(self, connection: Connection, now: datetime, *, margin: timedelta) -> list[DueSheet]:
        rows = await connection.fetch(CLAIM, now, margin, CLAIM_LIMIT, LEASE, UNSOUND_PAUSE)
        return [
            DueSheet(course_id=row["course_id"], settles_end_at=row["settles_end_at"])
            for row in rows
            if row["is_sound"]
        ]

    async def publish(self, connection: Connection, due: DueSheet, now: datetime) -> None:
        await connection.execute(LOCK_COURSE, lock_number(due.course_id))
        sheet = await _find(connection, due.course_id)
        row = await connection.fetchrow(FIND_COURSE, due.course_id)
        if row is None:
            return
        course = _outline(row)
        if due.settles_end_at is not None:
            sheet = replace(sheet, settled_end_at=due.settles_end_at)
            if not is_settled(sheet, course):
                # The course was extended while it was being settled.
                await connection.execute(UNSETTLE, [course.id])
        count = await self._count(connection, course, now)
        news, count = decide_sheet(sheet, course, count, now)
        while news is not None:
            sheet = replace(
                sheet, version=sheet.version + 1, is_final=sheet.is_final or news == "final", published=count
            )
            await self._announce(connection, course, sheet, news, now)
            news, count = decide_sheet(sheet, course, count, now)
        await _keep(connection, course, sheet, now + PAUSE)
        await connection.execute(FORGET_CHANGES, course.id)

    async def _count(self, connection: Connection, course: CourseOutline, now: datetime) -> SheetCount:
        expected = [] if course.is_cancelled else await roster(connection, course.id, min(now, course.end_at))
        rows = await connection.fetch(LIST_SIGNATURES, course.id)
        return count_sheet(expected, [_signature(row) for row in rows])

    async def _announce(
        self, connection: Connection, course: CourseOutline, sheet: Sheet, news: SheetNews, now: datetime
    ) -> None:
        count = sheet.published
        assert count is not None  # noqa: S101 -- just counted
        said = EVENTS[news](
            course_id=course.id,
            school_id=course.school_id,
            expected=count.expected,
            accepted=count.accepted,
            late=count.late,
            pending=count.pending,
            refused=count.refused,
            absent_ids=list(count.absent_ids),
            provisional=count.provisional,
        )
        of = Aggregate(type="sheet", id=course.id, version=sheet.version, school_id=course.school_id)
        await self.outbox.add(connection, wrap(said, id=new_id(), of=of, cause=Cause(at=now, actor_type="job")))


async def _find(connection: Connection, course_id: CourseId) -> Sheet:
    row = await connection.fetchrow(FIND, [course_id])
    return Sheet() if row is None else _sheet(row)


def _sheet(row: Row) -> Sheet:
    """Columns as in FIND."""
    return Sheet(
        version=row["version"],
        is_final=row["is_final"],
        settled_end_at=row["settled_end_at"],
        published=_published(row) if row["version"] else None,
    )


def _published(row: Row) -> SheetCount:
    """Columns as in FIND."""
    return SheetCount(
        expected=row["expected"],
        accepted=row["accepted"],
        late=row["late"],
        pending=row["pending"],
        refused=row["refused"],
        absent_ids=tuple(StudentId(each) for each in row["absent_ids"]),
        provisional=row["provisional"],
    )


async def _keep(connection: Connection, course: CourseOutline, sheet: Sheet, next_at: datetime) -> None:
    count = sheet.published
    counted: tuple[object, ...] = (None,) * 7
    if count is not None:
        counted = (
            count.expected,
            count.accepted,
            count.late,
            count.pending,
            count.refused,
            count.absent_ids,
            count.provisional,
        )
    look_at = next_look(sheet, course)
    await connection.execute(
        KEEP, course.id, sheet.version, sheet.is_final, sheet.settled_end_at, look_at, next_at, *counted
    )


def _outline(row: Row) -> CourseOutline:
    """Columns as in FIND_COURSE."""
    return CourseOutline(
        id=CourseId(row["course_id"]),
        school_id=SchoolId(row["school_id"]),
        end_at=row["end_at"],
        is_closed=row["signature_closed"],
        is_cancelled=row["cancelled"],
    )


def _signature(row: Row) -> tuple[StudentId, Status]:
    """Columns as in LIST_SIGNATURES."""
    status: Status = row["status"]
    return StudentId(row["subject_id"]), status
