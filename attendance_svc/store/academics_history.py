"""Write the copy of academics: one row per version, valid from when academics recorded it until the next one.

Whoever gives the connection owns the transaction. Every function is safe to repeat: a version that is there is left.
"""

from datetime import datetime
from uuid import UUID

from contracts.events.academics import CourseState, GroupMembershipChanged, GroupState, PreferencesUpdated
from infra.postgres import Connection
from streams.codec import Delivered

# The row before ends where the new one begins; should academics' clock have gone back, both happen at once.
KEEP_COURSE = """
WITH ended AS (
    UPDATE copy_course SET recorded_to = greatest($3, recorded_from)
    WHERE course_id = $1 AND recorded_to = 'infinity' AND version < $2
    RETURNING recorded_to
)
INSERT INTO copy_course (course_id, version, recorded_from, shard, school_id, start_at, end_at, is_online,
                         closing_delay_minutes, signature_closed, signature_closed_at, closed_by, signing_open_until,
                         cancelled, teacher_ids, group_ids, classroom_ids)
SELECT $1, $2, coalesce((SELECT recorded_to FROM ended), $3::timestamptz), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
       $14, $15, $16, $17
WHERE NOT EXISTS (SELECT FROM copy_course WHERE course_id = $1 AND version >= $2)
RETURNING course_id
"""
KEEP_ROOMS = """
INSERT INTO copy_course_room (classroom_id, end_at, start_at, course_id, version)
SELECT unnest(classroom_ids), end_at, start_at, course_id, version FROM copy_course
WHERE course_id = $1 AND version = $2 ON CONFLICT DO NOTHING
"""
KEEP_PREFERENCES = """
WITH ended AS (
    UPDATE copy_preferences SET recorded_to = greatest($3, recorded_from)
    WHERE school_id = $1 AND recorded_to = 'infinity' AND version < $2
    RETURNING recorded_to
)
INSERT INTO copy_preferences (school_id, version, recorded_from, shard, preferences_id,
                              default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
                              students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr,
                              disable_course_modification_from_ui, early_open_minutes, late_grace_minutes)
SELECT $1, $2, coalesce((SELECT recorded_to FROM ended), $3::timestamptz), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
       $14
WHERE NOT EXISTS (SELECT FROM copy_preferences WHERE school_id = $1 AND version >= $2)
RETURNING school_id
"""
KEEP_GROUP = """
INSERT INTO copy_group (group_id, school_id, shard, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (group_id) DO UPDATE SET version = excluded.version WHERE copy_group.version < excluded.version
RETURNING group_id
"""
END_MEMBERSHIPS = """
UPDATE copy_membership SET recorded_to = greatest($2, recorded_from)
WHERE group_id = $1 AND student_id = ANY ($3::uuid[]) AND recorded_to = 'infinity'
"""
ADD_MEMBERSHIPS = """
INSERT INTO copy_membership (group_id, student_id, added_version, recorded_from, shard)
SELECT $1, student_id, $2, $3, $4 FROM unnest($5::uuid[]) AS student_id
ON CONFLICT DO NOTHING
"""
TRUNCATE_SHARD = (
    "DELETE FROM copy_course WHERE shard = $1",
    "DELETE FROM copy_preferences WHERE shard = $1",
    "DELETE FROM copy_group WHERE shard = $1",
    "DELETE FROM copy_membership WHERE shard = $1",
)
# What counted at a course's end stays for its sheet. Memberships all stay: they are few and sheets need them.
PRUNE_COURSES = """
DELETE FROM copy_course AS old
WHERE old.recorded_to < $1 AND NOT EXISTS (
    SELECT FROM copy_course AS current
    WHERE current.course_id = old.course_id AND current.recorded_to = 'infinity'
      AND old.recorded_from <= current.end_at AND current.end_at < old.recorded_to
)
"""
PRUNE_PREFERENCES = "DELETE FROM copy_preferences WHERE recorded_to < $1"
# Of an earlier moment the copy now knows too little; last, for it is the row that the consumer moves.
KNOW_SINCE = """
UPDATE streams_checkpoint SET facts_since = greatest(facts_since, $1)
WHERE consumer = 'attendance.copy' AND source = 'academics'
"""


class IncompleteEventError(ValueError):
    """The event does not say when it was recorded; applying it again cannot help."""


async def keep_course(connection: Connection, course: CourseState, event: Delivered) -> bool:
    """Keep this version of the course; return False when it, or a later one, was there."""
    added = await connection.fetchval(
        KEEP_COURSE,
        course.course_id,
        event.aggver,
        recorded_at(event),
        event.shard,
        course.school_id,
        course.start_at,
        course.end_at,
        course.is_online,
        course.closing_delay_minutes,
        course.signature_closed,
        course.signature_closed_at,
        course.closed_by,
        course.signing_open_until,
        course.cancelled,
        course.teacher_ids,
        course.group_ids,
        course.classroom_ids,
    )
    if added is not None and course.classroom_ids:
        await connection.execute(KEEP_ROOMS, course.course_id, event.aggver)
    return added is not None


async def keep_preferences(connection: Connection, preferences: PreferencesUpdated, event: Delivered) -> bool:
    """Keep this version of a school's preferences; return False when it, or a later one, was there."""
    added = await connection.fetchval(
        KEEP_PREFERENCES,
        preferences.school_id,
        event.aggver,
        recorded_at(event),
        event.shard,
        preferences.preferences_id,
        preferences.default_signature_closing_delay_minutes,
        preferences.teacher_can_modify_closing_delay,
        preferences.students_can_sign_before_teacher,
        preferences.enable_flash,
        preferences.enable_nfc,
        preferences.enable_qr,
        preferences.disable_course_modification_from_ui,
        preferences.early_open_minutes,
        preferences.late_grace_minutes,
    )
    return added is not None


async def keep_group(connection: Connection, group: GroupState, event: Delivered) -> bool:
    """Move the group to this version; return False when it had reached it."""
    return await _move_group(connection, group.group_id, group.school_id, event)


async def keep_membership(connection: Connection, change: GroupMembershipChanged, event: Delivered) -> bool:
    """End the memberships that were removed and begin those that were added; return False when that was done."""
    if not await _move_group(connection, change.group_id, change.school_id, event):
        return False
    at = recorded_at(event)
    await connection.execute(END_MEMBERSHIPS, change.group_id, at, change.removed)
    await connection.execute(ADD_MEMBERSHIPS, change.group_id, event.aggver, at, event.shard, change.added)
    return True


async def _move_group(connection: Connection, group_id: UUID, school_id: UUID, event: Delivered) -> bool:
    moved = await connection.fetchval(KEEP_GROUP, group_id, school_id, event.shard, event.aggver)
    return moved is not None


async def truncate_shard(connection: Connection, shard: int) -> None:
    """Empty the copy of one shard, to be filled anew from the log."""
    for statement in TRUNCATE_SHARD:
        await connection.execute(statement, shard)


async def prune(connection: Connection, before: datetime) -> None:
    """Forget versions that ended `before`, except those that a sheet is counted by; the copy says so."""
    await connection.execute(PRUNE_COURSES, before)
    await connection.execute(PRUNE_PREFERENCES, before)
    await connection.execute(KNOW_SINCE, before)


def recorded_at(event: Delivered) -> datetime:
    """Return when academics' database recorded `event`. Raises: IncompleteEventError."""
    if event.recorded_at is None:
        raise IncompleteEventError(f"{event.type} {event.id} does not say when it was recorded")
    return event.recorded_at
