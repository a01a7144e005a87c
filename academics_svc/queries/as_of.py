"""What was recorded at a moment: the facts that attendance judges by.

`at` None: what is recorded now. `acting_school_id` None: of any school. A course that was not recorded yet, or
belongs to another school, is None.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from academics_svc.domain import Preferences
from academics_svc.queries.schools import preferences_of
from infra.postgres import Connection

COURSE_AS_OF = """
SELECT c.id, c.school_id, v.name, v.start_at, v.end_at, v.is_online, v.closing_delay_minutes,
       coalesce(v.closing_delay_minutes, p.default_signature_closing_delay_minutes) AS effective_delay_minutes,
       v.signature_closed_at, v.signing_open_until, v.cancelled, v.version
FROM course c
JOIN course_version v ON v.course_id = c.id AND held_at(v.recorded_from, v.recorded_to, $3)
CROSS JOIN LATERAL (
    SELECT default_signature_closing_delay_minutes FROM school_preferences_version
    WHERE school_id = c.school_id AND held_at(recorded_from, recorded_to, $3) OFFSET 0
) AS p
WHERE c.id = $1 AND ($2::uuid IS NULL OR c.school_id = $2)
"""
TEACHES_AS_OF = """
SELECT EXISTS (
    SELECT FROM teachers_courses l
    WHERE l.course_id = c.id AND l.teacher_id = $4 AND held_at(l.recorded_from, l.recorded_to, $3)) AS is_assigned
FROM course c JOIN course_version v ON v.course_id = c.id AND held_at(v.recorded_from, v.recorded_to, $3)
WHERE c.id = $1 AND ($2::uuid IS NULL OR c.school_id = $2)
"""
GROUPS_AS_OF = """
SELECT ARRAY(
    SELECT l.group_id FROM courses_student_groups l JOIN students_groups m USING (group_id)
    WHERE l.course_id = c.id AND held_at(l.recorded_from, l.recorded_to, $3)
      AND m.student_id = $4 AND held_at(m.recorded_from, m.recorded_to, $3)
    ORDER BY l.group_id) AS group_ids
FROM course c JOIN course_version v ON v.course_id = c.id AND held_at(v.recorded_from, v.recorded_to, $3)
WHERE c.id = $1 AND ($2::uuid IS NULL OR c.school_id = $2)
"""
ROOMS_AS_OF = """
SELECT ARRAY(
    SELECT l.classroom_id FROM courses_classrooms l
    WHERE l.course_id = c.id AND held_at(l.recorded_from, l.recorded_to, $3)) AS classroom_ids
FROM course c JOIN course_version v ON v.course_id = c.id AND held_at(v.recorded_from, v.recorded_to, $3)
WHERE c.id = $1 AND ($2::uuid IS NULL OR c.school_id = $2)
"""
PREFERENCES_AS_OF = """
SELECT preferences_id AS id, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
       students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
       early_open_minutes, late_grace_minutes, version
FROM school_preferences_version
WHERE school_id = $1 AND ($2::uuid IS NULL OR school_id = $2) AND held_at(recorded_from, recorded_to, $3)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked about, as of when and for which school."""

    id: UUID
    at: datetime | None
    acting_school_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseFacts:
    """A course as it was recorded. closing_delay_minutes: its own; effective: or else its school's."""

    id: UUID
    school_id: UUID
    name: str
    start_at: datetime
    end_at: datetime
    is_online: bool
    closing_delay_minutes: int | None
    effective_delay_minutes: int
    signature_closed_at: datetime | None
    signing_open_until: datetime | None
    cancelled: bool
    version: int


async def find_course_as_of(connection: Connection, asked: Asked) -> CourseFacts | None:
    """Return the course as recorded."""
    row = await connection.fetchrow(COURSE_AS_OF, asked.id, asked.acting_school_id, asked.at)
    return None if row is None else CourseFacts(**dict(row))


async def teaches_as_of(connection: Connection, asked: Asked, teacher_id: UUID) -> bool | None:
    """Return whether the teacher was assigned to the course."""
    row = await connection.fetchrow(TEACHES_AS_OF, asked.id, asked.acting_school_id, asked.at, teacher_id)
    return None if row is None else bool(row["is_assigned"])


async def groups_as_of(connection: Connection, asked: Asked, student_id: UUID) -> list[UUID] | None:
    """Return the groups of the course in which the student was."""
    row = await connection.fetchrow(GROUPS_AS_OF, asked.id, asked.acting_school_id, asked.at, student_id)
    return None if row is None else list(row["group_ids"])


async def rooms_as_of(connection: Connection, asked: Asked) -> list[UUID] | None:
    """Return the rooms that were linked to the course."""
    row = await connection.fetchrow(ROOMS_AS_OF, asked.id, asked.acting_school_id, asked.at)
    return None if row is None else list(row["classroom_ids"])


async def preferences_as_of(connection: Connection, asked: Asked) -> Preferences | None:
    """Return the preferences of the school as recorded."""
    row = await connection.fetchrow(PREFERENCES_AS_OF, asked.id, asked.acting_school_id, asked.at)
    return None if row is None else preferences_of(row)
