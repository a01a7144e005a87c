"""Planning courses: making, changing, cancelling and linking them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from academics_svc.commands.authority import check_course_change, check_planning
from academics_svc.commands.news import news_of_course
from academics_svc.commands.schools import check_version
from academics_svc.domain import Course, LinkKind, Plan, Preferences, adapt_signing, check_plan, linked, unlinked
from academics_svc.ports import Books
from contracts.events.academics import CourseCancelled, CourseCreated, CourseUpdated
from contracts.ids import CourseId, SchoolId
from contracts.problems import ConflictError, NotFoundError
from infra.tokens import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which course somebody wants to change, and when."""

    course_id: CourseId
    school_id: SchoolId
    caller: Caller
    now: datetime


async def create_course(course: Course, *, caller: Caller, digest: bytes, books: Books) -> None:
    """Plan a course. Safe to repeat. Its teachers are checked already (`require_people`).

    Raises: NotFoundError("not_found"), ForbiddenError("course_modification_disabled"),
    InvalidInputError("end_not_after_start" | "minutes_out_of_range"), ConflictError("idempotency_key_reused").
    """
    await books.schools.hold(course.school_id)
    check_planning(caller, await hold_preferences(books, course.school_id))
    check_plan(course)
    await books.groups.hold(course.group_ids, school_id=course.school_id)
    await books.classrooms.hold(course.classroom_ids, school_id=course.school_id)
    await books.courses.add(course, digest=digest, announce=news_of_course(course, CourseCreated))


async def change_course(target: Target, changes: Mapping[str, Any], *, version_seen: int, books: Books) -> Course:
    """Set some fields of the course; what the job closed opens again when it is due later now.

    Raises: NotFoundError("not_found"), ForbiddenError (see `check_course_change`),
    PreconditionFailedError("version_stale"), ConflictError("course_cancelled"),
    InvalidInputError("end_not_after_start" | "minutes_out_of_range").
    """
    preferences, before = await lock_course(books, target)
    check_course_change(target.caller, before, preferences, changes.keys())
    check_version(before.version, version_seen)
    check_not_cancelled(before)
    planned = replace(before, **changes)
    check_plan(planned)
    if planned == before:
        return before
    after = adapt_signing(
        Plan(course=before, preferences=preferences), Plan(course=planned, preferences=preferences), target.now
    )
    return await books.courses.change(before, after, news_of_course(after, CourseUpdated))


async def cancel_course(target: Target, *, books: Books) -> Course:
    """Say that the course will not take place; it stays readable. Safe to repeat.

    Raises: NotFoundError("not_found"), ForbiddenError("course_modification_disabled").
    """
    preferences, before = await lock_course(books, target)
    check_planning(target.caller, preferences)
    if before.cancelled:
        return before
    after = replace(before, cancelled=True)
    return await books.courses.change(before, after, news_of_course(after, CourseCancelled))


async def link_course(target: Target, kind: LinkKind, target_id: UUID, *, books: Books) -> Course:
    """Link a teacher, group or classroom to the course. Safe to repeat. A teacher is checked already.

    Raises: NotFoundError("not_found"), ConflictError("course_cancelled").
    """
    before = await books.courses.lock(target.course_id, school_id=target.school_id)
    after = linked(before, kind, target_id)
    if after != before and kind == "group":
        await books.groups.hold([target_id], school_id=target.school_id)
    elif after != before and kind == "classroom":
        await books.classrooms.hold([target_id], school_id=target.school_id)
    return await _relink(before, after, books=books)


async def unlink_course(target: Target, kind: LinkKind, target_id: UUID, *, books: Books) -> Course:
    """End the link of a teacher, group or classroom to the course. Safe to repeat.

    Raises: NotFoundError("not_found"), ConflictError("course_cancelled").
    """
    before = await books.courses.lock(target.course_id, school_id=target.school_id)
    return await _relink(before, unlinked(before, kind, target_id), books=books)


async def _relink(before: Course, after: Course, *, books: Books) -> Course:
    if after == before:
        return before
    check_not_cancelled(before)
    return await books.courses.change(before, after, news_of_course(after, CourseUpdated))


async def lock_course(books: Books, target: Target) -> tuple[Preferences, Course]:
    """Return the course, locked, and the preferences that count for it, held.

    Raises: NotFoundError("not_found").
    """
    preferences = await hold_preferences(books, target.school_id)
    return preferences, await books.courses.lock(target.course_id, school_id=target.school_id)


async def hold_preferences(books: Books, school_id: SchoolId) -> Preferences:
    """Return the school's preferences, held. Raises: NotFoundError("not_found")."""
    preferences = (await books.schools.hold_preferences([school_id])).get(school_id)
    if preferences is None:
        raise NotFoundError("not_found")
    return preferences


def check_not_cancelled(course: Course) -> None:
    """Raises: ConflictError("course_cancelled")."""
    if course.cancelled:
        raise ConflictError("course_cancelled")
