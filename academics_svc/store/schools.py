"""Schools and their preferences, with the preferences' history."""

from collections.abc import Collection, Mapping
from dataclasses import astuple, replace
from datetime import datetime

from academics_svc.domain import Preferences, School
from academics_svc.queries.schools import preferences_of, school_of
from academics_svc.store.writing import Writer, Written, check_repeat
from contracts.events.academics import PreferencesUpdated, SchoolState
from contracts.events.envelope import Event
from contracts.ids import SchoolId
from contracts.problems import NotFoundError
from infra.postgres import Row

ADD_SCHOOL = """
INSERT INTO school (id, name, request_digest) VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING RETURNING version, recorded_at
"""
FIND_SCHOOL_DIGEST = "SELECT request_digest FROM school WHERE id = $1"
LOCK_SCHOOL = "SELECT id, name, retired_at, version FROM school WHERE id = $1 FOR UPDATE"
HOLD_SCHOOL = "SELECT id, name, retired_at, version FROM school WHERE id = $1 AND retired_at IS NULL FOR SHARE"
CHANGE_SCHOOL = """
UPDATE school SET name = $2, retired_at = CASE WHEN $3 THEN recorded_after(recorded_at) END,
       version = version + 1, recorded_at = recorded_after(recorded_at)
WHERE id = $1 RETURNING version, recorded_at
"""
IS_SCHOOL_NEEDED = """
SELECT EXISTS (SELECT FROM classroom WHERE school_id = $1 AND retired_at IS NULL)
    OR EXISTS (SELECT FROM student_group WHERE school_id = $1 AND retired_at IS NULL)
    OR EXISTS (SELECT FROM course WHERE school_id = $1 AND NOT cancelled AND end_at > $2)
"""
ADD_PREFERENCES = """
INSERT INTO school_preferences (
    id, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
    students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
    early_open_minutes, late_grace_minutes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING version, recorded_at
"""
LOCK_PREFERENCES = """
SELECT id, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
       students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
       early_open_minutes, late_grace_minutes, version
FROM school_preferences WHERE school_id = $1 FOR UPDATE
"""
HOLD_PREFERENCES = """
SELECT id, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
       students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
       early_open_minutes, late_grace_minutes, version
FROM school_preferences WHERE school_id = ANY($1::uuid[]) ORDER BY school_id FOR SHARE
"""
CHANGE_PREFERENCES = """
UPDATE school_preferences SET
    default_signature_closing_delay_minutes = $3, teacher_can_modify_closing_delay = $4,
    students_can_sign_before_teacher = $5, enable_flash = $6, enable_nfc = $7, enable_qr = $8,
    disable_course_modification_from_ui = $9, early_open_minutes = $10, late_grace_minutes = $11,
    version = version + 1, recorded_at = recorded_after(recorded_at)
WHERE id = $1 AND school_id = $2 RETURNING version, recorded_at
"""
END_PREFERENCES_VERSION = """
UPDATE school_preferences_version v SET recorded_to = p.recorded_at FROM school_preferences p
WHERE p.id = $1 AND v.preferences_id = p.id AND v.recorded_to = 'infinity'
"""
ADD_PREFERENCES_VERSION = """
INSERT INTO school_preferences_version (
    preferences_id, version, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
    students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
    early_open_minutes, late_grace_minutes, recorded_from)
SELECT id, version, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
    students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
    early_open_minutes, late_grace_minutes, recorded_at
FROM school_preferences WHERE id = $1
"""


class PostgresSchoolBook:
    """Satisfies ports.SchoolBook."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._connection = writer, writer.connection

    async def add(
        self, school: School, preferences: Preferences, *, digest: bytes, announce: tuple[SchoolState, Event]
    ) -> None:
        row = await self._connection.fetchrow(ADD_SCHOOL, school.id, school.name, digest)
        if row is None:
            check_repeat(await self._connection.fetchrow(FIND_SCHOOL_DIGEST, school.id), digest)
            return
        rules = await self._connection.fetchrow(ADD_PREFERENCES, *astuple(preferences)[:-1])
        await self._keep_history(preferences)
        await self._writer.announce(
            (announce[0], written_school(school, row)), (announce[1], written_preferences(preferences, required(rules)))
        )

    async def lock(self, school_id: SchoolId) -> School:
        return school_of(required(await self._connection.fetchrow(LOCK_SCHOOL, school_id)))

    async def hold(self, school_id: SchoolId) -> School:
        return school_of(required(await self._connection.fetchrow(HOLD_SCHOOL, school_id)))

    async def change(self, school: School, announce: SchoolState) -> School:
        row = required(await self._connection.fetchrow(CHANGE_SCHOOL, school.id, school.name, school.retired))
        await self._writer.announce((announce, written_school(school, row)))
        return replace(school, version=row["version"])

    async def is_needed(self, school_id: SchoolId, now: datetime) -> bool:
        return bool(await self._connection.fetchval(IS_SCHOOL_NEEDED, school_id, now))

    async def lock_preferences(self, school_id: SchoolId) -> Preferences:
        return preferences_of(required(await self._connection.fetchrow(LOCK_PREFERENCES, school_id)))

    async def hold_preferences(self, school_ids: Collection[SchoolId]) -> Mapping[SchoolId, Preferences]:
        rows = await self._connection.fetch(HOLD_PREFERENCES, list(school_ids))
        return {SchoolId(row["school_id"]): preferences_of(row) for row in rows}

    async def change_preferences(self, preferences: Preferences, announce: PreferencesUpdated) -> Preferences:
        row = required(await self._connection.fetchrow(CHANGE_PREFERENCES, *astuple(preferences)[:-1]))
        await self._keep_history(preferences)
        await self._writer.announce((announce, written_preferences(preferences, row)))
        return replace(preferences, version=row["version"])

    async def _keep_history(self, preferences: Preferences) -> None:
        await self._connection.execute(END_PREFERENCES_VERSION, preferences.id)
        await self._connection.execute(ADD_PREFERENCES_VERSION, preferences.id)


def required(row: Row | None) -> Row:
    """Raises: NotFoundError("not_found")."""
    if row is None:
        raise NotFoundError("not_found")
    return row


def written_school(school: School, row: Row) -> Written:
    """Columns version and recorded_at."""
    return Written(kind="school", id=school.id, school_id=school.id, **dict(row))


def written_preferences(preferences: Preferences, row: Row) -> Written:
    """Columns version and recorded_at."""
    return Written(kind="preferences", id=preferences.id, school_id=preferences.school_id, **dict(row))
