"""What an operator asks of a source: where its log, its streams and its followers stand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from infra.postgres import Connection
from streams.entries import Damaged, Entry
from streams.names import stream_key, watermark_key
from streams.reading import entries_in
from streams.schema import FIND_META
from streams.verifying import Anchor

FIND_SHARD = """
SELECT incarnation::text, last_pos AS sealed_pos, closed_pos, closed_t, clock_timestamp() AS now,
       (SELECT count(*) FROM streams_pending p WHERE p.shard = s.shard) AS pending,
       (SELECT extract(epoch FROM clock_timestamp() - min(written_at))::float8 FROM streams_pending p
        WHERE p.shard = s.shard) AS oldest_pending_s
FROM streams_shard s WHERE shard = $1
"""
FIND_LAG = """
SELECT greatest(0, extract(epoch FROM clock_timestamp()) - sealed_ms / 1000.0)::float8 FROM streams_log
WHERE shard = $1 AND pos > $2 ORDER BY pos LIMIT 1
"""
LIST_CONSUMERS = """
SELECT consumer, shard, state, reason, pos, owner, lease_until > clock_timestamp() AS is_held, as_of,
       extract(epoch FROM clock_timestamp() - as_of)::float8 AS as_of_age_s,
       (SELECT count(*) FROM streams_parked p
        WHERE p.consumer = c.consumer AND p.source = c.source AND p.shard = c.shard AND dropped_at IS NULL) AS parked
FROM streams_checkpoint c WHERE source = $1 ORDER BY consumer, shard
"""
LIST_PLACES = """
SELECT consumer, incarnation, pos, hash FROM streams_checkpoint
WHERE source = $1 AND shard = $2 AND hash IS NOT NULL ORDER BY consumer
"""

Line = dict[str, Any]


async def shard_count_of(producer: Connection) -> int:
    """Return with how many shards the log was set up."""
    row = await producer.fetchrow(FIND_META)
    return 0 if row is None else int(row["shard_count"])


async def consumers_of(database: Connection, source: str) -> list[Line]:
    """Return where the consumers stand that keep their places in `database`, a line per shard."""
    try:
        return [dict(row) for row in await database.fetch(LIST_CONSUMERS, source)]
    except asyncpg.UndefinedTableError:
        return []


async def status_of(
    redis: Redis, producer: "Connection | None", consumers: Iterable[Line], *, source: str, shard: int
) -> Line:
    """Return everything about one shard. producer: None when only Redis can be asked."""
    line: Line = {"shard": shard, **await _stream(redis, source, shard)}
    row = None if producer is None else await producer.fetchrow(FIND_SHARD, shard)
    if row is not None:
        line |= {name: value for name, value in row.items() if name != "now"}
    else:
        line |= await _promise(redis, source, shard)
    followers = [each for each in consumers if each["shard"] == shard]
    line["consumers"] = [await _consumer(producer, line, each) for each in followers]
    return line


async def _stream(redis: Redis, source: str, shard: int) -> Line:
    try:
        info: dict[str, Any] = await redis.xinfo_stream(stream_key(source, shard))
    except NoPermissionError:
        raise
    except ResponseError:  # To Redis a stream that is not there is an error, to us it is empty.
        return {"length": 0, "last": "0-0", "appended_pos": 0}
    last = _text(info["last-generated-id"]) or "0-0"
    return {"length": info["length"], "last": last, "appended_pos": int(last.partition("-")[2])}


async def _promise(redis: Redis, source: str, shard: int) -> Line:
    try:
        pos, _, incarnation = await redis.hmget(watermark_key(source, shard), ["pos", "t_us", "incarnation"])
    except NoPermissionError:
        return {}
    return {"closed_pos": None if pos is None else int(pos), "incarnation": _text(incarnation)}


def _text(value: bytes | str | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


async def _consumer(producer: "Connection | None", line: Mapping[str, Any], found: Line) -> Line:
    shown = {name: value for name, value in found.items() if name != "shard"}
    shown["lag"] = max(0, line.get("sealed_pos", line["appended_pos"]) - found["pos"])
    if producer is not None:
        shown["lag_s"] = await producer.fetchval(FIND_LAG, line["shard"], found["pos"]) or 0.0
    return shown


async def anchors_of(redis: Redis | None, databases: Sequence[Connection], *, source: str, shard: int) -> list[Anchor]:
    """Return what others had of the log of `shard`: the end of its stream, the places of its consumers."""
    anchors = list[Anchor]()
    if redis is not None:
        newest = entries_in(await redis.xrevrange(stream_key(source, shard), count=1))
        anchors += [_anchor(entry) for entry in newest]
    for database in databases:
        try:
            rows = await database.fetch(LIST_PLACES, source, shard)
        except asyncpg.UndefinedTableError:
            continue
        anchors += [
            Anchor(name=row["consumer"], incarnation=row["incarnation"], pos=row["pos"], hash=row["hash"])
            for row in rows
        ]
    return anchors


def _anchor(entry: Entry | Damaged) -> Anchor:
    if isinstance(entry, Damaged):
        return Anchor(name="redis", incarnation=None, pos=entry.pos, hash=b"")
    return Anchor(name="redis", incarnation=entry.incarnation, pos=entry.pos, hash=entry.hash)
