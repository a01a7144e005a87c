"""The route by which a course is watched: who has signed, as it happens."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from attendance_svc.domain.attempts import Course
from attendance_svc.http_api.desk import SHEET_READERS, Desk
from attendance_svc.http_api.live_bodies import LiveChange, LiveQuery, LiveResumed, LiveSheet, to_live_signature
from attendance_svc.http_api.watching import TYPES, News, Watcher, Watching, news_of
from attendance_svc.queries import list_counting
from contracts.ids import CourseId
from contracts.problems import InvalidInputError, NotFoundError
from infra.http_bodies import NoBody
from infra.http_events import Event, Events
from infra.http_routes import AnyRoute, Call, Route
from infra.postgres import connection
from infra.telemetry import logger
from streams.codec import delivered
from streams.entries import Entry, Head
from streams.log import LogPage
from streams.names import shard_of

# <incarnation>/<shard>/<position>: the last event that a reader heard of, or that what it was shown has in it.
PLACE = re.compile(r"([0-9a-f-]{36})/([0-9]{1,5})/([0-9]{1,18})")
# Of all events of the shard. Beyond, a sheet is less than what was missed.
MOST_MISSED = 500
# Readers that all want a sheet at once, as after a restart, leave connections for those who sign.
SHEETS_AT_ONCE = 3

log = logger(__name__)


class OwnLog(Protocol):
    """The log of attendance itself."""

    async def head(self, shard: int) -> Head:
        """Return how far it goes. Raises: UnavailableError."""

    async def read_on(self, shard: int, incarnation: UUID, pos: int, *, limit: int) -> LogPage | None:
        """Return what follows a position, None when the log cannot tell. Raises: UnavailableError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the log somebody is."""

    incarnation: UUID
    shard: int
    pos: int

    def __str__(self) -> str:
        return f"{self.incarnation}/{self.shard}/{self.pos}"


def read_place(text: str | None) -> Place | None:
    """Return the place that `text` names, None when it names none."""
    found = PLACE.fullmatch(text or "")
    if found is None:
        return None
    try:
        return Place(incarnation=UUID(found[1]), shard=int(found[2]), pos=int(found[3]))
    except ValueError:
        return None


class LiveRoutes:
    """The route under /signatures that goes on."""

    def __init__(self, desk: Desk, watching: Watching, log: OwnLog) -> None:
        self._desk, self._watching, self._log = desk, watching, log
        self._sheets = asyncio.Semaphore(SHEETS_AT_ONCE)

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind. It comes before the ids, which it would be taken for."""
        return [
            Route(
                method="GET",
                path="/signatures/live",
                handler=self.watch,
                who=SHEET_READERS,
                query=LiveQuery,
                events={"sheet": LiveSheet, "resumed": LiveResumed, "signature": LiveChange},
                summary="Watch who signs",
            )
        ]

    async def watch(self, call: Call[NoBody, LiveQuery]) -> Events:
        query = call.query
        if call.caller.type == "dev" and query.school_id is None:
            raise InvalidInputError("malformed_query", fields=["school_id"])
        last = call.last_event_id()
        course = await self._desk.find_course(call, CourseId(query.course_id))
        if query.school_id not in (None, course.school_id):
            raise NotFoundError("not_found")
        return self._tell(course, read_place(last))

    async def _tell(self, course: Course, last: Place | None) -> Events:
        shard = shard_of(course.school_id, self._desk.shard_count)
        with self._watching.watch(course.id, shard) as watcher:
            await self._watching.until_heard(shard)
            teller = Teller(
                desk=self._desk, log=self._log, sheets=self._sheets, course=course, shard=shard, watcher=watcher
            )
            for event in await teller.begin(last):
                yield event
            while True:
                for event in await teller.go_on():
                    yield event


@dataclass(slots=True, kw_only=True)
class Teller:
    """What one reader of a course is told: how things are, then every change, each once."""

    desk: Desk
    log: OwnLog
    sheets: asyncio.Semaphore
    course: Course
    shard: int
    watcher: Watcher
    _place: Place = field(init=False)
    # Of each signature, the last change that the reader knows of. What a sheet has may not have been heard yet.
    _known: dict[UUID, int] = field(default_factory=dict)

    async def begin(self, last: Place | None) -> Sequence[Event]:
        """Return what a reader misses who heard `last`; the sheet if that cannot be told."""
        resumed = await self._resume(last) if last and last.shard == self.shard else None
        return resumed or [await self._sheet()]

    async def go_on(self) -> Sequence[Event]:
        """Wait for what is new and return it."""
        news = await self.watcher.next()
        return [await self._sheet()] if news is None else list(self._told(news))

    async def _sheet(self) -> Event:
        course, now = self.course, self.desk.now()
        async with self.sheets:
            self.watcher.begin_anew()
            # Before the signatures are read: they have everything that the log has by now.
            head = await self.log.head(self.shard)
            timetable, at = self.desk.sources.timetable, min(now, course.end_at)
            expected = [] if course.is_cancelled else await timetable.list_expected(course.id, at)
            async with connection(self.desk.pool) as lent:
                counting = await list_counting(lent, course.id, course.school_id)
        self._known = {seen.signature_id: seen.announced for seen in counting}
        self._place = Place(incarnation=head.incarnation, shard=self.shard, pos=head.last.pos)
        shown = [to_live_signature(seen) for seen in counting]
        sheet = LiveSheet(course_id=course.id, expected_ids=expected, signatures=shown)
        return Event(id=str(self._place), name="sheet", data=sheet)

    async def _resume(self, last: Place) -> Sequence[Event] | None:
        self.watcher.begin_anew()
        page = await self.log.read_on(self.shard, last.incarnation, last.pos, limit=MOST_MISSED)
        end = page.entries[-1].pos if page and page.entries else last.pos
        if page is None or end < page.head.last.pos:
            return None
        try:
            missed = list(self._changes_in(page.entries))
        except ValueError:
            log.exception("an event of ours cannot be read", action="live_undecodable", shard=self.shard)
            return None
        self._place = last
        begin = LiveResumed(course_id=self.course.id, missed=len(missed))
        return [Event(id=str(last), name="resumed", data=begin), *self._told(missed)]

    def _told(self, news: Sequence[News]) -> Iterator[Event]:
        for pos, told in news:
            if pos <= self._place.pos or told.change <= self._known.get(told.signature_id, 0):
                continue
            self._known[told.signature_id] = told.change
            self._place = Place(incarnation=self._place.incarnation, shard=self.shard, pos=pos)
            yield Event(id=str(self._place), name="signature", data=told)

    def _changes_in(self, entries: Sequence[Entry]) -> Iterator[News]:
        spelled = str(self.course.id)
        for entry in entries:
            # Of a shard's events next to none are of this course, and to parse one costs much more than this.
            if entry.body is not None and spelled.encode() in entry.body:
                event = delivered(entry)
                if event.type in TYPES and event.data["course_id"] == spelled:
                    yield news_of(event)
