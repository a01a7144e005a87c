"""Keep the timers that close courses. Whoever gives the connection owns the transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attendance_svc.domain.attempts import Course, Preferences
from attendance_svc.domain.closing import ClosingTimer, decide_timer, retry_at
from contracts.events.academics import CourseState, PreferencesUpdated
from contracts.ids import CourseId, SchoolId
from infra.postgres import Connection, Row
from streams.codec import Delivered

FIND_TIMERS = """
SELECT asked.course_id, k.state, k.due_at, k.next_at, k.attempts, p.default_signature_closing_delay_minutes,
       p.late_grace_minutes
FROM unnest($1::uuid[], $2::uuid[]) AS asked (course_id, school_id)
LEFT JOIN course_closing k ON k.course_id = asked.course_id
LEFT JOIN copy_preferences p ON p.school_id = asked.school_id AND p.recorded_to = 'infinity'
"""
KEEP_TIMERS = """
INSERT INTO course_closing (course_id, school_id, shard, state, due_at, next_at, attempts)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                     $7::integer[])
ON CONFLICT (course_id) DO UPDATE
SET state = excluded.state, due_at = excluded.due_at, next_at = excluded.next_at, attempts = excluded.attempts,
    last_error = CASE WHEN excluded.attempts = 0 THEN NULL ELSE course_closing.last_error END
"""
RUNNING = """
SELECT k.state, k.due_at, k.next_at, k.attempts, c.course_id, c.school_id, c.start_at, c.end_at,
       c.closing_delay_minutes, c.signing_open_until
