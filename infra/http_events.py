"""Server-Sent Events: answers that go on for as long as somebody listens and may."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from secrets import SystemRandom
from uuid import UUID

from aiohttp import hdrs, web
from multidict import istr
from prometheus_client import Gauge
from pydantic import BaseModel

from contracts.problems import MalformedError, ProblemError, UnavailableError
from contracts.values import value
from infra.telemetry import logger

# How long a reader that was cut off is to wait before it asks again: those that a restart has cut off together come
# back one after the other.
RETRY_MS = (2_000, 6_000)
draw_ms = SystemRandom().randint
HEARTBEAT = b":\n\n"
LAST_EVENT_ID = istr("Last-Event-ID")
ID_MAX_CHARS = 200

OPEN_STREAMS = Gauge("http_open_event_streams", "Event streams that are being read")

log = logger(__name__)


@value
class Event:
    """Something to tell. name: a word that readers listen for. data: one JSON object.

    id: 1 to 200 printable ASCII characters without spaces, which a reader that was cut off sends back as
    `Last-Event-ID`; None where there is nothing to resume from.
    """

    name: str
    data: BaseModel
    id: str | None = None

    def encoded(self) -> bytes:
        """Return the event as it is sent. JSON keeps its line ends to itself, so the data is one line."""
        data = self.data.__pydantic_serializer__.to_json(self.data)
        lines = [f"event: {self.name}\ndata: ".encode(), data, b"\n\n"]
        if self.id is not None:
            lines.insert(0, f"id: {self.id}\n".encode())
        return b"".join(lines)


# Until the first event comes the request is like any other: problems are answered as such, within the time of any
# request. What the generator opens it closes in `finally`.
Events = AsyncGenerator[Event, None]


class StreamEnd(BaseModel):
    """The last event, `end`: why there are no more.

    reason: `done`; `replaced` by later streams of this person; `stopping`: another process serves; or a problem's code.
    """

    reason: str


class ReaderLostError(Exception):
    """Nobody takes what is written any more."""


def last_event_id(request: web.Request) -> str | None:
    """Return what the reader heard last, None at its first time. Raises: MalformedError("malformed_header")."""
    text = request.headers.get(LAST_EVENT_ID)
    # An empty one is what a browser sends for "none".
    if not text:
        return None
    if len(text) > ID_MAX_CHARS or not all("!" <= char <= "~" for char in text):
        raise MalformedError("malformed_header", fields=["last-event-id"])
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What a door bears. most_count: open at once. most_per_person: beyond, the oldest one of that person ends.

    heartbeat_s: no reader, nor any proxy before it, hears nothing for longer. look_s: how soon it is noticed that a
    token is void or that the reader has left. stall_s: a reader that takes nothing for as long is dropped.
    """

    most_count: int = 1000
    most_per_person: int = 8
    heartbeat_s: float = 15
    look_s: float = 2
    stall_s: float = 5


STREAM_LIMITS = StreamLimits()
MayHear = Callable[[], Awaitable[object]]


