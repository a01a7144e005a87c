"""Where an ordered consumer stands: one row per shard, owned by one replica at a time, fenced by an epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.postgres import Connection
from streams.entries import Entry, Place
from streams.follow import Standing

ENSURE = """
INSERT INTO streams_checkpoint (consumer, source, shard) SELECT $1, $2, unnest($3::smallint[]) ON CONFLICT DO NOTHING
"""
# Without a lock: a replica that waits for its turn must not slow the owner down.
HELD = """
SELECT true FROM streams_checkpoint
WHERE consumer = $1 AND source = $2 AND shard = ANY($3) AND owner <> $4 AND lease_until > clock_timestamp() LIMIT 1
"""
SHORT_WAIT = "SET LOCAL lock_timeout = '200ms'"
LOCK = """
SELECT owner <> $4 AND lease_until > clock_timestamp() AS held
FROM streams_checkpoint WHERE consumer = $1 AND source = $2 AND shard = ANY($3) ORDER BY shard FOR UPDATE
"""
TAKE = """
UPDATE streams_checkpoint SET owner = $4, epoch = epoch + 1, lease_until = clock_timestamp() + $5::interval
WHERE consumer = $1 AND source = $2 AND shard = ANY($3) RETURNING shard, epoch
"""
# A row that is locked is being advanced, which renews its lease too; waiting for it would let the others lapse.
# Losing a renewal or a proof in a crash is harmless, so neither waits for the disk.
KEEP = """
WITH free AS (
    SELECT shard FROM streams_checkpoint
    WHERE consumer = $1 AND source = $2 AND shard = ANY($3) AND set_config('synchronous_commit', 'off', true) = 'off'
    ORDER BY shard FOR UPDATE SKIP LOCKED
)
UPDATE streams_checkpoint c
SET lease_until = clock_timestamp() + $4::interval,
    as_of = CASE WHEN k.t IS NOT NULL AND c.state = 'running' AND c.pos >= k.pos
                 THEN greatest(c.as_of, least(k.t, clock_timestamp())) ELSE c.as_of END
FROM unnest($3::smallint[], $5::bigint[], $6::bigint[], $7::timestamptz[]) AS k (shard, epoch, pos, t)
JOIN free USING (shard)
WHERE c.consumer = $1 AND c.source = $2 AND c.shard = k.shard AND c.epoch = k.epoch
RETURNING c.shard, extract(epoch FROM clock_timestamp() - c.as_of)::float8 AS as_of_age_s
"""
LOST = """
SELECT true FROM streams_checkpoint c JOIN unnest($3::smallint[], $4::bigint[]) AS k (shard, epoch) USING (shard)
WHERE c.consumer = $1 AND c.source = $2 AND c.epoch <> k.epoch LIMIT 1
"""
RELEASE = """
UPDATE streams_checkpoint c SET lease_until = '-infinity'
FROM unnest($3::smallint[], $4::bigint[]) AS k (shard, epoch)
WHERE c.consumer = $1 AND c.source = $2 AND c.shard = k.shard AND c.epoch = k.epoch
"""
FIND = """
SELECT incarnation, pos, ms, hash, state, epoch FROM streams_checkpoint
WHERE consumer = $1 AND source = $2 AND shard = $3
"""
# A crash loses effect and checkpoint together, and both come again: so the disk is not waited for. Whatever rests on
# the effect and is waited for brings it along, since what is on the disk has no holes.
ADVANCE = """
UPDATE streams_checkpoint
SET pos = $7, ms = $8, hash = $9, lease_until = greatest(lease_until, clock_timestamp() + $10::interval)
WHERE consumer = $1 AND source = $2 AND shard = $3
  AND epoch = $4 AND incarnation = $5 AND pos = $6 AND state = 'running'
  AND set_config('synchronous_commit', 'off', true) = 'off'
