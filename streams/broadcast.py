"""Tell every process what happened: an effect in memory, the same proof of continuity, no checkpoint."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.problems import UnavailableError
from infra.telemetry import logger
from streams import metrics
from streams.codec import Delivered, delivered
from streams.entries import Closed, Entry, Head, Place
from streams.follow import Follower, Standing
from streams.log import EventLog
from streams.reading import RedisStreamReader, TogetherReader
from streams.redis_client import reader_client
from streams.waiting import is_set_within

Listener = Callable[[Delivered], Awaitable[None]]

RETRY_S, LONGEST_RETRY_S = 0.25, 2.0

log = logger(__name__)


@dataclass(slots=True, kw_only=True)
class MemorySink:
    """Gives one shard's entries to this process; satisfies streams.follow.Sink."""

    name: str
    source: str
    shard: int
    log: EventLog
    listeners: Mapping[str, Listener]
    reset: Callable[[int], Awaitable[None]]
    since: timedelta | None
    as_of: datetime | None = None
    _place: Place | None = None
    _halted: bool = False

    async def standing(self) -> Standing:
        return "halted" if self._halted else self._place or "anew"

    async def apply(self, place: Place, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.body is not None:
                await self._tell(entry)
            self._place = entry.place

    async def _tell(self, entry: Entry) -> None:
        try:
            event = delivered(entry)
            if listener := self.listeners.get(event.type):
                await listener(event)
        except (ValueError, KeyError, TypeError) as error:
            # Nothing to put it aside in; the next start reads it again.
            log.critical("an event was skipped", action="skipped", pos=entry.pos, error=repr(error), shard=self.shard)

    async def start_anew(self, head: Head, reason: str) -> None:
        metrics.REPAIRS.labels(self.name, self.source, reason).inc()
        self._place, self.as_of = None, None
        await self.reset(self.shard)
        self._place = head.last if self.since is None else await self._place_before(head, self.since)

    async def _place_before(self, head: Head, since: timedelta) -> Place:
        after_ms = int((head.now - since).timestamp() * 1000)
        page = await self.log.read_since(self.shard, after_ms, limit=1)
        if not page.entries:
            return page.head.last
        first = page.entries[0]
        # Its predecessor was sealed at or before `after_ms`; by its hash the log will know it.
        return Place(incarnation=first.incarnation, pos=first.pos - 1, ms=after_ms, hash=first.prev_hash)

    async def halt(self, reason: str) -> None:
        log.critical("a shard is not heard", action="broadcast_halted", reason=reason, shard=self.shard)
        self._halted, self.as_of = True, None

    def prove(self, place: Place, closed: Closed) -> None:
        self.as_of = closed.t if self.as_of is None else max(self.as_of, closed.t)

    def note_fill(self, reason: str) -> None:
        metrics.GAP_FILL.labels(self.name, self.source, reason).inc()

    def note_lag(self, positions: int, seconds: float) -> None:
        metrics.CONSUMER_LAG_POSITIONS.labels(self.name, self.source, str(self.shard)).set(positions)
        metrics.CONSUMER_LAG_S.labels(self.name, self.source, str(self.shard)).set(seconds)


async def keep_all(shard: int) -> None:
    """Reset nothing: for effects that a repeat does not change."""


@dataclass(slots=True, kw_only=True)
class BroadcastConsumer:
    """Hears a source's events in this process.

    listeners: by event type. since: how far back the first events are, None for only new ones.
    reset: forgets what was heard of one shard; called before the first event and whenever the past is heard anew.
    """

    name: str
    source: str
    shards: Sequence[int]
    redis_url: str
    log: EventLog
    listeners: Mapping[str, Listener]
    since: timedelta | None = None
    reset: Callable[[int], Awaitable[None]] = keep_all
    proofs: bool = True
    _sinks: list[MemorySink] = field(default_factory=list)

    @property
    def as_of(self) -> datetime | None:
        """The moment of the producer's database up to which this process has heard everything, None while unknown."""
        known = [sink.as_of for sink in self._sinks if sink.as_of is not None]
        return min(known) if known and len(known) == len(self.shards) else None

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set. Outages are waited out."""
        self._sinks.clear()
        async with reader_client(self.redis_url) as redis, asyncio.TaskGroup() as tasks:
            together = TogetherReader(redis)
            for shard in self.shards:
                sink = MemorySink(
                    name=self.name,
                    source=self.source,
                    shard=shard,
                    log=self.log,
                    listeners=self.listeners,
                    reset=self.reset,
                    since=self.since,
                )
                self._sinks.append(sink)
                reader = RedisStreamReader(redis, source=self.source, shard=shard, together=together)
                follower = Follower(shard=shard, reader=reader, log=self.log, sink=sink, proofs=self.proofs)
                tasks.create_task(self._follow(follower, stop))

    async def _follow(self, follower: Follower, stop: asyncio.Event) -> None:
        pause_s = RETRY_S
        while not stop.is_set():
            try:
                wait_s = await follower.step()
                pause_s = RETRY_S
            except UnavailableError as error:
                log.warning("waiting", action="broadcast_waits", consumer=self.name, error=repr(error))
                wait_s, pause_s = pause_s, min(2 * pause_s, LONGEST_RETRY_S)
            if wait_s:
                await is_set_within(stop, wait_s)
