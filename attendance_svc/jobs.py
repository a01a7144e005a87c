"""Clock door of attendance_svc: what happens because time has passed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prometheus_client import Gauge

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.attempts import resolve_pending, settle_course, settle_overdue
from attendance_svc.domain.closing import DueSheet
from attendance_svc.ports import OpenBook, WaitingRoom
from contracts.events.envelope import Cause
from contracts.problems import ProblemError
from infra.clock import Clock, utc_now
from infra.postgres import Connection, Pool, transaction
from infra.process import Loop
from infra.telemetry import logger

# How long after its due time the most overdue course is still open. Over a few seconds: look at academics, and at how
# old the copy of it is. Decisions do not depend on it.
CLOSING_LATE_S = Gauge("closing_late_seconds", "Age of the oldest course that should be closed and is not")

FIRE_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0
LOOK_EVERY_S = 0.5
RESOLVE_EVERY_S = 2.0
PRUNE_EVERY_S = 3600.0
# Proofs are judged up to seven days after their time; a day more lets them wait for their judgement.
HISTORY = timedelta(days=8)

Work = Callable[[], Awaitable[object]]
Claim = tuple[UUID, int]

log = logger(__name__)


class CourseCloser(Protocol):
    """Academics, who alone decides whether a course is closed."""

    async def close_expired(self, now: datetime) -> int:
        """Have every course closed whose signing ended before `now`; return how many were. Safe to repeat.

        Raises: UnavailableError("academics_down").
        """


class ClosingTimers(Protocol):
    """The timers of the courses that are open."""

    async def claim(self, connection: Connection, now: datetime) -> list[Claim]:
        """Take timers that are due, a bounded number; nobody else gets them for a while."""

    async def put_off(self, connection: Connection, claims: Sequence[Claim], now: datetime, error: str | None) -> None:
        """Try the claimed ones again later, unless they ended or moved meanwhile."""

    async def find_oldest_due(self, connection: Connection) -> datetime | None:
        """Return when the first of the courses that are still open was, or is, due."""


class Sheets(Protocol):
    """What is published about who was there."""

    async def claim(self, connection: Connection, now: datetime) -> list[DueSheet]:
        """Take sheets that are to be looked at, a bounded number; nobody else gets them for a while."""

    async def publish(self, connection: Connection, due: DueSheet, now: datetime) -> None:
        """Say what is new about the course, if anything, with nobody signing meanwhile; what was due was settled."""


class PrunedCopy(Protocol):
    """The copy of academics."""

    async def prune(self, connection: Connection, before: datetime) -> None:
        """Forget versions that ended `before`, except those that a sheet is counted by."""


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
            async with transaction(self.pool) as connection:
                await self.timers.put_off(connection, claims, self.now(), error)
        await self._measure()
        return len(claims)

    async def sweep(self) -> None:
        """Ask although nothing seems due: a timer may be missing."""
        await self._ask()

    async def _claim(self) -> list[Claim]:
        async with transaction(self.pool) as connection:
            return await self.timers.claim(connection, self.now())

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
        async with transaction(self.pool) as connection:
            oldest = await self.timers.find_oldest_due(connection)
        CLOSING_LATE_S.set(0 if oldest is None else max(0.0, (self.now() - oldest).total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetJob:
    """Settles courses that are over and publishes their sheets."""

    pool: Pool
    sheets: Sheets
    open_book: OpenBook
    now: Clock = utc_now

    async def look(self) -> int:
        """Look at all sheets that are due; return how many."""
        count = 0
        while due := await self._claim():
            for each in due:
                await self._look_at(each)
            count += len(due)
        return count

    async def _claim(self) -> list[DueSheet]:
        async with transaction(self.pool) as connection:
            return await self.sheets.claim(connection, self.now())

    async def _look_at(self, due: DueSheet) -> None:
        at = self.now()
        if due.settles_end_at is not None:
            await settle_course(due.course_id, at=at, open_book=self.open_book, cause=_by_job(at))
        async with transaction(self.pool) as connection:
            await self.sheets.publish(connection, due, at)


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

    async def sweep(self) -> int:
        """Judge those who wait for a teacher although that was decided; return how many."""
        return await settle_overdue(waiting_room=self.waiting_room, open_book=self.open_book, cause=_by_job(self.now()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneJob:
    """Forgets what the copy of academics no longer needs: no attempt older than a week is judged by it."""

    pool: Pool
    copy: PrunedCopy
    now: Clock = utc_now

    async def prune(self) -> None:
        """Forget versions that ended before the history that is kept."""
        async with transaction(self.pool) as connection:
            await self.copy.prune(connection, self.now() - HISTORY)


def loops(closing: ClosingJob, sheets: SheetJob, waiting: WaitingJob, pruning: PruneJob) -> Sequence[Loop]:
    """Return all background work of this door, each with its rhythm. Any number of replicas may run it."""
    return (
        every(FIRE_EVERY_S, closing.fire),
        every(SWEEP_EVERY_S, closing.sweep),
        every(LOOK_EVERY_S, sheets.look),
        every(RESOLVE_EVERY_S, waiting.resolve),
        every(SWEEP_EVERY_S, waiting.sweep),
        every(PRUNE_EVERY_S, pruning.prune),
    )


def _by_job(at: datetime) -> Cause:
    return Cause(at=at, actor_type="job")


def every(seconds: float, work: Work) -> Loop:
    """Return a loop that does `work` again and again; what cannot be done now is done the next time."""

    async def loop(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await work()
            except ProblemError as problem:
                log.warning("work was put off", action="job_put_off", work=work.__qualname__, code=problem.code)
            await _is_set_within(stop, seconds)

    return loop


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
