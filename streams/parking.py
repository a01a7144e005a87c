"""Events that could not be applied: put aside with all that follow them, in order, until somebody looks.

An aggregate with a parked event is tainted: its copy is not to be trusted, its source is. An event whose aggregate
could not be read taints its whole shard. Too many of them, and it is the code that is wrong: then nothing is parked.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from contracts.problems import NotFoundError
from infra.postgres import Connection
from streams.codec import Delivered, UndecodableError, delivered
from streams.entries import Entry

Handler = Callable[[Connection, Delivered], Awaitable[None]]
Handlers = Mapping[str, Handler]
Key = tuple[str, str, int]  # consumer, source, shard

FIND = """
SELECT agg_id, pos, dropped_at IS NOT NULL AS dropped FROM streams_parked
WHERE consumer = $1 AND source = $2 AND shard = $3
  AND (pos BETWEEN $4 AND $5 OR (agg_id = ANY($6::uuid[]) AND dropped_at IS NULL))
"""
ADD = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, type, body, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
COUNT = """
SELECT count(*) FROM streams_parked WHERE consumer = $1 AND source = $2 AND shard = $3 AND dropped_at IS NULL
"""
FORGET = "DELETE FROM streams_parked WHERE consumer = $1 AND source = $2 AND shard = $3 AND dropped_at IS NULL"
LIST = """
SELECT shard, pos, ms, agg_id, type, reason, parked_at FROM streams_parked
WHERE consumer = $1 AND source = $2 AND dropped_at IS NULL ORDER BY shard, pos LIMIT $3
"""
SHOW = """
SELECT shard, pos, ms, agg_id, type, body, reason, parked_at, dropped_at, dropped_why FROM streams_parked
WHERE consumer = $1 AND source = $2 AND shard = $3 AND pos = $4
"""
SHARD_OF = """
SELECT shard FROM streams_parked WHERE consumer = $1 AND source = $2 AND agg_id = $3 AND dropped_at IS NULL LIMIT 1
"""
LOCK = "SELECT true FROM streams_checkpoint WHERE consumer = $1 AND source = $2 AND shard = $3 FOR UPDATE"
TAKE = """
WITH taken AS (
    DELETE FROM streams_parked
    WHERE consumer = $1 AND source = $2 AND shard = $3 AND agg_id = $4 AND dropped_at IS NULL RETURNING pos, ms, body
)
SELECT * FROM taken ORDER BY pos
"""
DROP = """
UPDATE streams_parked SET dropped_at = clock_timestamp(), dropped_why = $5
WHERE consumer = $1 AND source = $2 AND shard = $3 AND pos = $4 AND dropped_at IS NULL RETURNING true
"""
REPAIR = """
UPDATE streams_checkpoint SET state = 'repair', as_of = NULL, reason = 'dropped'
WHERE consumer = $1 AND source = $2 AND shard = $3
"""
RESUME = """
UPDATE streams_checkpoint SET state = CASE WHEN incarnation IS NULL THEN 'repair' ELSE 'running' END, reason = NULL
WHERE consumer = $1 AND source = $2 AND state = 'halted' RETURNING shard
"""
IN_A_ROW = 10
WINDOW = 200
SHARE = 0.05


class UnknownVersionError(Exception):
    """The event is of a version that no handler here reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """One event put aside."""

    shard: int
    pos: int
    ms: int
    agg_id: UUID | None
    type: str | None
    reason: str
    parked_at: datetime


@dataclass(slots=True)
class Limits:
    """How much poison is an event's own fault: fewer than 10 in a row, at most 5 % of the last 200."""

    _in_a_row: int = 0
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def note_good(self, count: int) -> None:
        """Note events that were applied."""
        self._in_a_row = 0
        self._recent.extend([False] * min(count, WINDOW))

    def is_too_much(self) -> bool:
        """Note one more that was not, and return whether that is the code's fault."""
        self._in_a_row += 1
        self._recent.append(True)
        return self._in_a_row >= IN_A_ROW or sum(self._recent) > SHARE * WINDOW


@dataclass(frozen=True, slots=True)
class Aside:
    """What of a batch is put aside already. tainted: aggregates. dropped: positions an operator gave up."""

    tainted: frozenset[UUID]
    dropped: frozenset[int]


