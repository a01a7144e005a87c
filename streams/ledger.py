"""The producer's side of its own log, as the relay needs it: seal what is pending, read what is sealed."""

from dataclasses import dataclass
from typing import Protocol

from streams.entries import Entry, Head, Place, StreamId


class LogWentBackError(Exception):
    """The database has lost entries that Redis was given; an operator must act."""


class ClockJumpedError(Exception):
    """The database's clock moved against the monotonic one; sealing waits until it is back or the relay restarts."""


class ShardMissingError(Exception):
    """The shard was never set up; an operator must act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What one sealing did. drained: nothing that was committed before it began is still pending."""

    head: Head
    count: int
    drained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the log says about a stream that does not end where it should. All of one moment.

    at: the entry at the stream's last position, if it is kept. first_kept: position of the oldest entry kept.
    floor: the highest position that the stream need not hold any more.
    """

    head: Head
    at: Place | None
    first_kept: int | None
    floor: int


class Ledger(Protocol):
    """The log of one shard, in the database of its producer."""

    async def seal(self, *, limit: int, seen: Place | None) -> Sealed | None:
        """Give the oldest `limit` pending events their positions; None when another relay is at it.

        seen: the last entry that a stream was given; the log must still have it.
        Raises: LogWentBackError, ClockJumpedError and ShardMissingError; nothing was sealed then.
        """

    async def head(self) -> Head:
        """Return how far the log goes. Raises: ShardMissingError."""

    async def entries_after(self, pos: int, limit: int) -> list[Entry]:
        """Return the entries after `pos`, of the present incarnation, oldest first."""

    async def evidence(self, actual: StreamId) -> Evidence:
        """Return what there is to judge a stream that ends with `actual`."""


def went_back(last: Place, seen: Place | None) -> bool:
    """Return whether a log that ends with `last` has lost `seen`. Another incarnation is another log."""
    if seen is None or seen.incarnation != last.incarnation:
        return False
    return last.pos < seen.pos or (last.pos == seen.pos and last.hash != seen.hash)
