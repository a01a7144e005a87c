"""A log, a stream and a copy in memory. Every call may be interrupted before and after it takes effect.

Held to the promises of the real ones by tests/contract/streams, and to much more by tests/simulation.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from contracts.ids import new_id
from contracts.problems import NotFoundError, UnavailableError
from streams.append import Appended, Mismatch, StreamDownError
from streams.chain import genesis, seal_after
from streams.checkpoint import FencedError, MovedError
from streams.continuity import Look
from streams.entries import NOTHING, Closed, Head, Place
from streams.ledger import Evidence, LogWentBackError, Sealed, ShardMissingError, went_back
from streams.log import LogPage, LogRefused, page, refusal

BEGAN = datetime(2025, 9, 1, tzinfo=UTC)


class Point:
    """A place where others go on: to asyncio a bare yield, to the simulator a chance to kill."""

    def __await__(self):
        yield


@dataclass
class MemoryLog:
    """One shard of a producer's database. now_ms: its clock. keep: how many entries a stream holds at least."""

    shard: int = 0
    now_ms: int = 1
    keep: int = 10**6
    pending: list = field(default_factory=list)
    entries: list = field(default_factory=list)
    base: Place = None
    last: Place = None
    closed: Closed | None = None
    is_away: bool = False

    def __post_init__(self):
        incarnation = new_id()
        hash_ = genesis("academics", self.shard, incarnation)
        self.base = self.last = Place(incarnation=incarnation, pos=0, ms=0, hash=hash_)

    def now(self):
        return BEGAN + timedelta(milliseconds=self.now_ms)

    def head(self):
        return Head(base=self.base, last=self.last, closed=self.closed, now=self.now())

    def after(self, pos):
        kept = [entry for entry in self.entries if entry.pos > self.base.pos]
        return (
            [entry for entry in kept if entry.pos > pos]
            if not kept or pos < kept[0].pos
            else kept[pos - kept[0].pos + 1 :]
        )


@dataclass
class MemoryLedger:
    """Satisfies streams.ledger.Ledger."""

    log: MemoryLog

    async def seal(self, *, limit, seen):
        await Point()
        log = self._log()
        if went_back(log.last, seen):
            raise LogWentBackError
        taken, log.pending[:limit] = log.pending[:limit], []
        ms = max(log.last.ms, int(log.now().timestamp() * 1000))
        for body in taken:
            log.entries.append(seal_after(log.last, log.shard, ms, body))
            log.last = log.entries[-1].place
        drained = len(taken) < limit
        if drained:
            log.closed = Closed(incarnation=log.last.incarnation, pos=log.last.pos, t=log.now())
        sealed = Sealed(head=log.head(), count=len(taken), drained=drained)
        await Point()
        return sealed

    async def head(self):
        await Point()
        return self._log().head()

    async def entries_after(self, pos, limit):
        await Point()
        entries = self._log().after(pos)[:limit]
        await Point()
        return entries

    async def evidence(self, actual):
        await Point()
        log = self._log()
        kept = log.after(log.base.pos)
        at = next((entry.place for entry in kept if entry.pos == actual.pos), None)
        first = kept[0].pos if kept else None
        return Evidence(head=log.head(), at=at, first_kept=first, floor=max(0, log.last.pos - log.keep))

    def _log(self):
        if self.log is None:
            raise ShardMissingError
        return self.log


@dataclass
class MemoryEventLog:
    """Satisfies streams.log.EventLog, for one shard."""

    log: MemoryLog

    async def head(self, shard):
        return await self._asked(shard)

    async def read(self, shard, after, *, upto, limit):
        head = await self._asked(shard)
        entries = self.log.after(after.pos)[:limit]
        if reason := refusal(head, after, entries):
            return LogRefused(reason=reason, head=head)
        answer = LogPage(entries=page(entries, upto=upto), head=head)
        await Point()
        return answer

    async def read_since(self, shard, after_ms, *, limit):
        head = await self._asked(shard)
        entries = [entry for entry in self.log.after(0) if entry.ms > after_ms]
        return LogPage(entries=page(entries[:limit], upto=None), head=head)

    async def _asked(self, shard):
        await Point()
        if self.log.is_away:
            raise UnavailableError("log_down")
        if shard != self.log.shard:
            raise NotFoundError("shard_unknown")
        return self.log.head()


@dataclass
class MemoryStream:
    """One shard's stream; satisfies streams.append.StreamWriter and streams.reading.StreamReader."""

    entries: list = field(default_factory=list)
    last: object = NOTHING
    closed: Closed | None = None
    is_away: bool = False

    async def append(self, expected, entries, closed, keep_from_ms):
        await self._reached()
        if expected != self.last:
            return Mismatch(self.last)
        self.entries += entries
        self.last = entries[-1].id if entries else self.last
        same = closed and self.closed and self.closed.incarnation == closed.incarnation
        if closed and not (same and self.closed.t >= closed.t):
            self.closed = closed
        await self._reached()
        return Appended()

    async def delete(self, expected):
        await self._reached()
        if expected != self.last:
            return Mismatch(self.last)
        self.entries, self.last, self.closed = [], NOTHING, None
        return Appended()

    async def read(self, after):
        await self._reached()
        return self._after(after)

    async def look(self, after):
        await self._reached()
        return Look(entries=self._after(after), last=self.last, closed=self.closed)

    def _after(self, after):
        return tuple(entry for entry in self.entries if entry.id > after)[:200]

    async def _reached(self):
        await Point()
        if self.is_away:
            raise StreamDownError


@dataclass
class MemoryCheckpoint:
    """The row of one shard. effects: what was applied, oldest first."""

    place: Place | None = None
    epoch: int = 0
    state: str = "anew"
    effects: list = field(default_factory=list)
    proof: Closed | None = None


@dataclass
class MemorySink:
    """Satisfies streams.follow.Sink on a checkpoint that others may take over."""

    row: MemoryCheckpoint
    epoch: int

    async def standing(self):
        await Point()
        self._check(FencedError, self.row.epoch == self.epoch)
        return self.row.place if self.row.state == "running" else self.row.state

    async def apply(self, place, entries):
        await Point()
        self._check(MovedError, self.row.epoch == self.epoch and self.row.place == place)
        self.row.effects += entries
        self.row.place = entries[-1].place
        await Point()

    async def start_anew(self, head, reason):
        await Point()
        self._check(FencedError, self.row.epoch == self.epoch)
        self.row.effects, self.row.proof = [], None
        self.row.place, self.row.state = head.base, "running"
        self.epoch = self.row.epoch = self.row.epoch + 1

    async def halt(self, reason):
        self.row.state = "halted"

    def prove(self, place, closed):
        if self.row.epoch == self.epoch:
            self.row.proof = closed

    def note_fill(self, reason):
        """Count nothing."""

    def note_lag(self, positions, seconds):
        """Note nothing."""

    def _check(self, error, holds):
        if not holds:
            raise error
