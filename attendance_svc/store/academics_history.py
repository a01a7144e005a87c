"""Write the copy of academics: one row per version, valid from when academics recorded it until the next one.

Whoever gives the connection owns the transaction. Every function is safe to repeat: a version that is there is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.academics import CourseState, GroupMembershipChanged, GroupState, PreferencesUpdated
from infra.postgres import Connection
from streams.codec import Delivered

FIND_COURSES = """
SELECT course_id, version, recorded_from FROM copy_course WHERE course_id = ANY ($1) AND recorded_to = 'infinity'
"""
# Here and below each row is found by its index (OFFSET 0 keeps the look by itself) and changed by its place: joined, a
# batch may be compared with the whole table. Only the owner of the shard writes here; another is fenced.
END_COURSES = """
UPDATE copy_course c SET recorded_to = e.recorded_to
FROM unnest($1::uuid[], $2::timestamptz[]) AS e (course_id, recorded_to)
CROSS JOIN LATERAL (
    SELECT ctid AS place FROM copy_course WHERE course_id = e.course_id AND recorded_to = 'infinity' OFFSET 0
) AS f
WHERE c.ctid = f.place
"""
# Lists come as text, since an array cannot hold arrays of different lengths.
ADD_COURSES = """
WITH added AS (
    INSERT INTO copy_course (course_id, version, recorded_from, recorded_to, shard, school_id, start_at, end_at,
                             is_online, closing_delay_minutes, signature_closed, signature_closed_at, closed_by,
                             signing_open_until, cancelled, teacher_ids, group_ids, classroom_ids)
    SELECT course_id, version, recorded_from, coalesce(recorded_to, 'infinity'), shard, school_id, start_at, end_at,
           is_online, closing_delay_minutes, signature_closed, signature_closed_at, closed_by, signing_open_until,
           cancelled, teacher_ids::uuid[], group_ids::uuid[], classroom_ids::uuid[]
    FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::smallint[], $6::uuid[],
                $7::timestamptz[], $8::timestamptz[], $9::boolean[], $10::integer[], $11::boolean[],
                $12::timestamptz[], $13::text[], $14::timestamptz[], $15::boolean[], $16::text[], $17::text[],
                $18::text[])
         AS c (course_id, version, recorded_from, recorded_to, shard, school_id, start_at, end_at, is_online,
               closing_delay_minutes, signature_closed, signature_closed_at, closed_by, signing_open_until, cancelled,
               teacher_ids, group_ids, classroom_ids)
    RETURNING course_id, version, start_at, end_at, classroom_ids
)
INSERT INTO copy_course_room (classroom_id, end_at, start_at, course_id, version)
SELECT unnest(classroom_ids), end_at, start_at, course_id, version FROM added ON CONFLICT DO NOTHING
"""
# The row before ends where the new one begins; should academics' clock have gone back, both happen at once.
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
FIND_GROUPS = "SELECT group_id, version FROM copy_group WHERE group_id = ANY ($1)"
MOVE_GROUPS = """
INSERT INTO copy_group (group_id, school_id, shard, version)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[])
ON CONFLICT (group_id) DO UPDATE SET version = excluded.version
"""
FIND_MEMBERSHIPS = """
SELECT m.* FROM unnest($1::uuid[], $2::uuid[]) AS asked (group_id, student_id)
CROSS JOIN LATERAL (
    SELECT group_id, student_id, recorded_from FROM copy_membership
    WHERE group_id = asked.group_id AND student_id = asked.student_id AND recorded_to = 'infinity' OFFSET 0
) AS m
"""
END_MEMBERSHIPS = """
UPDATE copy_membership m SET recorded_to = e.recorded_to
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS e (group_id, student_id, recorded_to)
CROSS JOIN LATERAL (
    SELECT ctid AS place FROM copy_membership
    WHERE group_id = e.group_id AND student_id = e.student_id AND recorded_to = 'infinity' OFFSET 0
) AS f
WHERE m.ctid = f.place
"""
ADD_MEMBERSHIPS = """
INSERT INTO copy_membership (group_id, student_id, added_version, recorded_from, recorded_to, shard)
SELECT group_id, student_id, added_version, recorded_from, coalesce(recorded_to, 'infinity'), shard
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[], $6::smallint[])
     AS m (group_id, student_id, added_version, recorded_from, recorded_to, shard)
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
WHERE old.recorded_to < $1 AND old.recorded_to < 'infinity' AND NOT EXISTS (
    SELECT FROM copy_course AS current
    WHERE current.course_id = old.course_id AND current.recorded_to = 'infinity'
      AND old.recorded_from <= current.end_at AND current.end_at < old.recorded_to OFFSET 0
)
"""
PRUNE_PREFERENCES = "DELETE FROM copy_preferences WHERE recorded_to < $1"
# Of an earlier moment the copy now knows too little; last, for it is the row that the consumer moves.
KNOW_SINCE = """
UPDATE streams_checkpoint SET facts_since = greatest(facts_since, $1)
WHERE consumer = 'attendance.copy' AND source = 'academics'
"""


CourseNews = tuple[CourseState, Delivered]
MembershipNews = tuple[GroupMembershipChanged, Delivered]
GroupNews = tuple[GroupState | GroupMembershipChanged, Delivered]


@dataclass(slots=True)
class _Stay:
    """How long one version counts. recorded_to: None until it is over. is_kept: its row was there before."""

    version: int
    recorded_from: datetime
    recorded_to: datetime | None = None
    is_kept: bool = False

    def end(self, at: datetime) -> datetime:
        """End it at `at`, and return when it ended: should academics' clock have gone back, when it began."""
        self.recorded_to = max(at, self.recorded_from)
        return self.recorded_to