FROM course_closing k
CROSS JOIN LATERAL (SELECT * FROM copy_course WHERE course_id = k.course_id AND recorded_to = 'infinity' OFFSET 0) AS c
WHERE k.school_id = $1 AND k.state IN ('armed', 'firing')
ORDER BY k.course_id FOR UPDATE OF k
"""
# Found by its index and changed by its place, which stays: RUNNING has locked it.
MOVE_TIMERS = """
UPDATE course_closing k
SET state = 'armed', due_at = moved.due_at, next_at = moved.due_at, attempts = 0, last_error = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS moved (course_id, due_at)
CROSS JOIN LATERAL (SELECT ctid AS place FROM course_closing WHERE course_id = moved.course_id OFFSET 0) AS f
WHERE k.ctid = f.place
"""
FORGET = "DELETE FROM course_closing WHERE shard = $1"
# Until next_at nobody else takes the row: it is the lease as well as the pause.
CLAIM = """
UPDATE course_closing SET state = 'firing', attempts = attempts + 1, next_at = $2
WHERE course_id = ANY (ARRAY (
    SELECT course_id FROM course_closing WHERE state IN ('armed', 'firing') AND next_at <= $1
    ORDER BY next_at LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING course_id, attempts
"""
PUT_OFF = """
UPDATE course_closing k SET next_at = later.next_at, last_error = $4
FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[]) AS later (course_id, attempts, next_at)
WHERE k.course_id = ANY ($1) AND k.course_id = later.course_id AND k.attempts = later.attempts AND k.state = 'firing'
"""
OLDEST_DUE = "SELECT min(due_at) FROM course_closing WHERE state IN ('armed', 'firing')"
CLAIM_LIMIT = 200
LEASE = timedelta(seconds=10)

CourseNews = tuple[CourseState, Delivered]
Claim = tuple[UUID, int]  # a course and which try this is


async def follow_courses(connection: Connection, news: Sequence[CourseNews]) -> None:
    """Arm, re-arm, finish or cancel the timers of courses that these are the newest states of, in their order."""
    newest = {course.course_id: (course, event) for course, event in news}
    schools = [course.school_id for course, _ in newest.values()]
    rows = {row["course_id"]: row for row in await connection.fetch(FIND_TIMERS, list(newest), schools)}
    timers = {course_id: _timer(row) for course_id, row in rows.items() if row["state"] is not None}
    for course, _ in news:
        delay_minutes, preferences = _preferences(rows[course.course_id])
        if course.closing_delay_minutes is not None:
            delay_minutes = course.closing_delay_minutes
        standing = timers.get(course.course_id)
        timers[course.course_id] = decide_timer(standing, _course(course, delay_minutes), preferences)
    # In one order, as everybody locks them who takes many.
    kept = sorted(newest.items(), key=lambda each: each[0].int)
    await connection.execute(
        KEEP_TIMERS,
        [course_id for course_id, _ in kept],
        [course.school_id for _, (course, _) in kept],
        [event.shard for _, (_, event) in kept],
        [timers[course_id].state for course_id, _ in kept],
        [timers[course_id].due_at for course_id, _ in kept],
        [timers[course_id].next_at for course_id, _ in kept],
        [timers[course_id].attempts for course_id, _ in kept],
    )


async def follow_preferences(connection: Connection, preferences: PreferencesUpdated) -> None:
    """Move the timers of the school's courses that are still open."""
    now = Preferences(late_grace=timedelta(minutes=preferences.late_grace_minutes))
    moved: dict[UUID, datetime] = {}
    for row in await connection.fetch(RUNNING, preferences.school_id):
        standing = _timer(row)
        timer = decide_timer(standing, _open_course(row, preferences.default_signature_closing_delay_minutes), now)
        if timer is not standing:
            moved[row["course_id"]] = timer.due_at
    await connection.execute(MOVE_TIMERS, list(moved), list(moved.values()))


async def forget_shard(connection: Connection, shard: int) -> None:
    """Drop the timers of one shard: the log tells them anew."""
    await connection.execute(FORGET, shard)


async def claim(connection: Connection, now: datetime) -> list[Claim]:
    """Take timers that are due, oldest first, at most 200; nobody else gets them for 10 s."""
    rows = await connection.fetch(CLAIM, now, now + LEASE, CLAIM_LIMIT)
    return [(row["course_id"], row["attempts"]) for row in rows]


async def put_off(connection: Connection, claims: Sequence[Claim], now: datetime, error: str | None) -> None:
    """Try the claimed timers again later, unless academics' event has ended or moved them meanwhile."""
    later = [retry_at(now, attempts) for _, attempts in claims]
    await connection.execute(PUT_OFF, [each[0] for each in claims], [each[1] for each in claims], later, error)


async def find_oldest_due(connection: Connection) -> datetime | None:
    """Return when the first of the courses that are still open was, or is, due to be closed."""
    found: datetime | None = await connection.fetchval(OLDEST_DUE)
    return found


def _timer(row: Row) -> ClosingTimer:
    """Columns as in FIND_TIMERS."""
    return ClosingTimer(state=row["state"], due_at=row["due_at"], next_at=row["next_at"], attempts=row["attempts"])


def _preferences(row: Row) -> tuple[int, Preferences]:
    """Columns as in FIND_TIMERS. Until a school's preferences are known, those that academics sets schools up with."""
    if row["late_grace_minutes"] is None:
        return 15, Preferences()
    grace = timedelta(minutes=row["late_grace_minutes"])
    return row["default_signature_closing_delay_minutes"], Preferences(late_grace=grace)


def _course(course: CourseState, delay_minutes: int) -> Course:
    return Course(
        id=CourseId(course.course_id),
        school_id=SchoolId(course.school_id),
        start_at=course.start_at,
        end_at=course.end_at,
        closing_delay=timedelta(minutes=delay_minutes),
        is_cancelled=course.cancelled,
        is_closed=course.signature_closed,
        closed_at=course.signature_closed_at,
        open_until=course.signing_open_until,
    )


def _open_course(row: Row, default_minutes: int) -> Course:
    """Columns as in RUNNING."""
    delay_minutes = row["closing_delay_minutes"]
    return Course(
        id=CourseId(row["course_id"]),
        school_id=SchoolId(row["school_id"]),
        start_at=row["start_at"],
        end_at=row["end_at"],
        closing_delay=timedelta(minutes=default_minutes if delay_minutes is None else delay_minutes),
        open_until=row["signing_open_until"],
    )
