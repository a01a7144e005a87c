"""Prove that entries follow the last applied one. Pure: values in, a judgement out.

A stream is believed only where it continues the chain; everything else is asked of the log. So it may be trimmed,
flushed, rewound or forged, and nobody skips or repeats an event.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from streams.chain import flaw
from streams.entries import Closed, Damaged, Entry, Place, StreamId

Trouble = Literal["incarnation", "behind", "gap", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The entries that continue a place, and what stands in the way of more.

    upto: what to read from the log; None as far as it goes.
    """

    entries: tuple[Entry, ...]
    trouble: Trouble | None = None
    upto: int | None = None


def check(place: Place, entries: Sequence[Entry | Damaged]) -> Run:
    """Return how far `entries`, as a stream gave them, continue `place`."""
    good = list[Entry]()
    before: Place | Entry = place
    for entry in entries:
        trouble = _trouble(before, entry)
        if trouble or isinstance(entry, Damaged):
            upto = {"gap": entry.pos - 1, "broken": entry.pos}.get(trouble or "broken")
            return Run(entries=tuple(good), trouble=trouble or "broken", upto=upto)
        good.append(entry)
        before = entry
    return Run(entries=tuple(good))


def _trouble(before: Place | Entry, entry: Entry | Damaged) -> Trouble | None:
    if isinstance(entry, Entry) and entry.incarnation != before.incarnation:
        return "incarnation"
    if entry.pos <= before.pos:
        return "behind"
    if entry.pos > before.pos + 1:
        return "gap"
    return "broken" if isinstance(entry, Damaged) or entry.prev_hash != before.hash else None


def sound(place: Place, entries: Sequence[Entry]) -> bool:
    """Return whether entries of the log itself continue `place` without a flaw."""
    return check(place, entries).trouble is None and not any(map(flaw, entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A stream at one moment: what it has after a place, where it ends, and what its producer promised."""

    entries: tuple[Entry | Damaged, ...]
    last: StreamId
    closed: Closed | None


@dataclass(frozen=True, slots=True)
class Proved:
    """The place is on the stream's chain and has everything that the promise covers."""

    closed: Closed


@dataclass(frozen=True, slots=True)
class Behind:
    """The stream has more, or ought to; upto: the position to read the log to when it does not show it."""

    upto: int


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The stream has nothing after the place, and proves nothing: a flushed one, or one without a promise."""


def judge(place: Place, look: Look) -> Proved | Behind | NothingNew:
    """Return what a look at the stream proves about `place`.

    The tail rule: a stream that ends after the place but shows nothing after it was trimmed.
    """
    closed = look.closed if look.closed and look.closed.incarnation == place.incarnation else None
    if closed and closed.pos <= place.pos and _on_chain(place, look):
        return Proved(closed)
    known = max(look.last.pos, closed.pos if closed else 0)
    return Behind(known) if not look.entries and known > place.pos else NothingNew()


def _on_chain(place: Place, look: Look) -> bool:
    if look.entries:
        return check(place, look.entries[:1]).trouble is None
    return look.last == place.id