class IncompleteEventError(ValueError):
    """The event does not say when it was recorded; applying it again cannot help."""


async def keep_courses(connection: Connection, news: Sequence[CourseNews]) -> list[CourseNews]:
    """Keep these versions of courses; return those of them that were not there, and no later one was."""
    rows = await connection.fetch(FIND_COURSES, list({course.course_id for course, _ in news}))
    current = {row["course_id"]: _Stay(row["version"], row["recorded_from"], is_kept=True) for row in rows}
    ended, added = dict[UUID, datetime](), list[tuple[CourseNews, _Stay]]()
    for each in news:
        course, event = each
        before = current.get(course.course_id)
        if before is not None and before.version >= event.aggver:
            continue
        stay = current[course.course_id] = _Stay(event.aggver, recorded_at(event))
        if before is not None:
            stay.recorded_from = before.end(stay.recorded_from)
            if before.is_kept:
                ended[course.course_id] = stay.recorded_from
        added.append((each, stay))
    if ended:
        await connection.execute(END_COURSES, list(ended), list(ended.values()))
    if added:
        await connection.execute(ADD_COURSES, *_columns(_course_row(*each) for each in added))
    return [each for each, _ in added]


def _course_row(news: CourseNews, stay: "_Stay") -> tuple[object, ...]:
    """Columns as in ADD_COURSES."""
    course, event = news
    return (
        course.course_id,
        event.aggver,
        stay.recorded_from,
        stay.recorded_to,
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
        _spelled(course.teacher_ids),
        _spelled(course.group_ids),
        _spelled(course.classroom_ids),
    )


def _spelled(ids: Sequence[UUID]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


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


async def keep_groups(connection: Connection, news: Sequence[GroupNews]) -> None:
    """Move groups to these versions, and end and begin memberships as they say; what was done is left."""
    rows = await connection.fetch(FIND_GROUPS, list({group.group_id for group, _ in news}))
    versions: dict[UUID, int] = {row["group_id"]: row["version"] for row in rows}
    moved, changes = dict[UUID, GroupNews](), list[MembershipNews]()
    for group, event in news:
        if event.aggver > versions.get(group.group_id, 0):
            versions[group.group_id], moved[group.group_id] = event.aggver, (group, event)
            if isinstance(group, GroupMembershipChanged):
                changes.append((group, event))
    if moved:
        reached = ((group.group_id, group.school_id, event.shard, event.aggver) for group, event in moved.values())
        await connection.execute(MOVE_GROUPS, *_columns(reached))
    if changes:
        await _keep_memberships(connection, changes)


async def _keep_memberships(connection: Connection, changes: Sequence[MembershipNews]) -> None:
    asked = {(change.group_id, student) for change, _ in changes for student in (*change.removed, *change.added)}
    rows = await connection.fetch(FIND_MEMBERSHIPS, *_columns(asked)) if asked else []
    current = {(row["group_id"], row["student_id"]): _Stay(0, row["recorded_from"], is_kept=True) for row in rows}
    ended, added = list[tuple[object, ...]](), list[tuple[UUID, UUID, _Stay, int]]()
    for change, event in changes:
        at = recorded_at(event)
        for student in change.removed:
            before = current.pop((change.group_id, student), None)
            if before is not None and before.end(at) and before.is_kept:
                ended.append((change.group_id, student, before.recorded_to))
        for student in change.added:
            if (change.group_id, student) not in current:
                stay = current[change.group_id, student] = _Stay(event.aggver, at)
                added.append((change.group_id, student, stay, event.shard))
    if ended:
        await connection.execute(END_MEMBERSHIPS, *_columns(ended))
    if added:
        rows_ = ((*who, stay.version, stay.recorded_from, stay.recorded_to, shard) for *who, stay, shard in added)
        await connection.execute(ADD_MEMBERSHIPS, *_columns(rows_))


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
