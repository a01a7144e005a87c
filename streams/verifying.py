"""Check a log against its own chain: whether every entry is what was sealed, and none is missing."""

from dataclasses import dataclass

from infra.postgres import Connection
from streams.chain import flaw
from streams.continuity import check
from streams.seal import AFTER, FIND, entry_of, head_of

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found. first_bad: the position that breaks the chain, None when all is well.

    A recomputed chain passes: only an anchor outside of the database shows that (a stream's end, a checkpoint).
    """

    shard: int
    entries: int
    last_pos: int
    last_hash: str
    first_bad: int | None
    why: str | None


async def verify(connection: Connection, shard: int) -> Verdict | None:
    """Walk the log of `shard` from its oldest entry to its end; None when there is no such shard."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        row = await connection.fetchrow(FIND, shard)
        if row is None:
            return None
        head, count, bad, why = head_of(row), 0, None, None
        place = head.base
        while bad is None and place.pos < head.last.pos:
            rows = await connection.fetch(AFTER, shard, place.pos, PAGE)
            entries = [entry_of(shard, head.incarnation, row) for row in rows]
            if not entries:
                bad, why = place.pos + 1, "missing"
                break
            run = check(place, entries)
            flawed = next((entry for entry in entries if flaw(entry)), None)
            count += len(run.entries)
            if flawed is not None:
                bad, why = flawed.pos, flaw(flawed)
            elif run.trouble:
                bad, why = place.pos + len(run.entries) + 1, run.trouble
            place = entries[-1].place
        if bad is None and place.hash != head.last.hash:
            bad, why = head.last.pos, "end"
    return Verdict(
        shard=shard, entries=count, last_pos=head.last.pos, last_hash=head.last.hash.hex(), first_bad=bad, why=why
    )
