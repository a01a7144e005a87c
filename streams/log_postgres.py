"""The log of record in its producer's database."""

from dataclasses import dataclass
from uuid import UUID

from contracts.problems import NotFoundError
from infra.postgres import Connection, Pool, connection
from streams.entries import Head, Place
from streams.log import PAGE_LIMIT, EventLog, LogPage, LogRefused, page, refusal
from streams.seal import AFTER, FIND, SEALED_BEFORE, entry_of, head_of

# What the columns can hold; asking for more would be a fault of ours, not of whoever asks.
SHARDS = range(2**15)
LATEST_MS = 2**63 - 2


@dataclass(frozen=True, slots=True)
class PostgresEventLog(EventLog):
    """Reads head and entries in one snapshot."""

    pool: Pool

    async def head(self, shard: int) -> Head:
        async with connection(self.pool) as lent:
            return await _head(lent, shard)

    async def read(self, shard: int, after: Place, *, upto: int | None, limit: int) -> LogPage | LogRefused:
        async with connection(self.pool) as lent, lent.transaction(isolation="repeatable_read", readonly=True):
            head = await _head(lent, shard)
            rows = await lent.fetch(AFTER, shard, max(after.pos, head.base.pos), _bounded(limit))
        entries = [entry_of(shard, head.incarnation, row) for row in rows]
        if reason := refusal(head, after, entries):
            return LogRefused(reason=reason, head=head)
        return LogPage(entries=page(entries, upto=upto), head=head)

    async def read_since(self, shard: int, after_ms: int, *, limit: int) -> LogPage:
        async with connection(self.pool) as lent, lent.transaction(isolation="repeatable_read", readonly=True):
            head = await _head(lent, shard)
            before = await lent.fetchval(SEALED_BEFORE, shard, min(after_ms, LATEST_MS) + 1)
            rows = await lent.fetch(AFTER, shard, max(before, head.base.pos), _bounded(limit))
        entries = [entry_of(shard, head.incarnation, row) for row in rows]
        return LogPage(entries=page(entries, upto=None), head=head)

    async def read_on(self, shard: int, incarnation: UUID, pos: int, *, limit: int) -> LogPage | None:
        """Return what follows a position, None where the log has another one there: for readers who keep no hash.

        Raises: as above.
        """
        async with connection(self.pool) as lent, lent.transaction(isolation="repeatable_read", readonly=True):
            head = await _head(lent, shard)
            if incarnation != head.incarnation or not head.base.pos <= pos <= head.last.pos:
                return None
            rows = await lent.fetch(AFTER, shard, pos, _bounded(limit))
        entries = page([entry_of(shard, incarnation, row) for row in rows], upto=None)
        has_next = bool(entries) and entries[0].pos == pos + 1
        return LogPage(entries=entries, head=head) if has_next or pos == head.last.pos else None


async def _head(lent: Connection, shard: int) -> Head:
    row = await lent.fetchrow(FIND, shard) if shard in SHARDS else None
    if row is None:
        raise NotFoundError("shard_unknown", f"shard {shard}")
    return head_of(row)


def _bounded(limit: int) -> int:
    return max(1, min(limit, PAGE_LIMIT))
