"""Keep a copy of another service's events: every event once, in order, its effect and the place in one transaction."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from contracts.problems import UnavailableError
from infra.postgres import Connection, Pool, connection, transaction
from infra.telemetry import logger
from streams import metrics, parking
from streams.checkpoint import Checkpoint, FencedError, Lease, MovedError, Proof
from streams.codec import Delivered, UndecodableError, delivered
from streams.entries import Closed, Entry, Head, Place
from streams.follow import Follower, Standing
from streams.log import EventLog, LogRefused
from streams.parking import Handlers, Limits, handler_of
from streams.reading import RedisStreamReader, TogetherReader
from streams.redis_client import reader_client
from streams.waiting import is_set_within, until_multiple

# Empties the service's copy of one shard.
Reset = Callable[[Connection, int], Awaitable[None]]
# Applies events in their order, as their handlers would one by one.
Together = Callable[[Connection, Sequence[Delivered]], Awaitable[None]]

LEASE = timedelta(seconds=5)
KEEP_EVERY_S = 0.25
# Readers look at the promises twice as early: what they proved is noted while it is young.
PROVED_S = 0.1
ACQUIRE_EVERY_S = 0.3
TRIES = 3
RETRY_S = 0.5
# A batch ends here and its rest is another one: slow handlers must not outlast the transaction, or they never succeed.
LONGEST_BATCH_S = 1.0
# Applied together at most; less wherever so many take long.
MOST_TOGETHER = 500

log = logger(__name__)


class StoppedError(Exception):
    """This replica is to end; what was committed before stays."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How many events of a batch took effect; error: why the next one did not. With an error nothing did."""

    count: int
    error: Exception | None = None


