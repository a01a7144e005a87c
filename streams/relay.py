"""Carry a log to its streams: seal what is committed, append what is sealed, notice what Redis lost."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import asyncpg
from redis.asyncio import Redis

from infra.postgres import DOWN, Pool
from infra.telemetry import logger
from streams import metrics
from streams.append import Appender, Mismatch, RedisStreamWriter, StreamDownError, StreamWriter
from streams.entries import NOTHING, Closed, Entry, Head, Place, StreamId
from streams.ledger import ClockJumpedError, Ledger, LogWentBackError, ShardMissingError, went_back
from streams.reconcile import Halt, Resume, StartOver, reconcile
from streams.seal import KEPT_IN_STREAM, PostgresLedger, Sealer
from streams.waiting import is_set_within, until_multiple

# What one turn seals it appends as well, so that nothing of it has to be read again.
SEAL_LIMIT = APPEND_LIMIT = 500
# How often an idle shard looks: whether somebody who does not poke has written, or to promise anew.
LOOK_S, WATERMARK_S = 0.5, 0.25
# Busy shards take their turns at the multiples of this: what is committed meanwhile, in all of them, is one batch.
GATHER_S = 0.025
# What another relay was sealing when this one was poked may not have been all.
ELSEWHERE_S = 0.02
HALTED_S = 5.0
DATABASE_RETRY_S = 0.5
# While Redis is away, sealing must not wait for its timeouts.
STREAM_RETRY_S = 1.0

MEASURE_S = 5.0

MEASURE = """
SELECT count(*) AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(written_at)), 0)::float8 AS oldest_s
FROM streams_pending
"""

log = logger(__name__)


class HaltedError(Exception):
    """Stream and log contradict each other; an operator must act. The message is the reason."""


class ShardRelay:
    """The relay of one shard: each turn seals once and appends once.

    Any number may run; the log's lock and the stream's comparison keep them apart.
    """

    def __init__(self, ledger: Ledger, writer: StreamWriter, *, watermarks: bool = True) -> None:
        self._ledger, self._writer, self._watermarks = ledger, writer, watermarks
        # How streams were found to end, by kind; and the positions reached.
        self.found: Counter[str] = Counter()
        self.sealed_pos = self.appended_pos = 0
        # Whether another relay was sealing this shard.
        self.is_elsewhere = False
        # The last entry that the stream was given. The log must still have it, whatever became of the stream.
        self._seen: Place | None = None
        self._end: Resume | None = None
        self._halted: HaltedError | None = None

    async def turn(self, *, with_stream: bool = True) -> bool:
        """Seal, then append; return whether there is more to do at once. with_stream: False only seals.

        Raises: StreamDownError after sealing; HaltedError, LogWentBackError, ClockJumpedError and
        ShardMissingError when nothing was sealed.
        """
        down = await self._find_end(ask=with_stream)
        sealed = await self._ledger.seal(limit=SEAL_LIMIT, seen=self._seen)
        self.is_elsewhere = sealed is None
        if down is not None:
            raise down
        more = sealed is not None and not sealed.drained
        if self._end is None or not with_stream:
            return more
        head = sealed.head if sealed else await self._ledger.head()
        self.sealed_pos = head.last.pos
        return await self._send(self._end, head) or more

    async def _find_end(self, *, ask: bool) -> StreamDownError | None:
        """Before anything is sealed, see whether the stream fits the log: if not, sealing would fork it."""
        if self._end is None and ask:
            try:
                answer = await self._writer.append(None, (), None, 0)
                if isinstance(answer, Mismatch):
                    await self._settle(answer.actual)
            except StreamDownError as error:
                if self._halted is None:
                    return error
        if self._halted is not None:
            raise self._halted
        return None

    async def _send(self, end: Resume, head: Head) -> bool:
        entries = await self._ledger.entries_after(end.pos, APPEND_LIMIT)
        if not _goes_on(end, head, entries):
            self._end = None
            return True
        if entries and end.last is not None and entries[0].prev_hash != end.last.hash:
            self._end, self._halted = None, HaltedError("chain_broken")
            raise self._halted
        closed = self._promise(head, entries, end)
        answer = await self._writer.append(end.sent, entries, closed, _oldest_ms(head))
        if isinstance(answer, Mismatch):
            await self._settle(answer.actual)
            return True
        if entries:
            self._seen = entries[-1].place
            self._end = _after(entries[-1])
        self.appended_pos = self._end.pos if self._end else 0
        return len(entries) == APPEND_LIMIT

    def _promise(self, head: Head, entries: list[Entry], end: Resume) -> Closed | None:
        """Return what may be promised once `entries` are in the stream: never about entries that are not."""
        reached = entries[-1].pos if entries else end.pos
        if not self._watermarks or head.closed is None or head.closed.pos > reached:
            return None
        return head.closed

    async def _settle(self, actual: StreamId) -> None:
        self._end = None
        judged = reconcile(actual, await self._ledger.evidence(actual))
        self.found["empty" if actual == NOTHING else type(judged).__name__.lower()] += 1
        if isinstance(judged, StartOver):
            if isinstance(await self._writer.delete(actual), Mismatch):
                return
            judged = reconcile(NOTHING, await self._ledger.evidence(NOTHING))
        if isinstance(judged, Halt):
            self._halted = HaltedError(judged.reason)
        elif isinstance(judged, Resume) and self._gave_another(judged.last):
            # An id holds no hash: the log may have another entry there than the one that was given.
            self._halted = HaltedError("chain_broken")
        elif isinstance(judged, Resume):
            self._end, self._halted = judged, None
            self._seen = judged.last or self._seen

    def _gave_another(self, last: Place | None) -> bool:
        seen = self._seen
        return seen is not None and last is not None and last.pos == seen.pos and went_back(last, seen)


def _goes_on(end: Resume, head: Head, entries: Sequence[Entry]) -> bool:
    """Return whether it is still the log in which a stream's end was found.

    One that is shorter now went back before the stream was given anything of it.
    """
    incarnations = {head.incarnation, *(entry.incarnation for entry in entries[:1])}
    return incarnations == {end.incarnation} and end.pos <= head.last.pos


def _after(entry: Entry) -> Resume:
    return Resume(incarnation=entry.incarnation, sent=entry.id, pos=entry.pos, last=entry.place)


def _oldest_ms(head: Head) -> int:
    return int((head.now - KEPT_IN_STREAM).timestamp() * 1000)


class Relay:
    """The relay of a service: all shards, until it is told to stop.

    watermarks: promise how fresh the stream is; only for producers whom another service follows.
    """

    def __init__(
        self, *, source: str, pool: Pool, redis: Redis, shards: Collection[int], watermarks: bool = True
    ) -> None:
        self._source, self._pool = source, pool
        self._longest_s = WATERMARK_S if watermarks else LOOK_S
        self._woken = {shard: asyncio.Event() for shard in shards}
        sealer, appender = Sealer(pool), Appender(redis)
        self._relays = {
            shard: ShardRelay(
                PostgresLedger(pool=pool, shard=shard, sealer=sealer),
                RedisStreamWriter(redis, source=source, shard=shard, appender=appender),
                watermarks=watermarks,
            )
            for shard in shards
        }

    def poke(self, shards: Iterable[int] | None = None) -> None:
        """Look at once: something was committed. shards: all, unless the caller knows better."""
        for shard in self._woken if shards is None else shards:
            self._woken[shard].set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; a turn that has begun is finished. Outages are waited out."""
        pacers = [
            _Pacer(relay=relay, woken=self._woken[shard], longest_s=self._longest_s, source=self._source, shard=shard)
            for shard, relay in self._relays.items()
        ]
        async with asyncio.TaskGroup() as tasks:
            for pacer in pacers:
                tasks.create_task(pacer.run(stop))
            measuring = tasks.create_task(self._measure())
            await stop.wait()
            measuring.cancel()
            self.poke()

    async def _measure(self) -> None:
        while True:
            try:
                for row in await self._pool.fetch(MEASURE):
                    metrics.PENDING_ROWS.labels(self._source).set(row["rows"])
                    metrics.OLDEST_PENDING_S.labels(self._source).set(row["oldest_s"])
            except (TimeoutError, asyncpg.PostgresError, *DOWN):
                pass  # The turns say that the database is away.
            await asyncio.sleep(MEASURE_S)


