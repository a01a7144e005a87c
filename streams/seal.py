"""Give committed events their positions: the two-step seal, and the log as the relay reads it.

Positions are given after commit, so there are no holes to wait for and nothing to skip. Lock first, number in
the next statement: one statement would number with a snapshot from before the lock, and two relays could give
the same position twice.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from uuid import UUID

import asyncpg

from infra.postgres import Connection, Pool
from streams.chain import seal_after
from streams.entries import Closed, Entry, Head, Place, StreamId
from streams.ledger import ClockJumpedError, Evidence, LogWentBackError, Sealed, ShardMissingError, went_back

LOCK = "SELECT *, clock_timestamp() AS now FROM streams_shard WHERE shard = $1 FOR UPDATE SKIP LOCKED"
FIND = "SELECT *, clock_timestamp() AS now FROM streams_shard WHERE shard = $1"
TAKE = """
WITH batch AS (SELECT id FROM streams_pending WHERE shard = $1 ORDER BY id LIMIT $2)
DELETE FROM streams_pending p USING batch b WHERE p.id = b.id
RETURNING p.id, event_id, agg_type, agg_id, aggver, tenant, type, body
"""
APPEND = """
WITH appended AS (
    INSERT INTO streams_log (shard, sealed_ms, pos, event_id, agg_type, agg_id, aggver, tenant, type, body,
                             salt, commit, prev_hash, hash)
    SELECT $1, $2, e.*
    FROM unnest($3::bigint[], $4::uuid[], $5::text[], $6::uuid[], $7::bigint[], $8::uuid[], $9::text[], $10::bytea[],
                $11::bytea[], $12::bytea[], $13::bytea[], $14::bytea[]) AS e
)
UPDATE streams_shard SET last_pos = $15, last_ms = $2, last_hash = $16, closed_pos = $17, closed_t = $18
WHERE shard = $1
"""
# Losing the promise in a crash is harmless: the next one is newer. So it does not wait for the disk.
CLOSE = """
UPDATE streams_shard SET closed_pos = $2, closed_t = $3
WHERE shard = $1 AND set_config('synchronous_commit', 'off', true) = 'off'
"""
AFTER = """
SELECT pos, sealed_ms, body, salt, commit, prev_hash, hash
FROM streams_log WHERE shard = $1 AND pos > $2 ORDER BY pos LIMIT $3
"""
AT = "SELECT pos, sealed_ms, hash FROM streams_log WHERE shard = $1 AND pos = $2"
FIRST = "SELECT pos FROM streams_log WHERE shard = $1 AND pos > $2 ORDER BY pos LIMIT 1"
FLOOR = """
SELECT pos FROM streams_log WHERE shard = $1 AND sealed_ms < $2 ORDER BY sealed_ms DESC, pos DESC LIMIT 1
"""
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


@dataclass(slots=True, kw_only=True)
class PostgresLedger:
    """The log of one shard in Postgres; satisfies streams.ledger.Ledger."""

    pool: Pool
    shard: int
    clock: ClockWatch = field(default_factory=ClockWatch)
    # The end of the log as this process has just written it: that needs not be read.
    _tail: tuple[Place, list[Entry]] | None = None

    async def seal(self, *, limit: int, seen: Place | None) -> Sealed | None:
        self._tail = None
        async with self.pool.acquire() as connection, connection.transaction(isolation="read_committed"):
            row = await connection.fetchrow(LOCK, self.shard)
            if row is None:
                await self._head(connection)
                return None
            before = head_of(row)
            if went_back(before.last, seen):
                raise LogWentBackError(f"ends at {before.last.pos}, had {seen.pos if seen else None}")
            self.clock.check(before.now)
            # Whatever was committed before `before.now` is seen by this statement, for it began later.
            rows = sorted(await connection.fetch(TAKE, self.shard, limit), key=itemgetter("id"))
            drained = len(rows) < limit
            entries = sealed_after(before, self.shard, [row["body"] for row in rows])
            last = entries[-1].place if entries else before.last
            head = Head(base=before.base, last=last, closed=_closed(before, last, drained=drained), now=before.now)
            await self._keep(connection, head, rows, entries)
        self._tail = before.last, entries
        return Sealed(head=head, count=len(entries), drained=drained)

    async def _keep(
        self, connection: Connection, head: Head, rows: Sequence[asyncpg.Record], entries: Sequence[Entry]
    ) -> None:
        pos, t = (head.closed.pos, head.closed.t) if head.closed else (0, None)
        if not entries:
            await connection.execute(CLOSE, self.shard, pos, t)
            return
        names = ("event_id", "agg_type", "agg_id", "aggver", "tenant", "type")
        await connection.execute(
            APPEND,
            self.shard,
            head.last.ms,
            [entry.pos for entry in entries],
            *([row[name] for row in rows] for name in names),
            [entry.body for entry in entries],
            [entry.salt for entry in entries],
            [entry.commit for entry in entries],
            [entry.prev_hash for entry in entries],
            [entry.hash for entry in entries],
            head.last.pos,
            head.last.hash,
            pos,
            t,
        )

    async def head(self) -> Head:
        async with self.pool.acquire() as connection:
            return await self._head(connection)

    async def _head(self, connection: Connection) -> Head:
        row = await connection.fetchrow(FIND, self.shard)
        if row is None:
            raise ShardMissingError(f"shard {self.shard}")
        return head_of(row)

    async def entries_after(self, pos: int, limit: int) -> list[Entry]:
        if self._tail is not None and self._tail[0].pos <= pos:
            return self._tail[1][pos - self._tail[0].pos :][:limit]
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            head = await self._head(connection)
            rows = await connection.fetch(AFTER, self.shard, max(pos, head.base.pos), limit)
            return [entry_of(self.shard, head.incarnation, row) for row in rows]

    async def evidence(self, actual: StreamId) -> Evidence:
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            head = await self._head(connection)
            at = await connection.fetchrow(AT, self.shard, actual.pos) if actual.pos > head.base.pos else None
            first = await connection.fetchval(FIRST, self.shard, head.base.pos)
            floor = await connection.fetchval(FLOOR, self.shard, _milliseconds(head.now - KEPT_IN_STREAM))
            return Evidence(
                head=head,
                at=None if at is None else _place(head.incarnation, at["pos"], at["sealed_ms"], at["hash"]),
                first_kept=first,
                floor=floor or 0,
            )


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