@dataclass(slots=True, kw_only=True, eq=False)
class EventWriter:
    """Writes what a handler tells to one reader, for as long as it listens and may.

    whose: the person who reads, None if anybody may. may_hear: raises the problem that ends the stream.
    ended: why it is to end. opened: closed when nothing more is to be sent. first: of `events`, which has come.
    """

    request: web.Request
    events: Events
    whose: UUID | None
    may_hear: MayHear
    limits: StreamLimits
    retry_ms: int
    ended: asyncio.Future[str]
    opened: AsyncExitStack = field(init=False)
    first: Event = field(init=False)
    _response: web.StreamResponse = field(init=False)
    _written_at_s: float = 0.0

    def end(self, reason: str) -> None:
        """Let the stream end as soon as its reader can be told why."""
        if not self.ended.done():
            self.ended.set_result(reason)

    async def run(self) -> web.StreamResponse:
        """Send everything; return when nothing more is to be sent."""
        self._response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream"})
        async with self.opened:
            await self._send()
        return self._response

    async def _send(self) -> None:
        try:
            await self._write(f"retry: {self.retry_ms}\n\n".encode() + self.first.encoded())
            reason = await self._tell()
            await self._write(Event(name="end", data=StreamEnd(reason=reason)).encoded())
        except ReaderLostError as error:
            log.debug("a reader was lost", action="reader_lost", why=str(error))

    async def _tell(self) -> str:
        try:
            return await self._tell_all()
        except ProblemError as problem:
            return problem.code
        except ReaderLostError:
            raise
        except Exception:
            log.exception("an event stream failed", action="bug")
            return "internal"

    async def _tell_all(self) -> str:
        coming: asyncio.Future[Event | None] = asyncio.ensure_future(anext(self.events, None))
        try:
            while True:
                await self._wait_for(coming)
                if self.ended.done():
                    return self.ended.result()
                await self._check()
                if coming.done():
                    event = coming.result()
                    if event is None:
                        return "done"
                    coming = asyncio.ensure_future(anext(self.events, None))
                    await self._write(event.encoded())
                elif asyncio.get_running_loop().time() >= self._written_at_s + self.limits.heartbeat_s:
                    await self._write(HEARTBEAT)
        finally:
            await _cancelled(coming)

    async def _wait_for(self, coming: asyncio.Future[Event | None]) -> None:
        beat_in_s = self._written_at_s + self.limits.heartbeat_s - asyncio.get_running_loop().time()
        waiting_s = max(0, min(self.limits.look_s, beat_in_s))
        wanted = (coming, self.ended)
        await asyncio.wait(wanted, timeout=waiting_s, return_when=asyncio.FIRST_COMPLETED)

    async def _check(self) -> None:
        transport = self.request.transport
        if transport is None or transport.is_closing():
            raise ReaderLostError("it has left")
        try:
            await self.may_hear()
        except UnavailableError:
            # Who cannot be checked right now was let in: an outage is no refusal.
            log.info("a reader could not be checked", action="reader_unchecked")

    async def _write(self, chunk: bytes) -> None:
        try:
            async with asyncio.timeout(self.limits.stall_s):
                await self._response.prepare(self.request)
                await self._response.write(chunk)
        except TimeoutError as error:
            if transport := self.request.transport:
                # What is not taken would be kept for as long.
                transport.abort()
            raise ReaderLostError("it takes nothing") from error
        except ConnectionError as error:
            raise ReaderLostError("it has left") from error
        self._written_at_s = asyncio.get_running_loop().time()


async def _cancelled(coming: asyncio.Future[Event | None]) -> None:
    coming.cancel()
    await asyncio.wait([coming])
    if not coming.cancelled():
        # Looked at, so that nobody complains that it was not.
        coming.exception()


class OpenStreams:
    """The streams that a door has open: how many there may be, and that none holds up its end."""

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        # Oldest first.
        self._open: dict[EventWriter, None] = {}
        self._is_closed = False

    async def begin(
        self, request: web.Request, events: Events, *, whose: UUID | None, may_hear: MayHear
    ) -> EventWriter:
        """Return what writes `events` once it runs; their first one is there. It counts until it has run.

        Raises: UnavailableError("overloaded"), and whatever comes instead of the first event.
        """
        if self._is_closed or len(self._open) >= self._limits.most_count:
            raise UnavailableError("overloaded")
        async with AsyncExitStack() as opened:
            writer = EventWriter(
                request=request,
                events=await opened.enter_async_context(aclosing(events)),
                whose=whose,
                may_hear=may_hear,
                limits=self._limits,
                retry_ms=draw_ms(*RETRY_MS),
                ended=asyncio.get_running_loop().create_future(),
            )
            self._count(writer)
            opened.callback(self._forget, writer)
            writer.first = await anext(events)
            writer.opened = opened.pop_all()
            return writer

    def _count(self, writer: EventWriter) -> None:
        theirs = [each for each in self._open if each.whose == writer.whose is not None]
        # Not a refusal: of a phone that lost its network, the streams of before still count.
        for oldest in theirs[: max(0, len(theirs) + 1 - self._limits.most_per_person)]:
            oldest.end("replaced")
        self._open[writer] = None
        OPEN_STREAMS.inc()

    def _forget(self, writer: EventWriter) -> None:
        del self._open[writer]
        OPEN_STREAMS.dec()

    async def close(self, _app: web.Application) -> None:
        """End all streams; a process that stops need not wait for them, their readers find another one."""
        self._is_closed = True
        for writer in self._open:
            writer.end("stopping")
