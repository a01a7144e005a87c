"""Read a stream: without groups and without acknowledgements; the reader knows its place itself."""

from typing import Protocol, cast
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from streams.append import StreamDownError, moment_of_us
from streams.codec import read_entry
from streams.continuity import Look
from streams.entries import NOTHING, Closed, Damaged, Entry, StreamId, parse_stream_id
from streams.names import stream_key, watermark_key
from streams.redis_client import BLOCK_S

COUNT = 200


class StreamReader(Protocol):
    """The stream of one shard, for one reader."""

    async def read(self, after: StreamId) -> tuple[Entry | Damaged, ...]:
        """Return what follows `after`; wait a quarter of a second for it. Raises: StreamDownError."""

    async def look(self, after: StreamId) -> Look:
        """Return what follows `after`, the end and the promise, all of one moment. Raises: StreamDownError."""


class RedisStreamReader:
    """The stream of one shard in Redis, on a connection of its own; satisfies StreamReader."""

    def __init__(self, redis: Redis, *, source: str, shard: int) -> None:
        self._redis = redis
        self._stream, self._watermark = stream_key(source, shard), watermark_key(source, shard)

    async def read(self, after: StreamId) -> tuple[Entry | Damaged, ...]:
        try:
            answer = await self._redis.xread({self._stream: str(after)}, count=COUNT, block=int(BLOCK_S * 1000))
        except (RedisError, OSError) as error:
            raise StreamDownError(type(error).__name__) from error
        return _entries(answer)

    async def look(self, after: StreamId) -> Look:
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.xread({self._stream: str(after)}, count=COUNT)
                pipe.xinfo_stream(self._stream)
                pipe.hmget(self._watermark, ["pos", "t_us", "incarnation"])
                answer, info, promise = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise StreamDownError(type(error).__name__) from error
        for part in (answer, promise):
            if isinstance(part, RedisError):
                raise StreamDownError(type(part).__name__)
        return Look(entries=_entries(answer), last=_last(info), closed=_closed(promise))


def _entries(answer: object) -> tuple[Entry | Damaged, ...]:
    streams = cast(list[tuple[bytes, object]], answer or [])
    return tuple(entry for _, entries in streams for entry in entries_in(entries))


def entries_in(answer: object) -> tuple[Entry | Damaged, ...]:
    """Return the entries of one stream, as XRANGE and XREVRANGE answer them."""
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], answer or [])
    return tuple(read_entry(parse_stream_id(id_.decode()), fields) for id_, fields in entries)


def _last(info: dict[str, bytes] | ResponseError) -> StreamId:
    # A stream that is not there is an error to Redis, and an empty one to us.
    return NOTHING if isinstance(info, RedisError) else parse_stream_id(info["last-generated-id"].decode())


def _closed(promise: list[bytes | None]) -> Closed | None:
    try:
        pos, t_us, incarnation = (part.decode() for part in promise if part is not None)
        return Closed(incarnation=UUID(incarnation), pos=int(pos), t=moment_of_us(int(t_us)))
    except (ValueError, OverflowError):
        return None
