"""The copy of academics: which schools and rooms there are."""

import asyncio
from datetime import timedelta
from uuid import UUID

from beacon_svc.ports import PlaceKind
from contracts.ids import SchoolId
from contracts.problems import UnavailableError
from infra.postgres import Connection, Pool, connection
from streams.codec import Delivered
from streams.names import shard_of

CONSUMER, ACADEMICS = "beacon.copy", "academics"
# What was made a moment ago is on its way; the promise of freshness comes four times a second.
PATIENCE_S = 1.5
LOOK_EVERY_S = 0.05
# as_of is of academics' clock, the question of ours. attendance_svc raises the alarm when they are further apart.
CLOCKS_APART = timedelta(milliseconds=250)

KEEP = """
INSERT INTO academics_copy (id, kind, school_id, retired, version, shard) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (id) DO UPDATE SET retired = excluded.retired, version = excluded.version
WHERE academics_copy.version < excluded.version
"""
FORGET_SHARD = "DELETE FROM academics_copy WHERE shard = $1"
LOOK = """
SELECT clock_timestamp() AS now,
       (SELECT NOT retired FROM academics_copy WHERE kind = $1 AND id = $2 AND school_id = $3) AS is_there,
       (SELECT as_of FROM streams_checkpoint
        WHERE consumer = $4 AND source = $5 AND shard = $6 AND state = 'running') AS as_of,
       EXISTS (SELECT FROM streams_parked WHERE consumer = $4 AND source = $5 AND dropped_at IS NULL
               AND (agg_id = $2 OR (agg_id IS NULL AND shard = $6))) AS is_tainted
"""


class PostgresAcademicsCopy:
    """Satisfies consumers.AcademicsCopy. Whoever gives the connection owns the transaction."""

    async def keep(
        self, connection: Connection, kind: PlaceKind, id: UUID, *, is_retired: bool, event: Delivered
    ) -> None:
        await connection.execute(KEEP, id, kind, event.school_id, is_retired, event.aggver, event.shard)

    async def forget_shard(self, connection: Connection, shard: int) -> None:
        """Empty the copy of one shard: its source starts a new log."""
        await connection.execute(FORGET_SHARD, shard)


class CopiedPlaces:
    """Satisfies ports.Places. Says no only once the copy holds everything that was committed before the question.

    What events were put aside of is neither there nor missing: nobody knows until an operator has looked.
    """

    def __init__(self, pool: Pool, *, shard_count: int, patience_s: float = PATIENCE_S) -> None:
        self._pool, self._shard_count, self._patience_s = pool, shard_count, patience_s

    async def has(self, kind: PlaceKind, id: UUID, *, school_id: SchoolId) -> bool:
        question = (kind, id, school_id, CONSUMER, ACADEMICS, shard_of(school_id, self._shard_count))
        asked_at = None
        for _ in range(int(self._patience_s / LOOK_EVERY_S)):
            async with connection(self._pool) as lent:
                seen = await lent.fetchrow(LOOK, *question)
            if seen is None or seen["is_tainted"]:
                break
            if seen["is_there"] is not None:
                return bool(seen["is_there"])
            asked_at = asked_at or seen["now"]
            if seen["as_of"] is not None and seen["as_of"] >= asked_at + CLOCKS_APART:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        raise UnavailableError("academics_down")