@dataclass(slots=True, kw_only=True)
class _Pacer:
    """Lets one shard take its turns, often while there is work, seldom while there is none or something is down."""

    relay: ShardRelay
    woken: asyncio.Event
    longest_s: float
    source: str
    shard: int
    _stream_again_at: float = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.woken.clear()
            wait_s = await self._turn()
            rested_at = time.monotonic()
            # Whoever pokes has written something; that helps nothing while something else is wrong.
            wake = self.woken if wait_s < DATABASE_RETRY_S else stop
            if wait_s and await is_set_within(wake, wait_s) and time.monotonic() - rested_at < GATHER_S:
                # Under load each turn takes what several commits have left in all shards, instead of one for each.
                await is_set_within(stop, until_multiple(GATHER_S))

    async def _turn(self) -> float:
        """Return how long to wait at least; 0 when there is more to do."""
        try:
            more = await self.relay.turn(with_stream=time.monotonic() >= self._stream_again_at)
        except StreamDownError as error:
            self._stream_again_at = time.monotonic() + STREAM_RETRY_S
            self._say("stream_down", error)
            return until_multiple(self.longest_s)
        except (HaltedError, LogWentBackError, ClockJumpedError, ShardMissingError) as error:
            self._halted(1)
            log.critical("a shard is halted", action="relay_halted", reason=repr(error), **self._labels())
            return HALTED_S
        except (TimeoutError, asyncpg.PostgresError, *DOWN) as error:
            self._say("database_down", error)
            return DATABASE_RETRY_S
        self._halted(0)
        self._measure()
        if more:
            return 0.0
        # Shards that have nothing to do look at the same moments: their turns share a transaction then.
        return ELSEWHERE_S if self.relay.is_elsewhere else until_multiple(self.longest_s)

    def _measure(self) -> None:
        labels = self._labels()
        metrics.RELAY_POS.labels(**labels, stage="sealed").set(self.relay.sealed_pos)
        metrics.RELAY_POS.labels(**labels, stage="appended").set(self.relay.appended_pos)
        for kind, count in self.relay.found.items():
            metrics.APPEND_MISMATCH.labels(self.source, kind).inc(count)
        self.relay.found.clear()

    def _labels(self) -> dict[str, str]:
        return {"source": self.source, "shard": str(self.shard)}

    def _halted(self, value: int) -> None:
        metrics.RELAY_HALTED.labels(self.source, str(self.shard)).set(value)

    def _say(self, action: str, error: Exception) -> None:
        log.warning("a shard waits", action=action, error=repr(error), **self._labels())
