"""Give committed events their positions: compare and extend, and the log as the relay reads it.

Positions are given after commit, so there are no holes to wait for and nothing to skip. What is pending and where a
log ends is read first, without a lock; then one statement adds the entries if the log still ends there. Only that
takes events away and moves the end, so two relays give no position twice, and one that stops in between holds nothing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from infra.coalescer import Coalescer
from infra.postgres import Connection, Pool, columns
from streams.chain import seal_after
from streams.entries import Closed, Entry, Head, Place, StreamId
from streams.ledger import ClockJumpedError, Evidence, LogWentBackError, Sealed, ShardMissingError, went_back

FIND = "SELECT *, clock_timestamp() AS now FROM streams_shard WHERE shard = $1"
# now() is from before this statement sees anything: whatever was committed earlier is in `bodies` or sealed already.
NEWS = """
SELECT s.*, now() AS now, coalesce(p.ids, '{}') AS ids, coalesce(p.bodies, '{}') AS bodies
FROM unnest($1::smallint[], $2::integer[]) AS w (shard, most) JOIN streams_shard AS s USING (shard)
CROSS JOIN LATERAL (
    SELECT array_agg(id ORDER BY id) AS ids, array_agg(body ORDER BY id) AS bodies
    FROM (SELECT id, body FROM streams_pending WHERE shard = w.shard ORDER BY id LIMIT w.most) AS oldest
) AS p
"""
# The events go from table to table; only what sealing adds comes from here. $9: whether to wait for the disk. Losing a
# promise in a crash is harmless: the next one is newer. The division refuses everything if an event is gone. Events are
# found one by one and taken by their place: a plan for a queue that was counted while it was empty would compare each
# of them with all.
EXTEND = """
WITH held AS MATERIALIZED (
    SELECT h.*
    FROM streams_shard AS s
    JOIN unnest($1::smallint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[],
                $8::timestamptz[])
         AS h (shard, before_pos, before_hash, last_pos, last_ms, last_hash, closed_pos, closed_t) USING (shard)
    WHERE s.last_pos = h.before_pos AND s.last_hash = h.before_hash
      AND ($9 OR set_config('synchronous_commit', 'off', true) = 'off')
    ORDER BY shard FOR UPDATE OF s SKIP LOCKED
), moved AS (
    UPDATE streams_shard AS s
    SET last_pos = h.last_pos, last_ms = h.last_ms, last_hash = h.last_hash,
        closed_pos = greatest(s.closed_pos, h.closed_pos), closed_t = greatest(s.closed_t, h.closed_t)
    FROM held AS h WHERE s.shard = h.shard RETURNING s.shard
), wanted AS (
    SELECT e.*
    FROM unnest($10::smallint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bytea[], $15::bytea[],
                $16::bytea[], $17::bytea[])
         AS e (shard, id, sealed_ms, pos, salt, commit, prev_hash, hash)
    WHERE shard IN (SELECT shard FROM moved)
), taken AS (
    DELETE FROM streams_pending AS p
    USING wanted AS e CROSS JOIN LATERAL (
        SELECT ctid AS place FROM streams_pending WHERE shard = e.shard AND id = e.id OFFSET 0
    ) AS f
    WHERE p.ctid = f.place
    RETURNING p.shard, sealed_ms, pos, event_id, agg_type, agg_id, aggver, tenant, type, body,
              salt, commit, prev_hash, hash
), sealed AS (
    INSERT INTO streams_log (shard, sealed_ms, pos, event_id, agg_type, agg_id, aggver, tenant, type, body,
                             salt, commit, prev_hash, hash)
    SELECT * FROM taken RETURNING pos
)
SELECT shard FROM moved WHERE 1 / ((SELECT count(*) FROM sealed) = (SELECT count(*) FROM wanted))::integer = 1
"""
AFTER = """
SELECT pos, sealed_ms, body, salt, commit, prev_hash, hash
FROM streams_log WHERE shard = $1 AND pos > $2 ORDER BY pos LIMIT $3
"""
AT = "SELECT pos, sealed_ms, hash FROM streams_log WHERE shard = $1 AND pos = $2"
FIRST = "SELECT pos FROM streams_log WHERE shard = $1 AND pos > $2 ORDER BY pos LIMIT 1"
# The highest position that was sealed before $2, or the one before all that is kept. Milliseconds never fall, so a
# search by halves finds it: what `low` names is older, what follows `high` is not.
SEALED_BEFORE = """
WITH RECURSIVE search (low, high) AS (
    SELECT coalesce(min(pos), 1) - 1, coalesce(max(pos), 0) FROM streams_log WHERE shard = $1
    UNION ALL
    SELECT CASE WHEN e.sealed_ms < $2 THEN e.pos ELSE low END, CASE WHEN e.sealed_ms < $2 THEN high ELSE middle - 1 END
    FROM search
    CROSS JOIN LATERAL (SELECT (low + high + 1) / 2 AS middle) AS m
    CROSS JOIN LATERAL (
        SELECT pos, sealed_ms FROM streams_log WHERE shard = $1 AND pos >= middle ORDER BY pos LIMIT 1
    ) AS e
    WHERE low < high
)
SELECT max(low) FROM search
"""
SEALED_COLUMNS = 8
SHARDS_AT_ONCE = 64
JUMP = timedelta(seconds=60)
# What the stream holds at least; older entries are read from the log.
KEPT_IN_STREAM = timedelta(hours=48)
# A clock that goes on while the machine is suspended, as the database's does.
ELAPSING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def elapsed_s() -> float:
    """Return the seconds since some moment, suspended time included."""
    return time.clock_gettime(ELAPSING)


@dataclass(slots=True)
class ClockWatch:
    """Notices when one clock moves against another. elapsed: seconds of the one that never jumps."""

    elapsed: Callable[[], float] = elapsed_s
    _last: tuple[datetime, float] | None = None

    def check(self, now: datetime) -> None:
        """Compare `now` with the last one that was right. Raises: ClockJumpedError when they are over 60 s apart."""
        elapsed = self.elapsed()
        if self._last is not None:
            expected = self._last[0] + timedelta(seconds=elapsed - self._last[1])
            if abs(now - expected) > JUMP:
                raise ClockJumpedError(f"{(now - expected).total_seconds():.0f} s")
        self._last = (now, elapsed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A shard that is to be sealed. limit: of events. seen: the last entry that its stream was given.

    is_behind: its last sealing left some.
    """

    shard: int
    limit: int
    seen: Place | None
    clock: ClockWatch
    is_behind: bool = False

    def check(self, before: Head) -> None:
        """Pass when the log may go on from `before`. Raises: LogWentBackError, ClockJumpedError."""
        if went_back(before.last, self.seen):
            raise LogWentBackError(f"ends at {before.last.pos}, had {self.seen.pos if self.seen else None}")
        self.clock.check(before.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """What one sealing of one shard adds to a log that ends with `before`.

    pending_ids: of the entries, while they were pending.
    """

    before: Head
    head: Head
    pending_ids: Sequence[int]
    entries: Sequence[Entry]
    drained: bool


class Sealer:
    """Seals shards, those that ask at the same time in one transaction. A shard asks once at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # Of shards that have fallen behind only two at once, so that the stream gets what these have meanwhile.
        self._sealing: Coalescer[Wish, Extension | None] = Coalescer(
            self._seal, max_batch_count=SHARDS_AT_ONCE, weigh=lambda wish: SHARDS_AT_ONCE // 2 if wish.is_behind else 1
        )

    async def seal(self, wish: Wish) -> Extension | None:
        """Return what was added to the shard's log; None when another relay is at it.

        Raises: as streams.ledger.Ledger.seal.
        """
        return await self._sealing.submit(wish)

    async def _seal(self, wishes: Sequence[Wish]) -> Sequence[Extension | BaseException | None]:
        async with self._pool.acquire() as connection:
            runs = await prepare_runs(connection, wishes)
            good = {shard: run for shard, run in runs.items() if isinstance(run, Extension)}
            moved = await extend(connection, good) if good else ()
        return [None if wish.shard in good.keys() - moved else runs[wish.shard] for wish in wishes]


Refused = LogWentBackError | ClockJumpedError | ShardMissingError


async def prepare_runs(connection: Connection, wishes: Sequence[Wish]) -> dict[int, Extension | Refused]:
    """Return for each shard how its log would go on, all as of one moment, or why it may not. Nothing is written."""
    rows = await connection.fetch(NEWS, [wish.shard for wish in wishes], [wish.limit for wish in wishes])
    of_shard = {row["shard"]: row for row in rows}
    runs: dict[int, Extension | Refused] = {}
    for wish in wishes:
        try:
            runs[wish.shard] = _run(wish, of_shard.get(wish.shard))
        except (LogWentBackError, ClockJumpedError, ShardMissingError) as error:
            runs[wish.shard] = error
    return runs


async def extend(connection: Connection, runs: Mapping[int, Extension]) -> set[int]:
    """Make `runs` the end of their logs, in one statement; return the shards of which it still followed the end."""
    entries = [pair for run in runs.values() for pair in zip(run.pending_ids, run.entries, strict=True)]
    heads = zip(*(_head_row(shard, run) for shard, run in runs.items()), strict=True)
    sealed = columns([_sealed_row(*pair) for pair in entries], SEALED_COLUMNS)
    return {row["shard"] for row in await connection.fetch(EXTEND, *heads, bool(entries), *sealed)}


def _run(wish: Wish, row: asyncpg.Record | None) -> Extension:
    if row is None:
        raise ShardMissingError(f"shard {wish.shard}")
    before = head_of(row)
    wish.check(before)
    entries = sealed_after(before, wish.shard, row["bodies"])
    last = entries[-1].place if entries else before.last
    drained = len(entries) < wish.limit
    head = Head(base=before.base, last=last, closed=_closed(before, last, drained=drained), now=before.now)
    return Extension(before=before, head=head, pending_ids=row["ids"], entries=entries, drained=drained)


def _sealed_row(pending_id: int, entry: Entry) -> tuple[object, ...]:
    """Columns as in EXTEND."""
    return entry.shard, pending_id, entry.ms, entry.pos, entry.salt, entry.commit, entry.prev_hash, entry.hash


def _head_row(shard: int, run: Extension) -> tuple[object, ...]:
    """Columns as in EXTEND."""
    before, last, closed = run.before.last, run.head.last, run.head.closed
    promised = (closed.pos, closed.t) if closed else (0, None)
    return shard, before.pos, before.hash, last.pos, last.ms, last.hash, *promised


@dataclass(slots=True, kw_only=True)
class PostgresLedger:
    """The log of one shard in Postgres; satisfies streams.ledger.Ledger. sealer: shared with the other shards."""

    pool: Pool
    shard: int
    sealer: Sealer | None = None
    clock: ClockWatch = field(default_factory=ClockWatch)
    # What this process has just added needs not be read.
    _tail: Extension | None = None

    def __post_init__(self) -> None:
        self.sealer = self.sealer or Sealer(self.pool)

    async def seal(self, *, limit: int, seen: Place | None) -> Sealed | None:
        assert self.sealer is not None  # noqa: S101 -- set above
        is_behind, self._tail = self._tail is not None and not self._tail.drained, None
        wish = Wish(shard=self.shard, limit=limit, seen=seen, clock=self.clock, is_behind=is_behind)
        run = await self.sealer.seal(wish)
        self._tail = run
        return None if run is None else Sealed(head=run.head, count=len(run.entries), drained=run.drained)

    async def head(self) -> Head:
        async with self.pool.acquire() as connection:
            return await find_head(connection, self.shard)

    async def entries_after(self, pos: int, limit: int) -> list[Entry]:
        if self._tail is not None and self._tail.before.last.pos <= pos:
            start = pos - self._tail.before.last.pos
            return list(self._tail.entries[start : start + limit])
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            head = await find_head(connection, self.shard)
            rows = await connection.fetch(AFTER, self.shard, max(pos, head.base.pos), limit)
            return [entry_of(self.shard, head.incarnation, row) for row in rows]

    async def evidence(self, actual: StreamId) -> Evidence:
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            head = await find_head(connection, self.shard)
            at = await connection.fetchrow(AT, self.shard, actual.pos) if actual.pos > head.base.pos else None
            first = await connection.fetchval(FIRST, self.shard, head.base.pos)
            floor = await connection.fetchval(SEALED_BEFORE, self.shard, _milliseconds(head.now - KEPT_IN_STREAM))
            return Evidence(
                head=head,
                at=None if at is None else _place(head.incarnation, at["pos"], at["sealed_ms"], at["hash"]),
                first_kept=first,
                floor=floor if first is not None and floor >= first else 0,
            )


async def find_head(connection: Connection, shard: int) -> Head:
    """Return how far a shard's log goes. Raises: ShardMissingError."""
    row = await connection.fetchrow(FIND, shard)
    if row is None:
        raise ShardMissingError(f"shard {shard}")
    return head_of(row)


def sealed_after(head: Head, shard: int, bodies: Sequence[bytes]) -> list[Entry]:
    """Return `bodies` as the entries that follow `head`, all of one moment."""
    ms, last, entries = max(head.last.ms, _milliseconds(head.now)), head.last, list[Entry]()
    for body in bodies:
        entries.append(seal_after(last, shard, ms, body))
        last = entries[-1].place
    return entries


def _closed(before: Head, last: Place, *, drained: bool) -> Closed | None:
    if not drained:
        return before.closed
    # A clock that went back makes no promise smaller: writers record nothing from before what was promised.
    t = before.now if before.closed is None else max(before.now, before.closed.t)
    return Closed(incarnation=last.incarnation, pos=last.pos, t=t)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _place(incarnation: UUID, pos: int, ms: int, hash_: bytes) -> Place:
    return Place(incarnation=incarnation, pos=pos, ms=ms, hash=hash_)


def head_of(row: asyncpg.Record) -> Head:
    """Columns as in FIND."""
    incarnation = row["incarnation"]
    closed = None
    if row["closed_t"] is not None:
        closed = Closed(incarnation=incarnation, pos=row["closed_pos"], t=row["closed_t"])
    return Head(
        base=_place(incarnation, row["base_pos"], 0, row["base_hash"]),
        last=_place(incarnation, row["last_pos"], row["last_ms"], row["last_hash"]),
        closed=closed,
        now=row["now"],
    )


def entry_of(shard: int, incarnation: UUID, row: asyncpg.Record) -> Entry:
    """Columns as in AFTER."""
    return Entry(
        incarnation=incarnation,
        shard=shard,
        pos=row["pos"],
        ms=row["sealed_ms"],
        body=row["body"],
        salt=row["salt"],
        commit=row["commit"],
        prev_hash=row["prev_hash"],
        hash=row["hash"],
    )
