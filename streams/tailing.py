"""Show a stream to a person or a program: CloudEvents in structured JSON, oldest first."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime

from redis.asyncio import Redis

from streams.entries import NOTHING, Damaged, Entry, StreamId
from streams.names import stream_key
from streams.reading import entries_in

COUNT = 200
POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where to begin: after a stream's present end, or at a millisecond and a position."""

    now: bool = False
    ms: int = 0
    pos: int = 0


def parse_start(text: str) -> Start:
    """Read `now`, `start`, a position or an RFC 3339 time. Raises: ValueError."""
    if text == "now":
        return Start(now=True)
    if text == "start":
        return Start()
    if text.isascii() and text.isdigit():
        return Start(pos=int(text))
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return Start(ms=int(moment.timestamp() * 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events to show; None shows all."""

    type: str | None = None
    school: str | None = None

    def wants(self, event: dict[str, object]) -> bool:
        """Return whether `event` is to be shown; what is damaged always is."""
        if "damaged" in event:
            return True
        return self.type in (None, event.get("type")) and self.school in (None, event.get("partitionkey"))


def structured(entry: Entry | Damaged) -> dict[str, object]:
    """Return `entry` as a CloudEvents 1.0 JSON object, its data as an object."""
    if isinstance(entry, Damaged):
        return {"damaged": entry.reason, "sequence": str(entry.pos)}
    attributes: dict[str, object] = {} if entry.body is None else json.loads(entry.body)
    return attributes | {
        "shard": entry.shard,
        "sequence": str(entry.pos),
        "incarnation": str(entry.incarnation),
        "hash": entry.hash.hex(),
    }


async def tail(
    redis: Redis, *, source: str, shards: Sequence[int], start: Start, follow: bool
) -> AsyncGenerator[dict[str, object], None]:
    """Yield the events of `shards`, each shard in order; with follow, for ever."""
    places = {shard: await _begin(redis, source, shard, start) for shard in shards}
    while True:
        quiet = True
        for shard, place in places.items():
            found = await redis.xrange(stream_key(source, shard), min=f"({place}", count=COUNT)
            for entry in entries_in(found):
                quiet, places[shard] = False, entry.id
                if entry.pos >= start.pos:
                    yield structured(entry)
        if quiet and not follow:
            return
        if quiet:
            await asyncio.sleep(POLL_S)


async def _begin(redis: Redis, source: str, shard: int, start: Start) -> StreamId:
    if not start.now:
        return StreamId(start.ms, 0) if start.ms else NOTHING
    newest = entries_in(await redis.xrevrange(stream_key(source, shard), count=1))
    return newest[0].id if newest else NOTHING
