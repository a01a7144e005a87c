"""Read a stream: without groups and without acknowledgements; the reader knows its place itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from infra.coalescer import Coalescer
from streams.append import StreamDownError, moment_of_us
from streams.codec import read_entry
from streams.continuity import Look
from streams.entries import NOTHING, Closed, Damaged, Entry, StreamId, parse_stream_id
from streams.names import stream_key, watermark_key
from streams.redis_client import BLOCK_S
from streams.waiting import until_multiple

COUNT = 200
SHARDS_AT_ONCE = 64
# Relays promise at multiples of a quarter of a second; so much later the promise is there, and still young.
PROMISED_S = 0.05

# Of one stream: the id of each entry, and its fields.
Answer = list[tuple[bytes, dict[bytes, bytes]]]


class StreamReader(Protocol):
    """The stream of one shard, for one reader."""

    async def read(self, after: StreamId) -> tuple[Entry | Damaged, ...]:
        """Return what follows `after`; wait a quarter of a second at most for it. Raises: StreamDownError."""

    async def look(self, after: StreamId) -> Look:
        """Return what follows `after`, the end and the promise, all of one moment. Raises: StreamDownError."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What follows `after` is wanted of one shard's stream."""

    stream: str
    watermark: str
    after: StreamId


class TogetherReader:
    """Asks for all shards that wait at the same moment, in one round trip.

    redis: of this reader alone. A shard that is busy meanwhile asks on another connection.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._reading: Coalescer[_Wish, Answer | None] = Coalescer(self._read, concurrent_count=SHARDS_AT_ONCE)
        self._looking: Coalescer[_Wish, list[Any]] = Coalescer(self._look, concurrent_count=SHARDS_AT_ONCE)

    async def read(self, wish: _Wish) -> Answer:
        """Return what there is to `wish`; wait for it until all stop waiting at the same moment."""
        while (answer := await self._reading.submit(wish)) is None:
            pass
        return answer

    async def look(self, wish: _Wish) -> list[Any]:
        """Return the answers to XREAD, XINFO STREAM and HMGET."""
        return await self._looking.submit(wish)

    async def _read(self, wishes: Sequence[_Wish]) -> Sequence[Answer | BaseException | None]:
        """Answer None to those who shall ask again, because it was another shard that had news."""
        block_ms = max(1, int(until_multiple(BLOCK_S, plus_s=PROMISED_S) * 1000))
        wanted: dict[Any, Any] = {wish.stream: str(wish.after) for wish in wishes}
        try:
            answer: Any = await self._redis.xread(wanted, count=COUNT, block=block_ms)
        except ResponseError as error:
            # What is wrong with one key shall not keep the others from theirs.
            return [error] if len(wishes) == 1 else [each for wish in wishes for each in await self._read([wish])]
        found: dict[str, Answer] = {stream.decode(): entries for stream, entries in answer or ()}
        return [found.get(wish.stream, None if found else []) for wish in wishes]

    async def _look(self, wishes: Sequence[_Wish]) -> Sequence[list[Any]]:
        async with self._redis.pipeline(transaction=True) as pipe:
            for wish in wishes:
                pipe.xread({wish.stream: str(wish.after)}, count=COUNT)
                pipe.xinfo_stream(wish.stream)
                pipe.hmget(wish.watermark, ["pos", "t_us", "incarnation"])
            answers = await pipe.execute(raise_on_error=False)
        return [answers[at : at + 3] for at in range(0, len(answers), 3)]


class RedisStreamReader:
    """The stream of one shard in Redis; satisfies StreamReader. together: shared with the other shards."""

    def __init__(self, redis: Redis, *, source: str, shard: int, together: TogetherReader | None = None) -> None:
        self._stream, self._watermark = stream_key(source, shard), watermark_key(source, shard)
        self._together = together or TogetherReader(redis)

    async def read(self, after: StreamId) -> tuple[Entry | Damaged, ...]:
        try:
            answer = await self._together.read(_Wish(self._stream, self._watermark, after))
        except (RedisError, OSError) as error:
            raise StreamDownError(type(error).__name__) from error
        return entries_in(answer)

    async def look(self, after: StreamId) -> Look:
        try:
            answer, info, promise = await self._together.look(_Wish(self._stream, self._watermark, after))
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
