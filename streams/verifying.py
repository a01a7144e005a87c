"""Check a log against its own chain, and against what others had of it: every entry must be what was sealed."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from infra.postgres import Connection
from streams.chain import flaw
from streams.continuity import check
from streams.entries import Entry, Head, Place
from streams.seal import AFTER, FIND, entry_of, head_of

PAGE = 1000
Fault = tuple[int, str]  # position, and what is wrong there
# Looks at what events say of rows beside the log, in the same snapshot; None when the rows are as they were told.
Told = Callable[[Connection, Sequence[Entry]], Awaitable[Fault | None]]


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
    """What was found. first_bad: the position that breaks the chain or is contradicted, None when all is well.

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
    bad: Fault | None = None

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


async def verify(
    connection: Connection, shard: int, anchors: Sequence[Anchor] = (), *, told: Told | None = None
) -> Verdict | None:
    """Walk the log of `shard` from its oldest entry to its end; None when there is no such shard."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(FIND, shard)
        if row is None:
            return None
        head = head_of(row)
        walk = Walk(head.base, {anchor.pos: b"" for anchor in anchors} | {head.base.pos: head.base.hash})
        await _walk_to_the_end(connection, shard, head, walk, told)
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


async def _walk_to_the_end(connection: Connection, shard: int, head: Head, walk: Walk, told: Told | None) -> None:
    while walk.bad is None and walk.place.pos < head.last.pos:
        rows = await connection.fetch(AFTER, shard, walk.place.pos, PAGE)
        entries = [entry_of(shard, head.incarnation, row) for row in rows]
        if not entries:
            walk.bad = walk.place.pos + 1, "missing"
            return
        walk.take(entries)
        if told is not None and walk.bad is None:
            walk.bad = await told(connection, entries)
    if walk.bad is None and walk.place.hash != head.last.hash:
        walk.bad = head.last.pos, "end"


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