RETURNING true
"""
# The epoch moves on too: a proof from before must not be taken for one of the new copy.
START_ANEW = """
UPDATE streams_checkpoint
SET incarnation = $5, pos = $6, ms = 0, hash = $7, as_of = NULL, state = 'running', reason = NULL, epoch = epoch + 1
WHERE consumer = $1 AND source = $2 AND shard = $3 AND epoch = $4 RETURNING epoch
"""
HALT = """
UPDATE streams_checkpoint SET state = 'halted', as_of = NULL, reason = $5
WHERE consumer = $1 AND source = $2 AND shard = $3 AND epoch = $4 RETURNING true
"""


class FencedError(Exception):
    """Another replica has taken over; nothing was written."""


class MovedError(Exception):
    """The checkpoint is not where its reader thought; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """At `pos` everything has taken effect that was committed before `t`."""

    pos: int
    t: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One replica's hold on all shards of a consumer.

    owner: the replica's name; the same name takes its own lease back at once.
    """

    consumer: str
    source: str
    shards: tuple[int, ...]
    owner: str
    lasts: timedelta

    async def acquire(self, connection: Connection) -> dict[int, int] | None:
        """Return the epoch of each shard, now ours, or None while another replica holds one. Its own transaction.

        Raises: asyncpg.LockNotAvailableError when the owner is at work.
        """
        key = (self.consumer, self.source, list(self.shards))
        await connection.execute(ENSURE, *key)
        if await connection.fetchval(HELD, *key, self.owner):
            return None
        async with connection.transaction():
            await connection.execute(SHORT_WAIT)
            if any(row["held"] for row in await connection.fetch(LOCK, *key, self.owner)):
                return None
            rows = await connection.fetch(TAKE, *key, self.owner, self.lasts)
            return {row["shard"]: row["epoch"] for row in rows}

    async def keep(
        self, connection: Connection, epochs: Mapping[int, int], proofs: Mapping[int, Proof]
    ) -> dict[int, float | None]:
        """Renew the lease and note `proofs`; return the age of each copy in seconds, None while it is unknown.

        Its own transaction. Raises: FencedError.
        """
        shards, noted = list(epochs), [proofs.get(shard) for shard in epochs]
        rows = await connection.fetch(
            KEEP,
            self.consumer,
            self.source,
            shards,
            self.lasts,
            list(epochs.values()),
            [proof.pos if proof else None for proof in noted],
            [proof.t if proof else None for proof in noted],
        )
        if len(rows) < len(shards) and await connection.fetchval(
            LOST, self.consumer, self.source, shards, list(epochs.values())
        ):
            raise FencedError
        return {row["shard"]: row["as_of_age_s"] for row in rows}

    async def release(self, connection: Connection, epochs: Mapping[int, int]) -> None:
        """Let another replica take over at once."""
        await connection.execute(RELEASE, self.consumer, self.source, list(epochs), list(epochs.values()))


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """The row of one shard, as its owner writes it. epoch: as acquired."""

    lease: Lease
    shard: int
    epoch: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.lease.consumer, self.lease.source, self.shard

    async def standing(self, connection: Connection) -> Standing:
        """Return where the consumer stands. Raises: FencedError."""
        row = await connection.fetchrow(FIND, *self.key)
        if row is None or row["epoch"] != self.epoch:
            raise FencedError
        if row["state"] != "running":
            return "halted" if row["state"] == "halted" else "anew"
        return Place(incarnation=row["incarnation"], pos=row["pos"], ms=row["ms"], hash=row["hash"])

    async def advance(self, connection: Connection, place: Place, to: Entry) -> None:
        """Move from `place` to `to`, in the transaction of the effect. Raises: MovedError."""
        where = (*self.key, self.epoch, place.incarnation, place.pos)
        if not await connection.fetchval(ADVANCE, *where, to.pos, to.ms, to.hash, self.lease.lasts):
            raise MovedError

    async def start_anew(self, connection: Connection, base: Place) -> int:
        """Stand at `base`; return the epoch that holds once this is committed. Raises: FencedError."""
        where = (*self.key, self.epoch)
        epoch: int | None = await connection.fetchval(START_ANEW, *where, base.incarnation, base.pos, base.hash)
        if epoch is None:
            raise FencedError
        return epoch

    async def halt(self, connection: Connection, reason: str) -> None:
        """Stay where it is until an operator sets the state. Raises: FencedError."""
        if not await connection.fetchval(HALT, *self.key, self.epoch, reason):
            raise FencedError
