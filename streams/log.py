"""The log of record, as its readers see it: the place where whatever a stream lost is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from streams.entries import Entry, Head, Place

PAGE_LIMIT = 500
# Bodies in one answer; it must stay below the 4 MiB that a gRPC message may have.
PAGE_BYTES = 1024 * 1024

Refusal = Literal["reincarnated", "forked", "truncated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Entries that follow the reader's place, and how far the log went at that moment."""

    entries: tuple[Entry, ...]
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRefused:
    """The log cannot continue the reader's place: only starting over helps."""

    reason: Refusal
    head: Head


class EventLog(Protocol):
    """A producer's log."""

    async def head(self, shard: int) -> Head:
        """Return how far the log of `shard` goes.

        Raises: NotFoundError("shard_unknown"), UnavailableError("log_down").
        """

    async def read(self, shard: int, after: Place, *, upto: int | None, limit: int) -> LogPage | LogRefused:
        """Return what follows `after`, at most `limit` entries and none beyond `upto`.

        Raises: NotFoundError("shard_unknown"), UnavailableError("log_down").
        """

    async def read_since(self, shard: int, after_ms: int, *, limit: int) -> LogPage:
        """Return the entries that were sealed after `after_ms`, oldest first.

        Raises: NotFoundError("shard_unknown"), UnavailableError("log_down").
        """


def refusal(head: Head, after: Place, following: Sequence[Entry]) -> Refusal | None:
    """Return why a log cannot continue `after`. following: its entries beyond that position, at least one if any."""
    if after.incarnation != head.incarnation:
        return "reincarnated"
    if not head.base.pos <= after.pos <= head.last.pos:
        return "forked"
    if after.pos == head.last.pos:
        return None if after.hash == head.last.hash else "forked"
    if not following or following[0].pos != after.pos + 1:
        return "truncated"
    return None if following[0].prev_hash == after.hash else "forked"


def page(entries: Sequence[Entry], *, upto: int | None) -> tuple[Entry, ...]:
    """Return as many of `entries` as fit in one answer, at least one if any is wanted."""
    taken, size = list[Entry](), 0
    for entry in entries:
        size += len(entry.body or b"")
        if (upto is not None and entry.pos > upto) or (taken and size > PAGE_BYTES):
            break
        taken.append(entry)
    return tuple(taken)
