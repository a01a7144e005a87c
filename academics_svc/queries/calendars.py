"""Reads for the calendars that people subscribe to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from academics_svc.domain import Course
from academics_svc.queries.courses import CourseFilter, list_courses
from infra.postgres import Connection

FIND_COUNTER = "SELECT counter FROM calendar_revocation WHERE user_id = $1"
RECORDED_AT = "SELECT id, recorded_at FROM course WHERE id = ANY($1::uuid[])"
ROOM_NAMES = "SELECT id, name FROM classroom WHERE id = ANY($1::uuid[])"
PAGE_COUNT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarCourse:
    """A course as a calendar shows it. room_names: in alphabetical order."""

    course: Course
    recorded_at: datetime
    room_names: Sequence[str]


async def find_counter(connection: Connection, user_id: UUID) -> int:
    """Return how often the person has made their calendar's URLs void."""
    return int(await connection.fetchval(FIND_COUNTER, user_id) or 0)


async def list_for_calendar(connection: Connection, wanted: CourseFilter) -> list[CalendarCourse]:
    """Return all courses that fit, in the order of their starts."""
    courses: list[Course] = []
    while True:
        after = courses[-1].id if courses else None
        page = await list_courses(connection, wanted, after=after, limit=PAGE_COUNT)
        courses += [view.course for view in page]
        if len(page) < PAGE_COUNT:
            break
    recorded = await connection.fetch(RECORDED_AT, [course.id for course in courses])
    rooms = await connection.fetch(ROOM_NAMES, list({id_ for course in courses for id_ in course.classroom_ids}))
    recorded_at = {row["id"]: row["recorded_at"] for row in recorded}
    names = {row["id"]: row["name"] for row in rooms}
    return [
        CalendarCourse(
            course=course,
            recorded_at=recorded_at[course.id],
            room_names=sorted(names[id_] for id_ in course.classroom_ids),
        )
        for course in sorted(courses, key=lambda course: (course.start_at, course.id))
    ]
