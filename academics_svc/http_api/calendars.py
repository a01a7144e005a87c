"""Calendars that people's own programs subscribe to: those send no token, so the URL itself says whose it is."""

from datetime import timedelta
from hashlib import sha256
from typing import Annotated

from aiohttp import hdrs, web
from pydantic import StringConstraints

from academics_svc.domain import Attendee, CalendarOwner
from academics_svc.http_api.desk import Desk
from academics_svc.queries.calendars import CalendarCourse, find_counter, list_for_calendar
from academics_svc.queries.courses import CourseFilter
from contracts.ids import SchoolId
from contracts.problems import ForbiddenError, NotFoundError
from infra.http_bodies import Answer, NoBody, NoQuery, Query
from infra.http_routes import ANYONE, AnyRoute, Call, Reply, Route
from infra.icalendar_text import EventText, calendar_text
from infra.postgres import connection
from infra.tokens import Caller, CallerType

ATTENDEES: frozenset[CallerType] = frozenset(("student", "teacher"))
CALENDAR = "text/calendar"
# Together the 400 days that any answer spans at most.
BACK, AHEAD = timedelta(days=60), timedelta(days=340)


class FeedQuery(Query):
    """feed: as in the URL that was handed out."""

    feed: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class CalendarAnswer(Answer):
    """Where the caller's calendar is, for whoever has this URL: it is a secret like a password."""

    url: str


class CalendarApi:
    """Routes about calendars."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        return [
            Route(
                method="GET",
                path="/courses/calendar",
                handler=self.get_url,
                who=ATTENDEES,
                answer=CalendarAnswer,
                summary="Hand out the URL of the caller's calendar",
            ),
            Route(
                method="DELETE",
                path="/courses/calendar",
                handler=self.delete_urls,
                who=ATTENDEES,
                status=204,
                summary="Make every URL of the caller's calendar void",
            ),
            Route(
                method="GET",
                path="/courses/calendar.ics",
                handler=self.get_calendar,
                who=ANYONE,
                query=FeedQuery,
                text=CALENDAR,
                summary="The courses of whoever's calendar the URL names",
            ),
        ]

    async def get_url(self, call: Call[NoBody, NoQuery]) -> Reply:
        """200; the same URL until it is made void."""
        async with connection(self._desk.pool) as lent:
            owner = owner_of(call.caller, counter=await find_counter(lent, call.caller.id))
        url = f"{self._desk.origin}/courses/calendar.ics?feed={self._desk.feeds.feed_of(owner)}"
        return Reply(body=CalendarAnswer(url=url))

    async def delete_urls(self, call: Call[NoBody, NoQuery]) -> Reply:
        """204."""
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            await books.calendars.revoke(call.caller.id)
        return Reply(status=204)

    async def get_calendar(self, call: Call[NoBody, FeedQuery]) -> web.StreamResponse:
        """200, or 304 for what the caller has; 404 for a URL that we did not make, that is void, or of nobody now."""
        owner = self._desk.feeds.read(call.query.feed)
        if owner is None:
            raise NotFoundError("not_found")
        async with connection(self._desk.pool) as lent:
            counter = await find_counter(lent, owner.user_id)
        # A URL must not let in whose account is shut.
        people = self._desk.people
        if counter != owner.counter or not await people.may_enter(owner.user_id, owner.kind, school_id=owner.school_id):
            raise NotFoundError("not_found")
        async with connection(self._desk.pool) as lent:
            courses = await list_for_calendar(lent, self._filter(owner))
        return answer(call.request, calendar_text([event_of(course) for course in courses]))

    def _filter(self, owner: CalendarOwner) -> CourseFilter:
        now = self._desk.now()
        return CourseFilter(
            school_id=owner.school_id,
            begins=now - BACK,
            ends=now + AHEAD,
            teacher_id=owner.user_id if owner.kind == "teacher" else None,
            student_id=owner.user_id if owner.kind == "student" else None,
        )


def owner_of(caller: Caller, *, counter: int) -> CalendarOwner:
    """Return the owner of the caller's calendar. Raises: ForbiddenError for whoever attends nothing."""
    kinds: dict[CallerType, Attendee] = {"student": "student", "teacher": "teacher"}
    if caller.school_id is None or caller.type not in kinds:
        raise ForbiddenError("forbidden")
    school_id = SchoolId(caller.school_id)
    return CalendarOwner(user_id=caller.id, school_id=school_id, kind=kinds[caller.type], counter=counter)


def event_of(shown: CalendarCourse) -> EventText:
    """Return what a calendar says of the course."""
    course = shown.course
    return EventText(
        id=course.id,
        version=course.version,
        changed_at=shown.recorded_at,
        starts_at=course.start_at,
        ends_at=course.end_at,
        summary=course.name,
        location=", ".join(shown.room_names),
        is_cancelled=course.cancelled,
    )


def answer(request: web.Request, text: bytes) -> web.Response:
    """Return the calendar with its tag, or only that it is the one that the caller has."""
    tag = f'"{sha256(text).hexdigest()[:32]}"'
    headers = {hdrs.ETAG: tag, hdrs.CACHE_CONTROL: "private, no-cache"}
    known = (each.strip().removeprefix("W/") for each in request.headers.get(hdrs.IF_NONE_MATCH, "").split(","))
    if tag in known:
        return web.Response(status=304, headers=headers)
    return web.Response(body=text, headers=headers, content_type=CALENDAR, charset="utf-8")
