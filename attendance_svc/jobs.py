"""Clock door of attendance_svc: what happens because time has passed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prometheus_client import Gauge

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.pending import resolve_pending, settle_course, settle_overdue
from attendance_svc.domain.bearings import Bearings, ClockReading
from attendance_svc.domain.closing import DueSheet
from attendance_svc.ports import OpenBook, WaitingRoom
from contracts.events.envelope import Cause
from contracts.problems import ProblemError
from infra.clock import Clock, utc_now
from infra.device_requests import forget_nonces
from infra.postgres import Connection, Pool, connection, transaction
from infra.process import Loop
from infra.telemetry import logger

# How long after its due time the most overdue course is still open. Over a few seconds: look at academics, and at how
# old the copy of it is. Decisions do not depend on it.
CLOSING_LATE_S = Gauge("closing_late_seconds", "Age of the oldest course that should be closed and is not")

FIRE_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0
LOOK_EVERY_S = 0.5
RESOLVE_EVERY_S = 2.0
# The copy grows certain of a moment a second or two after it; whoever waits for that shall not wait much longer.
RESOLVE_FROM_COPY_EVERY_S = 0.5
MEASURE_EVERY_S = 2.0
COMPARE_CLOCKS_EVERY_S = 5.0
# Until the clocks were compared once, the copy decides nothing. A process that starts before academics can answer, or
# while the machine is busy with just that, must not ask about every attempt for seconds.
COMPARE_CLOCKS_AGAIN_S = 1.0
PRUNE_EVERY_S = 3600.0
# Proofs are judged up to seven days after their time; a day more lets them wait for their judgement.
HISTORY = timedelta(days=8)
# A phone that was out of reach asks again for a while what became of its ticket.
SCANS_KEPT = timedelta(days=1)
# Their keys show that a kept code is genuine: as long as somebody may object to what is on a sheet.
QR_SESSIONS_KEPT = timedelta(days=400)

Work = Callable[[], Awaitable[object]]
Claim = tuple[UUID, int]

# Whatever waits for `awaiting_validation` and does not go down: look at academics, and at how old the copy of it is.
PENDING = Gauge("pending_signatures", "Attempts that are not decided yet, by what they wait for", ["reason"])
COPY_AGE_S = Gauge("attendance_copy_as_of_age_seconds", "How far the oldest shard of the copy of academics is behind")
# Every decision from the copy waits that much longer. Over 250 ms: one of the clocks is wrong.
CLOCK_OFFSET_S = Gauge("academics_clock_offset_seconds", "How far academics' clock and ours may be apart")
MAX_OFFSET = timedelta(milliseconds=250)

log = logger(__name__)


class CourseCloser(Protocol):
    """Academics, who alone decides whether a course is closed."""

    async def close_expired(self, now: datetime) -> int:
        """Have every course closed whose signing ended before `now`; return how many were. Safe to repeat.

        Raises: UnavailableError("academics_down").
        """


class ClosingTimers(Protocol):
    """The timers of the courses that are open. Each is one statement, and needs no transaction around it."""

    async def claim(self, connection: Connection, now: datetime) -> list[Claim]:
        """Take timers that are due, a bounded number; nobody else gets them for a while."""

    async def put_off(self, connection: Connection, claims: Sequence[Claim], now: datetime, error: str | None) -> None:
        """Try the claimed ones again later, unless they ended or moved meanwhile."""

    async def find_oldest_due(self, connection: Connection) -> datetime | None:
        """Return when the first of the courses that are still open was, or is, due."""


class Sheets(Protocol):
    """What is published about who was there."""

    async def claim(self, connection: Connection, now: datetime, *, margin: timedelta) -> list[DueSheet]:
        """Take sheets that are to be looked at, a bounded number; nobody else gets them for a while.

        margin: how far the copy of academics must be beyond the moment in question. One statement, as above.
        """

    async def publish(self, connection: Connection, due: DueSheet, now: datetime) -> None:
        """Say what is new about the course, if anything, with nobody signing meanwhile; what was due was settled."""


class PrunedCopy(Protocol):
    """The copy of academics."""

    async def prune(self, connection: Connection, before: datetime) -> None:
        """Forget versions that ended `before`, except those that a sheet is counted by."""


class KeptCodes(Protocol):
    """The codes that screens showed."""

    async def forget(self, connection: Connection, *, scans_before: datetime, sessions_before: datetime) -> None:
        """Forget scans that are older, and sessions that ended before."""


class LogHead(Protocol):
    """How far a shard of academics' log goes."""

    @property
    def incarnation(self) -> UUID:
        """Which log it is: another one after academics' database was restored."""

    @property
    def now(self) -> datetime:
        """What time it was in academics' database."""


