"""Making, naming and retiring schools, and setting their preferences."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from academics_svc.commands.news import news_of_course, news_of_preferences, news_of_school
from academics_svc.domain import Plan, Preferences, School, adapt_signing, check_preferences
from academics_svc.ports import Books
from contracts.events.academics import CourseSignatureReopened, SchoolCreated, SchoolDeleted, SchoolUpdated
from contracts.ids import SchoolId
from contracts.problems import ConflictError, NotFoundError, PreconditionFailedError


async def create_school(school: School, preferences: Preferences, *, digest: bytes, books: Books) -> None:
    """Keep a new school and its preferences. Safe to repeat. Raises: ConflictError("idempotency_key_reused")."""
    check_preferences(preferences)
    announce = (news_of_school(school, SchoolCreated), news_of_preferences(preferences))
    await books.schools.add(school, preferences, digest=digest, announce=announce)


async def rename_school(school_id: SchoolId, name: str, *, version_seen: int, books: Books) -> School:
    """Give the school another name.

    Raises: NotFoundError("not_found"), PreconditionFailedError("version_stale").
    """
    school = await books.schools.lock(school_id)
    if school.retired:
        raise NotFoundError("not_found")
    check_version(school.version, version_seen)
    if school.name == name:
        return school
    renamed = replace(school, name=name)
    return await books.schools.change(renamed, news_of_school(renamed, SchoolUpdated))


async def retire_school(school_id: SchoolId, *, now: datetime, books: Books) -> School:
    """Retire an empty school. Safe to repeat. Raises: NotFoundError("not_found"), ConflictError("still_needed")."""
    school = await books.schools.lock(school_id)
    if school.retired:
        return school
    if await books.schools.is_needed(school_id, now):
        raise ConflictError("still_needed")
    retired = replace(school, retired=True)
    return await books.schools.change(retired, news_of_school(retired, SchoolDeleted))


async def change_preferences(
    school_id: SchoolId, changes: Mapping[str, Any], *, version_seen: int, now: datetime, books: Books
) -> Preferences:
    """Set some of the preferences; courses that the job closed open again when they are due later now.

    Raises: NotFoundError("not_found"), PreconditionFailedError("version_stale"),
    InvalidInputError("minutes_out_of_range").
    """
    await books.schools.hold(school_id)
    before = await books.schools.lock_preferences(school_id)
    check_version(before.version, version_seen)
    after = replace(before, **changes)
    check_preferences(after)
    if after == before:
        return before
    kept = await books.schools.change_preferences(after, news_of_preferences(after))
    await _reopen_courses(before, after, now=now, books=books)
    return kept


async def _reopen_courses(before: Preferences, after: Preferences, *, now: datetime, books: Books) -> None:
    closed = await books.courses.lock_closed_by_job(before.school_id, now)
    adapted = [
        adapt_signing(Plan(course=course, preferences=before), Plan(course=course, preferences=after), now)
        for course in closed
    ]
    reopened = [course for course in adapted if not course.signature_closed]
    await books.courses.change_signing(
        [(course, news_of_course(course, CourseSignatureReopened)) for course in reopened]
    )


def check_version(current: int, seen: int) -> None:
    """Raises: PreconditionFailedError("version_stale") when somebody changed it since it was seen."""
    if current != seen:
        raise PreconditionFailedError("version_stale")