@dataclass(slots=True)
class Pace:
    """How many events are applied together: such a batch cannot end early, so after a slow one the next is shorter."""

    count: int = MOST_TOGETHER

    def note(self, seconds: float) -> None:
        """Note how long a batch took, or that it was not done in any time."""
        slow = seconds > LONGEST_BATCH_S
        self.count = max(1, self.count // 2) if slow else min(MOST_TOGETHER, self.count * 2)


class AsideError(Exception):
    """Some of a batch is put aside, so that its events must be looked at one by one."""


@dataclass(slots=True, kw_only=True)
class OrderedSink:
    """Applies one shard's entries to the service's database; satisfies streams.follow.Sink.

    together: None when the handlers cannot do better than one by one.
    """

    checkpoint: Checkpoint
    pool: Pool
    log: EventLog
    handlers: Handlers
    reset: Reset
    together: Together | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    proof: Proof | None = None
    _limits: Limits = field(default_factory=Limits)
    _pace: Pace = field(default_factory=Pace)

    async def standing(self) -> Standing:
        async with connection(self.pool) as lent:
            standing = await self.checkpoint.standing(lent)
            parked = await parking.count(lent, self.checkpoint.key)
        metrics.PARKED.labels(*self._labels()).set(parked)
        metrics.CONSUMER_HALTED.labels(*self._labels()).set(standing == "halted")
        return standing

    async def apply(self, place: Place, entries: Sequence[Entry]) -> None:
        """Apply all at once; what fails is tried alone, so that its neighbours are not held up by it.

        Raises: StoppedError between two transactions once `stop` is set.
        """
        while entries:
            if self.stop.is_set():
                raise StoppedError
            tried = await self._try_together(place, entries[: self._pace.count]) or await self._try(place, entries)
            if tried.error is None:
                self._limits.note_good(tried.count)
            elif tried.count == 0:
                await self._alone(place, entries[0])
            else:
                await self.apply(place, entries[: tried.count])
            taken = max(tried.count, 1)
            place, entries = entries[taken - 1].place, entries[taken:]
            metrics.CONSUMER_POS.labels(*self._labels()).set(place.pos)

    async def _try_together(self, place: Place, entries: Sequence[Entry]) -> Tried | None:
        """Return None when nothing was done and each event has to be looked at."""
        if self.together is None or len(entries) == 1:
            self._pace.note(0.0)
            return None
        started = time.monotonic()
        try:
            events = [delivered(entry) for entry in entries if entry.body is not None]
            wanted = [event for event in events if handler_of(self.handlers, event.type)]
            async with transaction(self.pool) as lent:
                await self.checkpoint.advance(lent, place, entries[-1])
                await self._check_none_aside(lent, entries, events)
                if wanted:
                    await self.together(lent, wanted)
        except (MovedError, FencedError):
            raise
        except UnavailableError:
            self._pace.note(float("inf"))
            raise
        except Exception:  # noqa: BLE001 -- whichever event it is, it is found when they are tried one by one
            return None
        self._pace.note(time.monotonic() - started)
        return Tried(len(entries))

    async def _check_none_aside(self, lent: Connection, entries: Sequence[Entry], events: Sequence[Delivered]) -> None:
        put_aside = await parking.aside(lent, self.checkpoint.key, entries, {event.agg_id for event in events})
        if put_aside.tainted or put_aside.dropped:
            raise AsideError

    async def _try(self, place: Place, entries: Sequence[Entry]) -> Tried:
        done, enough_at = 0, time.monotonic() + LONGEST_BATCH_S
        try:
            async with transaction(self.pool) as lent:
                await self.checkpoint.advance(lent, place, entries[-1])
                events = [_read(entry) for entry in entries]
                aggregates = {event.agg_id for event in events if event}
                put_aside = await parking.aside(lent, self.checkpoint.key, entries, aggregates)
                for entry, event in zip(entries, events, strict=True):
                    if event and event.agg_id in put_aside.tainted:
                        await parking.park(lent, self.checkpoint.key, entry, event, "follows")
                    elif entry.body is not None and entry.pos not in put_aside.dropped:
                        await self._handle(lent, event or delivered(entry))
                    done += 1
                    if done < len(entries) and time.monotonic() > enough_at:
                        await self.checkpoint.advance(lent, entries[-1].place, entries[done - 1])
                        break
        except (UnavailableError, MovedError, FencedError):
            raise
        except Exception as error:  # noqa: BLE001 -- a handler may fail in any way, and its event must not stop the rest
            return Tried(done, error)
        return Tried(done)

    async def _handle(self, lent: Connection, event: Delivered) -> None:
        if handler := handler_of(self.handlers, event.type):
            await handler(lent, event)

    async def _alone(self, place: Place, entry: Entry) -> None:
        """Try an event by itself, three times, in the log's own bytes; then put it aside, or halt."""
        answer = await self.log.read(self.checkpoint.shard, place, upto=entry.pos, limit=1)
        if isinstance(answer, LogRefused) or not answer.entries:
            raise MovedError
        entry = answer.entries[0]
        for _ in range(TRIES):
            tried = await self._try(place, [entry])
            if tried.error is None:
                return
        reason = f"{type(tried.error).__name__}: {tried.error}"[:500]
        log.error("an event was put aside", action="parked", pos=entry.pos, reason=reason, **self._names())
        if self._limits.is_too_much():
            await self.halt("too much poison: " + reason)
            raise MovedError
        async with transaction(self.pool) as lent:
            await self.checkpoint.advance(lent, place, entry)
            await parking.park(lent, self.checkpoint.key, entry, _read(entry), reason)
        metrics.PARKED.labels(*self._labels()).inc()

    async def start_anew(self, head: Head, reason: str) -> None:
        metrics.REPAIRS.labels(self.checkpoint.lease.consumer, self.checkpoint.lease.source, reason).inc()
        log.warning("a copy is made anew", action="repair", reason=reason, **self._names())
        if reason == "truncated":
            # What the log no longer keeps cannot be read from it: an operator must load a snapshot.
            await self.halt("log_truncated")
            return
        self.proof = None
        async with transaction(self.pool) as lent:
            epoch = await self.checkpoint.start_anew(lent, head.base)
            await parking.forget(lent, self.checkpoint.key)
            await self.reset(lent, self.checkpoint.shard)
        self.checkpoint.epoch = epoch

    async def halt(self, reason: str) -> None:
        log.critical("a shard is halted", action="consumer_halted", reason=reason, **self._names())
        self.proof = None
        async with transaction(self.pool) as lent:
            await self.checkpoint.halt(lent, reason)

    def prove(self, place: Place, closed: Closed) -> None:
        self.proof = Proof(pos=place.pos, t=closed.t)

    def note_fill(self, reason: str) -> None:
        metrics.GAP_FILL.labels(self.checkpoint.lease.consumer, self.checkpoint.lease.source, reason).inc()

    def note_lag(self, positions: int, seconds: float) -> None:
        metrics.CONSUMER_LAG_POSITIONS.labels(*self._labels()).set(positions)
        metrics.CONSUMER_LAG_S.labels(*self._labels()).set(seconds)

    def _labels(self) -> tuple[str, str, str]:
        consumer, source, shard = self.checkpoint.key
        return consumer, source, str(shard)

    def _names(self) -> Mapping[str, str]:
        return dict(zip(("consumer", "source", "shard"), self._labels(), strict=True))


def _read(entry: Entry) -> Delivered | None:
    try:
        return delivered(entry)
    except UndecodableError:
        return None


@dataclass(slots=True, kw_only=True)
class OrderedConsumer:
    """Applies a source's events to this service's database, whichever replica holds the lease.

    name: "<service>.<purpose>". owner: this replica's name, the same after a restart.
    handlers: by event type; a type without one is skipped. together: applies many events as their handlers would one by
    one, but at once; whatever it raises, they are tried one by one. reset: empties the copy of one shard, for it is
    made anew when the source lost its past. proofs: whether the source promises how fresh its stream is.
    """

    name: str
    source: str
    owner: str
    shards: Sequence[int]
    pool: Pool
    redis_url: str
    log: EventLog
    handlers: Handlers
    reset: Reset
    together: Together | None = None
    proofs: bool = True
    lease: timedelta = LEASE

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; a transaction that has begun is finished. Outages are waited out."""
        lease = Lease(
            consumer=self.name, source=self.source, shards=tuple(self.shards), owner=self.owner, lasts=self.lease
        )
        while not stop.is_set():
            epochs = await self._acquire(lease)
            if epochs is None:
                await is_set_within(stop, ACQUIRE_EVERY_S)
            else:
                await self._hold(lease, epochs, stop)

    async def _acquire(self, lease: Lease) -> dict[int, int] | None:
        try:
            async with connection(self.pool) as lent:
                return await lease.acquire(lent)
        except UnavailableError as error:
            log.info("the lease is not to be had", action="lease", consumer=self.name, error=repr(error))
            return None

    async def _hold(self, lease: Lease, epochs: Mapping[int, int], stop: asyncio.Event) -> None:
        log.info("this replica consumes", action="lease_acquired", consumer=self.name, source=self.source)
        session = asyncio.Event()
        async with reader_client(self.redis_url) as redis:
            sinks = [self._sink(lease, shard, epoch, session) for shard, epoch in epochs.items()]
            together = TogetherReader(redis)
            async with asyncio.TaskGroup() as tasks:
                for sink in sinks:
                    shard = sink.checkpoint.shard
                    reader = RedisStreamReader(redis, source=self.source, shard=shard, together=together)
                    follower = Follower(shard=shard, reader=reader, log=self.log, sink=sink, proofs=self.proofs)
                    tasks.create_task(self._follow(follower, session))
                tasks.create_task(self._keep(lease, sinks, session))
                stopping = tasks.create_task(_pass_on(stop, session))
                await session.wait()
                stopping.cancel()
        await self._release(lease, {sink.checkpoint.shard: sink.checkpoint.epoch for sink in sinks})

    def _sink(self, lease: Lease, shard: int, epoch: int, session: asyncio.Event) -> OrderedSink:
        return OrderedSink(
            checkpoint=Checkpoint(lease=lease, shard=shard, epoch=epoch),
            pool=self.pool,
            log=self.log,
            handlers=self.handlers,
            reset=self.reset,
            together=self.together,
            stop=session,
        )

    async def _follow(self, follower: Follower, session: asyncio.Event) -> None:
        while not session.is_set():
            try:
                wait_s = await follower.step()
            except FencedError:
                self._lose(session)
                return
            except StoppedError:
                return
            except MovedError:
                wait_s = 0.0
            except UnavailableError as error:
                log.warning("waiting", action="consumer_waits", consumer=self.name, error=repr(error))
                wait_s = RETRY_S * (0.5 + random.random())  # noqa: S311 -- jitter, no secret
            if wait_s:
                await is_set_within(session, wait_s)

    async def _keep(self, lease: Lease, sinks: Sequence[OrderedSink], session: asyncio.Event) -> None:
        while not await is_set_within(session, until_multiple(KEEP_EVERY_S, plus_s=PROVED_S)):
            epochs = {sink.checkpoint.shard: sink.checkpoint.epoch for sink in sinks}
            proofs = {sink.checkpoint.shard: sink.proof for sink in sinks if sink.proof}
            try:
                async with connection(self.pool) as lent:
                    ages = await lease.keep(lent, epochs, proofs)
            except UnavailableError:
                continue
            except FencedError:
                if epochs == {sink.checkpoint.shard: sink.checkpoint.epoch for sink in sinks}:
                    self._lose(session)
                continue
            for shard, age_s in ages.items():
                metrics.AS_OF_AGE_S.labels(self.name, self.source, str(shard)).set(
                    float("inf") if age_s is None else age_s
                )

    def _lose(self, session: asyncio.Event) -> None:
        metrics.FENCED.labels(self.name, self.source).inc()
        log.warning("another replica has taken over", action="fenced", consumer=self.name, source=self.source)
        session.set()

    async def _release(self, lease: Lease, epochs: Mapping[int, int]) -> None:
        try:
            async with connection(self.pool) as lent:
                await lease.release(lent, epochs)
        except UnavailableError:
            log.warning("the lease runs out by itself", action="lease", consumer=self.name)


async def _pass_on(stop: asyncio.Event, session: asyncio.Event) -> None:
    await stop.wait()
    session.set()
