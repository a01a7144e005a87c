"""Check a log against its own chain, and against what others had of it: every entry must be what was sealed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from infra.postgres import Connection
from streams.chain import flaw
from streams.continuity import check
from streams.entries import Entry, Head, Place
from streams.seal import AFTER, FIND, entry_of, head_of

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """An entry that somebody outside of the database was given. name: who ("redis", a consumer).

    incarnation: None for an entry that no log has made.
    """

    name: str
    incarnation: UUID | None
    pos: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found. first_bad: the position that breaks the chain, None when all is well.

    agreed: anchors that have what the log has. A chain recomputed from its start is only noticed by an anchor.
    """

    shard: int
    entries: int
    last_pos: int
    last_hash: str
    first_bad: int | None
    why: str | None
    agreed: list[str]


@dataclass(slots=True)
class Walk:
    """A walk along a chain. hashes: those of the positions that anchors ask for."""

    place: Place
    hashes: dict[int, bytes]
    count: int = 0
    bad: tuple[int, str] | None = None

    def take(self, entries: Sequence[Entry]) -> None:
        """Go on along `entries`, or stop at what breaks the chain."""
        run = check(self.place, entries)
        flawed = next((entry for entry in entries if flaw(entry)), None)
        self.count += len(run.entries)
        if flawed is not None:
            self.bad = flawed.pos, str(flaw(flawed))
        elif run.trouble:
            self.bad = self.place.pos + len(run.entries) + 1, run.trouble
        self.hashes.update({entry.pos: entry.hash for entry in entries if entry.pos in self.hashes})
        self.place = entries[-1].place


async def verify(connection: Connection, shard: int, anchors: Sequence[Anchor] = ()) -> Verdict | None:
    """Walk the log of `shard` from its oldest entry to its end; None when there is no such shard."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(FIND, shard)
        if row is None:
            return None
        head = head_of(row)
        walk = Walk(head.base, {anchor.pos: b"" for anchor in anchors} | {head.base.pos: head.base.hash})
        while walk.bad is None and walk.place.pos < head.last.pos:
            rows = await connection.fetch(AFTER, shard, walk.place.pos, PAGE)
            entries = [entry_of(shard, head.incarnation, row) for row in rows]
            if entries:
                walk.take(entries)
            else:
                walk.bad = walk.place.pos + 1, "missing"
    if walk.bad is None and walk.place.hash != head.last.hash:
        walk.bad = head.last.pos, "end"
    differing = [(anchor.pos, f"{anchor.name} {why}") for anchor in anchors if (why := differs(anchor, head, walk))]
    first_bad, why = walk.bad or min(differing, default=(None, None))
    return Verdict(
        shard=shard,
        entries=walk.count,
        last_pos=head.last.pos,
        last_hash=head.last.hash.hex(),
        first_bad=first_bad,
        why=why,
        agreed=[anchor.name for anchor in anchors if not differs(anchor, head, walk)],
    )


def differs(anchor: Anchor, head: Head, walk: Walk) -> str | None:
    """Return how the log contradicts `anchor`, None when it does not."""
    if anchor.incarnation is None:
        return "has what no log has"
    if anchor.incarnation != head.incarnation:
        return "follows another incarnation"
    if anchor.pos > head.last.pos:
        return "has what the log has not"
    hashes: Mapping[int, bytes] = walk.hashes
    return None if hashes[anchor.pos] == anchor.hash else "has another entry"


def as_line(verdict: Verdict) -> str:
    """Return `verdict` as one line of JSON."""
    return json.dumps(asdict(verdict))