async def aside(connection: Connection, key: Key, entries: Sequence[Entry], aggregates: Iterable[UUID]) -> Aside:
    """Return what is put aside among `entries`. Call it after the checkpoint's row is locked."""
    rows = await connection.fetch(FIND, *key, entries[0].pos, entries[-1].pos, list(aggregates))
    return Aside(
        frozenset(row["agg_id"] for row in rows if not row["dropped"] and row["agg_id"] is not None),
        frozenset(row["pos"] for row in rows if row["dropped"]),
    )


async def park(connection: Connection, key: Key, entry: Entry, event: Delivered | None, reason: str) -> None:
    """Put `entry` aside. event: None when it cannot be read."""
    agg_id, type_ = (event.agg_id, event.type) if event else (None, None)
    await connection.execute(ADD, *key, entry.pos, entry.ms, agg_id, type_, entry.body, reason)


async def count(connection: Connection, key: Key) -> int:
    """Return how many events of a shard are put aside."""
    return int(await connection.fetchval(COUNT, *key))


async def forget(connection: Connection, key: Key) -> None:
    """Forget what is put aside, but not what was given up: the copy is made anew."""
    await connection.execute(FORGET, *key)


def handler_of(handlers: Handlers, type_: str) -> Handler | None:
    """Return who applies events of this type, None when nobody here cares.

    Raises: UnknownVersionError for another version of a type that somebody does care about.
    """
    if type_ in handlers:
        return handlers[type_]
    family = type_.rpartition(".v")[0]
    if any(known.rpartition(".v")[0] == family for known in handlers):
        raise UnknownVersionError(type_)
    return None


async def list_parked(connection: Connection, *, consumer: str, source: str, limit: int = 100) -> list[Parked]:
    """Return the oldest events put aside."""
    return [Parked(**dict(row)) for row in await connection.fetch(LIST, consumer, source, limit)]


async def show(connection: Connection, key: Key, *, pos: int) -> dict[str, object]:
    """Return one event put aside, its body as text. Raises: NotFoundError("not_found")."""
    row = await connection.fetchrow(SHOW, *key, pos)
    if row is None:
        raise NotFoundError("not_found", "nothing is parked there")
    body: bytes | None = row["body"]
    return dict(row) | {"body": None if body is None else body.decode(errors="replace")}


async def retry(connection: Connection, *, consumer: str, source: str, agg_id: UUID, handlers: Handlers) -> int:
    """Apply all that is put aside of an aggregate, in order, and return how many; all or nothing.

    Raises: NotFoundError("not_found"), and whatever a handler raises.
    """
    async with connection.transaction():
        shard = await connection.fetchval(SHARD_OF, consumer, source, agg_id)
        if shard is None:
            raise NotFoundError("not_found", "nothing of this aggregate is parked")
        await connection.execute(LOCK, consumer, source, shard)
        rows = await connection.fetch(TAKE, consumer, source, shard, agg_id)
        for row in rows:
            event = _again(shard, row)
            if handler := handler_of(handlers, event.type):
                await handler(connection, event)
        return len(rows)


async def drop(connection: Connection, key: Key, *, pos: int, why: str) -> None:
    """Give up one event for good and make its shard's copy anew without it.

    Raises: NotFoundError("not_found").
    """
    async with connection.transaction():
        await connection.execute(LOCK, *key)
        if not await connection.fetchval(DROP, *key, pos, why):
            raise NotFoundError("not_found", "nothing is parked there")
        await connection.execute(REPAIR, *key)


async def resume(connection: Connection, *, consumer: str, source: str) -> list[int]:
    """Let halted shards go on; return which."""
    return [row["shard"] for row in await connection.fetch(RESUME, consumer, source)]


def _again(shard: int, row: asyncpg.Record) -> Delivered:
    """Columns as in TAKE."""
    if row["body"] is None:
        raise UndecodableError("nothing to apply")
    nothing = bytes(32)
    entry = Entry(
        incarnation=UUID(int=0),
        shard=shard,
        pos=row["pos"],
        ms=row["ms"],
        body=row["body"],
        salt=None,
        commit=nothing,
        prev_hash=nothing,
        hash=nothing,
    )
    return delivered(entry)
