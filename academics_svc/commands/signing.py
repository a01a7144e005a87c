"""Opening and closing the signing of courses, by hand and by the job."""

from datetime import datetime
from typing import Literal

from academics_svc.commands.authority import check_signing_change
from academics_svc.commands.courses import Target, check_not_cancelled, lock_course
from academics_svc.commands.news import news_of_course
from academics_svc.domain import Course, close_by_hand, expire, open_by_hand
from academics_svc.ports import Books
from contracts.events.academics import CourseSignatureClosed, CourseSignatureReopened
from contracts.problems import ConflictError

CLOSE_LIMIT = 200


async def set_signing(
    target: Target, state: Literal["open", "closed"], *, until: datetime | None, books: Books
) -> Course:
    """Open or close the signing of a course that is not over. Safe to repeat.

    Raises: NotFoundError("not_found"), ForbiddenError("forbidden" | "closing_delay_locked"),
    ConflictError("course_cancelled" | "course_ended" | "signing_is_open"), InvalidInputError("until_out_of_range").
    """
    preferences, before = await lock_course(books, target)
    check_signing_change(target.caller, before, preferences)
    check_not_cancelled(before)
    if target.now > before.end_at:
        raise ConflictError("course_ended")
    said: type[CourseSignatureClosed | CourseSignatureReopened]
    if state == "closed":
        after, said = close_by_hand(before, target.now), CourseSignatureClosed
    else:
        after, said = open_by_hand(before, preferences, until=until, now=target.now), CourseSignatureReopened
    if after == before:
        return before
    return await books.courses.change(before, after, news_of_course(after, said))


async def close_expired(now: datetime, *, books: Books) -> int:
    """Close the signing of courses that are due, at most 200; return how many. Safe to repeat, by any number at once.

    now: of our own clock, never later. Source: streams.md 5.
    """
    due = await books.courses.find_due(now, CLOSE_LIMIT)
    preferences = await books.schools.hold_preferences(set(due.values()))
    locked = await books.courses.lock_free(due.keys())
    judged = [expire(course, preferences[course.school_id], now) for course in locked]
    closed = [course for course in judged if course is not None]
    await books.courses.change_signing([(course, news_of_course(course, CourseSignatureClosed)) for course in closed])
    return len(closed)
