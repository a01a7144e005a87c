"""The values of a log: where an entry stands, what it holds, how far a log goes."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from contracts.values import value


class StreamId(NamedTuple):
    """The id of a stream entry: the millisecond of its sealing and its position in the log."""

    ms: int
    pos: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.pos}"


NOTHING = StreamId(0, 0)


def parse_stream_id(text: str) -> StreamId:
    """Return the id spelled `<ms>-<pos>`. Raises: ValueError."""
    ms, _, pos = text.partition("-")
    return StreamId(int(ms), int(pos))


@value
class Place:
    """The last entry that somebody has: of the log, of a stream, or applied by a consumer.

    hash: 32 bytes; of the incarnation's base when there is no entry yet.
    """

    incarnation: UUID
    pos: int
    ms: int
    hash: bytes

    @property
    def id(self) -> StreamId:
        return StreamId(self.ms, self.pos)


@value
class Entry:
    """One sealed event. body: its RFC 8785 JSON as its writer made it, None once erased, and salt with it."""

    incarnation: UUID
    shard: int
    pos: int
    ms: int
    body: bytes | None
    salt: bytes | None
    commit: bytes
    prev_hash: bytes
    hash: bytes

    @property
    def id(self) -> StreamId:
        return StreamId(self.ms, self.pos)

    @property
    def place(self) -> Place:
        return Place(incarnation=self.incarnation, pos=self.pos, ms=self.ms, hash=self.hash)


@value
class Damaged:
    """A stream entry that is not what any log sealed; only its id can be read."""

    id: StreamId
    reason: str

    @property
    def pos(self) -> int:
        return self.id.pos


@value
class Closed:
    """A promise of the producer: everything committed before `t` is at or below `pos`.

    t: of the producer's database.
    """

    incarnation: UUID
    pos: int
    t: datetime


@value
class Head:
    """How far the log of a shard goes. base: the place before its first entry. now: the clock of its database."""

    base: Place
    last: Place
    closed: Closed | None
    now: datetime

    @property
    def incarnation(self) -> UUID:
        return self.last.incarnation
