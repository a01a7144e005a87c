"""Decide how to go on with a stream that does not end where the relay left it. Pure: values in, a decision out."""

from dataclasses import dataclass
from uuid import UUID

from streams.entries import NOTHING, Place, StreamId
from streams.ledger import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Append the log after `pos`, onto a stream that ends with `sent`.

    last: the entry that the stream ends with; None when it holds nothing of this log yet.
    """

    incarnation: UUID
    sent: StreamId
    pos: int
    last: Place | None


@dataclass(frozen=True, slots=True)
class StartOver:
    """The stream ends before everything the log keeps: delete it, then it is judged as an empty one."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Neither can be trusted over the other; seal and append nothing until an operator has acted."""

    reason: str


def reconcile(actual: StreamId, found: Evidence) -> Resume | StartOver | Halt:
    """Judge a stream whose last id is `actual`. The order of the rules counts.

    An empty stream gets what it should hold, at least the last entry of all: by its id consumers see that they
    have everything. An end that the log knows is a crash before the mark, another relay, or a failover's tail.
    An end beyond the log means that the database was restored to the past.
    """
    last = found.head.last
    if actual == NOTHING:
        return Resume(incarnation=last.incarnation, sent=NOTHING, pos=_start(found), last=None)
    if last.pos > found.head.base.pos and actual == last.id:
        return _after(last)
    if found.at is not None and found.at.id == actual:
        return _after(found.at)
    if actual.pos > last.pos:
        return Halt("log_behind_stream")
    if found.first_kept is None or actual.pos < found.first_kept:
        return StartOver()
    return Halt("foreign_entry")


def _after(place: Place) -> Resume:
    return Resume(incarnation=place.incarnation, sent=place.id, pos=place.pos, last=place)


def _start(found: Evidence) -> int:
    """Return the position after which an empty stream is filled; of an archived log only the rest is left."""
    base, last = found.head.base.pos, found.head.last.pos
    kept = last if found.first_kept is None else found.first_kept - 1
    return max(base, kept, min(found.floor, last - 1))