class LogHeads(Protocol):
    """Academics' log, as far as it says how it stands."""

    async def head(self, shard: int) -> LogHead:
        """Return how far a shard goes. Raises: UnavailableError("log_down")."""


class Backlog(Protocol):
    """What waits, and how old the copy is that it waits for."""

    async def count_pending(self) -> Mapping[str, int]:
        """Return how many attempts are PENDING, by reason."""

    async def find_oldest_as_of(self) -> datetime | None:
        """Return the moment before which everything is in the whole copy; None while that is not proved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingJob:
    """Asks academics to close what is due. Runs in every replica; the timers end when academics' event comes back."""

    pool: Pool
    timers: ClosingTimers
    closer: CourseCloser
    now: Clock = utc_now

    async def fire(self) -> int:
        """Take all that is due and ask once, for it closes everything; return how many timers fired."""
        claims: list[Claim] = []
        while taken := await self._claim():
            claims += taken
        if claims:
            error = await self._ask()
            async with connection(self.pool) as lent:
                await self.timers.put_off(lent, claims, self.now(), error)
        await self._measure()
        return len(claims)

    async def sweep(self) -> None:
        """Ask although nothing seems due: a timer may be missing."""
        await self._ask()

    async def _claim(self) -> list[Claim]:
        async with connection(self.pool) as lent:
            return await self.timers.claim(lent, self.now())

    async def _ask(self) -> str | None:
        try:
            count = await self.closer.close_expired(self.now())
        except ProblemError as problem:
            log.warning("courses stay open for now", action="closing_failed", code=problem.code)
            return problem.code
        if count:
            log.info("academics closed courses", action="closing", count=count)
        return None

    async def _measure(self) -> None:
        async with connection(self.pool) as lent:
            oldest = await self.timers.find_oldest_due(lent)
        CLOSING_LATE_S.set(0 if oldest is None else max(0.0, (self.now() - oldest).total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetJob:
    """Settles courses that are over and publishes their sheets."""

    pool: Pool
    sheets: Sheets
    open_book: OpenBook
    bearings: Bearings
    now: Clock = utc_now

    async def look(self) -> int:
        """Look at all sheets that are due; return how many: none before the clocks were compared once."""
        margin = self.bearings.margin()
        count = 0
        while margin is not None and (due := await self._claim(margin)):
            for each in due:
                await self._look_at(each)
            count += len(due)
        return count

    async def _claim(self, margin: timedelta) -> list[DueSheet]:
        async with connection(self.pool) as lent:
            return await self.sheets.claim(lent, self.now(), margin=margin)

    async def _look_at(self, due: DueSheet) -> None:
        at = self.now()
        if due.settles_end_at is not None:
            await settle_course(due.course_id, at=at, open_book=self.open_book, cause=_by_job(at))
        async with transaction(self.pool) as lent:
            await self.sheets.publish(lent, due, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """Judges again those who could not be judged when they came."""

    waiting_room: WaitingRoom
    sources: Sources
    open_book: OpenBook
    now: Clock = utc_now

    async def resolve(self) -> int:
        """Judge those whose facts are now to be had; return how many."""
        return await resolve_pending(
            waiting_room=self.waiting_room, sources=self.sources, open_book=self.open_book, cause=_by_job(self.now())
        )

    async def resolve_from_copy(self) -> int:
        """Judge those of whose time the copy is certain by now, and ask nobody; return how many."""
        return await resolve_pending(
            waiting_room=self.waiting_room,
            sources=self.sources,
            open_book=self.open_book,
            cause=_by_job(self.now()),
            may_ask=False,
        )

    async def sweep(self) -> int:
        """Judge those who wait for a teacher although that was decided; return how many."""
        return await settle_overdue(waiting_room=self.waiting_room, open_book=self.open_book, cause=_by_job(self.now()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneJob:
    """Forgets what is old: in the copy of academics, by which no attempt older than a week is judged, and QR codes."""

    pool: Pool
    copy: PrunedCopy
    codes: KeptCodes
    now: Clock = utc_now

    async def prune(self) -> None:
        """Forget versions that ended before the history that is kept, scans and sessions nobody asks about any more."""
        now = self.now()
        async with transaction(self.pool) as lent:
            await self.copy.prune(lent, now - HISTORY)
            await self.codes.forget(lent, scans_before=now - SCANS_KEPT, sessions_before=now - QR_SESSIONS_KEPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceJob:
    """Forgets the nonces of phones that do not come again; the others' go when they do."""

    pool: Pool
    now: Clock = utc_now

    async def sweep(self) -> None:
        """Forget those that have expired."""
        async with connection(self.pool) as lent:
            await forget_nonces(lent, self.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogJob:
    """Measures what waits, and how old the copy is."""

    backlog: Backlog
    now: Clock = utc_now
    _reasons: set[str] = field(default_factory=set)

    async def measure(self) -> None:
        """Measure once; a reason that nobody waits for any more goes to 0."""
        counts = await self.backlog.count_pending()
        self._reasons.update(counts)
        for reason in self._reasons:
            PENDING.labels(reason).set(counts.get(reason, 0))
        as_of = await self.backlog.find_oldest_as_of()
        COPY_AGE_S.set(float("inf") if as_of is None else (self.now() - as_of).total_seconds())


@dataclass(slots=True, kw_only=True)
class ClockJob:
    """Compares academics' clock with ours. Runs in every process that decides by the copy."""

    heads: LogHeads
    bearings: Bearings
    shards: Sequence[int]
    now: Clock = utc_now
    _is_off: bool = False

    async def measure(self) -> None:
        """Ask every shard once how it stands and what time it is there.

        Raises: UnavailableError("log_down") at the first shard that does not answer.
        """
        for shard in self.shards:
            sent_at = self.now()
            head = await self.heads.head(shard)
            self.bearings.note_log(shard, head.incarnation)
            reading = self.bearings.note_clock(head.now, sent_at=sent_at, heard_at=self.now())
            if reading is not None:
                self._complain(reading)
        if (offset := self.bearings.offset()) is not None:
            CLOCK_OFFSET_S.set(offset.total_seconds())

    def _complain(self, reading: ClockReading) -> None:
        """Say it once when the clocks drift apart, and once when they are together again."""
        offset_s = reading.offset.total_seconds()
        if reading.at_least > MAX_OFFSET and not self._is_off:
            self._is_off = True
            log.error("academics' clock and ours are apart", action="clock_off", offset_s=offset_s)
        elif reading.at_most <= MAX_OFFSET and self._is_off:
            self._is_off = False
            log.info("academics' clock and ours agree again", action="clock_agrees", offset_s=offset_s)


def loops(
    closing: ClosingJob,
    sheets: SheetJob,
    waiting: WaitingJob,
    pruning: PruneJob,
    nonces: NonceJob,
    backlog: BacklogJob,
) -> Sequence[Loop]:
    """Return all background work of this door, each with its rhythm. Any number of replicas may run it."""
    return (
        every(FIRE_EVERY_S, closing.fire),
        every(SWEEP_EVERY_S, closing.sweep),
        every(LOOK_EVERY_S, sheets.look),
        every(RESOLVE_EVERY_S, waiting.resolve),
        every(RESOLVE_FROM_COPY_EVERY_S, waiting.resolve_from_copy),
        every(MEASURE_EVERY_S, backlog.measure),
        every(SWEEP_EVERY_S, waiting.sweep),
        every(SWEEP_EVERY_S, nonces.sweep),
        every(PRUNE_EVERY_S, pruning.prune),
    )


def comparing(clock: ClockJob) -> Loop:
    """Return what compares the clocks for as long as the process runs."""
    return every(COMPARE_CLOCKS_EVERY_S, clock.measure, again_s=COMPARE_CLOCKS_AGAIN_S)


def _by_job(at: datetime) -> Cause:
    return Cause(at=at, actor_type="job")


def every(seconds: float, work: Work, *, again_s: float | None = None) -> Loop:
    """Return a loop that does `work` again and again; what cannot be done now is done the next time.

    again_s: how soon that is, unless it is as soon as ever.
    """

    async def loop(stop: asyncio.Event) -> None:
        while not stop.is_set():
            wait_s = seconds
            try:
                await work()
            except ProblemError as problem:
                log.warning("work was put off", action="job_put_off", work=work.__qualname__, code=problem.code)
                wait_s = seconds if again_s is None else again_s
            await _is_set_within(stop, wait_s)

    return loop


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
