"""Write to a stream: compare and append, in one step. The only writer of any stream.

An entry's id is its position in the log, so a second append of the same one is refused, a relay that lost a race
learns it, and a stream that lost its tail or everything is noticed at the next append.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from typing import Protocol, cast

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, RedisError, ResponseError

from infra.coalescer import Coalescer
from streams.codec import fields_of
from streams.entries import Closed, Entry, StreamId, parse_stream_id
from streams.names import stream_key, watermark_key

LAST = """
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
if last ~= ARGV[1] then return {'MISMATCH', last} end
"""
# ARGV: expected, oldest millisecond to keep, watermark's pos, t_us and incarnation ('' for none), then runs of entries
# that have the same fields: how many fields, their names, how many entries, and of each its id and its values.
# Both sides pay for every argument, so names are given once.
# Everything happens or, out of memory, nothing: Redis refuses the first write, never a later one.
COMPARE_AND_APPEND = (
    LAST
    + """
local at, is_first = 6, true
while at < #ARGV do
  local width, line = tonumber(ARGV[at]), {''}
  for i = 1, width do
    line[2 * i] = ARGV[at + i]
    line[2 * i + 1] = ''
  end
  at = at + width + 2
  local upto = at + ARGV[at - 1] * (width + 1)
  while at < upto do
    for i = 0, width do line[2 * i + 1] = ARGV[at + i] end
    if is_first then
      -- Looking for what may go costs as much as a third of an entry: once for all of them.
      last = redis.call('XADD', KEYS[1], 'MINID', '~', ARGV[2], unpack(line))
      is_first = false
    else
      last = redis.call('XADD', KEYS[1], unpack(line))
    end
    at = at + width + 1
  end
end
if ARGV[5] ~= '' then
  local t = redis.call('HGET', KEYS[2], 't_us')
  local incarnation = redis.call('HGET', KEYS[2], 'incarnation')
  if incarnation ~= ARGV[5] or not t or tonumber(t) < tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[2], 'pos', ARGV[3], 't_us', ARGV[4], 'incarnation', ARGV[5])
  end
end
return {'OK', last}
"""
)
COMPARE_AND_DELETE = LAST + "redis.call('DEL', KEYS[1], KEYS[2]) return {'OK', '0-0'}"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SHARDS_AT_ONCE = 64
# Its own stub knows tuples of one only.
PACK = cast(Callable[[tuple[str | bytes | int, ...]], bytes], pack_command)
UNKNOWN = "?"  # no stream ends with this, so comparing with it only asks


class StreamDownError(Exception):
    """Redis cannot be reached or refuses; nothing is lost, try again later."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The stream ended as expected, and now ends with the last entry given."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The stream ends otherwise; nothing was written."""

    actual: StreamId


class StreamWriter(Protocol):
    """The stream of one shard, for its relay."""

    async def append(
        self, expected: StreamId | None, entries: Sequence[Entry], closed: Closed | None, keep_from_ms: int
    ) -> Appended | Mismatch:
        """Append `entries` and promise `closed`, if the stream ends with `expected`; None only asks where it ends.

        A promise older than the one there is left out. keep_from_ms: entries sealed before may be trimmed.
        Raises: StreamDownError.
        """

    async def delete(self, expected: StreamId) -> Appended | Mismatch:
        """Delete the stream and its promise, if it ends with `expected`. Raises: StreamDownError."""


@dataclass(frozen=True, slots=True)
class _Append:
    """One run of the script that appends."""

    keys: Sequence[str]
    arguments: Sequence[str | bytes]


class Appender:
    """Runs the script that appends: for shards that have news at the same moment, in one round trip."""

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._script = redis.register_script(COMPARE_AND_APPEND)
        # A Redis that hangs keeps nobody waiting behind somebody else.
        self._appending: Coalescer[_Append, list[bytes]] = Coalescer(self._run, concurrent_count=SHARDS_AT_ONCE)

    async def run(self, keys: Sequence[str], arguments: Sequence[str | bytes]) -> list[bytes]:
        """Return the script's answer. Raises: RedisError, OSError."""
        return await self._appending.submit(_Append(keys, arguments))

    async def _run(self, wanted: Sequence[_Append]) -> Sequence[list[bytes] | BaseException]:
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            # The driver spells every argument in Python, which costs more than all the rest of an entry.
            await connection.send_packed_command([self._packed(one) for one in wanted])
            answers = [await _answer(connection) for _ in wanted]
        finally:
            await self._pool.release(connection)
        # A Redis that was restarted has forgotten the script.
        return [
            await self._script(keys=one.keys, args=one.arguments) if isinstance(answer, NoScriptError) else answer
            for one, answer in zip(wanted, answers, strict=True)
        ]

    def _packed(self, one: _Append) -> bytes:
        return PACK(("EVALSHA", self._script.sha, len(one.keys), *one.keys, *one.arguments))


async def _answer(connection: AbstractConnection) -> list[bytes] | ResponseError:
    """Return what the next command was answered, a refusal too: those behind it are answered all the same."""
    try:
        answer: list[bytes] = await connection.read_response()
    except ResponseError as error:
        return error
    return answer


class RedisStreamWriter:
    """The stream of one shard in Redis; satisfies StreamWriter. appender: shared with the other shards."""

    def __init__(self, redis: Redis, *, source: str, shard: int, appender: Appender | None = None) -> None:
        self._keys = [stream_key(source, shard), watermark_key(source, shard)]
        self._appender = appender or Appender(redis)
        self._delete = redis.register_script(COMPARE_AND_DELETE)

    async def append(
        self, expected: StreamId | None, entries: Sequence[Entry], closed: Closed | None, keep_from_ms: int
    ) -> Appended | Mismatch:
        arguments: list[str | bytes] = [UNKNOWN if expected is None else str(expected), f"{max(keep_from_ms, 0)}-0"]
        arguments += ["", "", ""] if closed is None else [str(closed.pos), str(_us(closed.t)), str(closed.incarnation)]
        fields = [(entry.id, fields_of(entry)) for entry in entries]
        for names, alike in groupby(fields, key=lambda each: each[1][::2]):
            lines = [(str(id_), *each[1::2]) for id_, each in alike]
            arguments += (str(len(names)), *names, str(len(lines)), *chain.from_iterable(lines))
        try:
            return _outcome(await self._appender.run(self._keys, arguments))
        except (RedisError, OSError) as error:
            raise StreamDownError(type(error).__name__) from error

    async def delete(self, expected: StreamId) -> Appended | Mismatch:
        try:
            return _outcome(await self._delete(keys=self._keys, args=[str(expected)]))
        except (RedisError, OSError) as error:
            raise StreamDownError(type(error).__name__) from error


def _outcome(answer: list[bytes]) -> Appended | Mismatch:
    word, last = answer
    return Appended() if word == b"OK" else Mismatch(parse_stream_id(last.decode()))


def _us(t: datetime) -> int:
    return (t - EPOCH) // MICROSECOND


def moment_of_us(t_us: int) -> datetime:
    """Return the moment that a watermark gives in microseconds."""
    return EPOCH + t_us * MICROSECOND
