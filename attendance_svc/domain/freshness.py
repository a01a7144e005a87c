"""When the copy of academics may decide in place of academics itself. Pure."""

import re
from datetime import datetime, timedelta
from typing import Literal, cast
from uuid import UUID

from contracts.values import value

# A yes may rest on what was known this long before; a no may not.
RECENT = timedelta(seconds=5)

Path = Literal["local_exact", "local_recent", "ask"]
Kind = Literal["course", "group", "preferences"]

# Schools and rooms are not copied, so nobody needs to wait for them.
TOKEN = re.compile(
    r"academics/[0-9]{1,5}/(course|group|preferences)"
    r":([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@([0-9]{1,18})"
)


@value
class CopyState:
    """How far the copy can be trusted in a question, read in one snapshot with the facts that answer it.

    as_of: everything academics committed before is in the copy; None while nothing is proved. is_running: nobody
    repairs or halted it. facts_since: for an earlier moment the copy knows too little. is_tainted: an event of the
    course, of one of its groups or of the preferences could not be applied, or one that nobody can assign.
    logs: the shards that vouch for it, and the incarnation of the log that each follows. pos: the last position applied
    in the only such shard; None when there are several.
    """

    as_of: datetime | None
    is_running: bool
    facts_since: datetime | None
    is_tainted: bool
    logs: frozenset[tuple[int, UUID | None]] = frozenset()
    pos: int | None = None


@value
class Outlook:
    """What a request knows beside the copy.

    margin: how far the copy must be beyond a moment to be certain of it; None while the clocks were never compared.
    is_same_log: academics still writes the log that the copy follows. has_seen: the copy has what the caller has seen.
    """

    margin: timedelta | None
    is_same_log: bool = True
    has_seen: bool = True


def decide_source(copy: CopyState, t: datetime, outlook: Outlook, *, refuses: bool) -> Path:
    """Decide who answers as of `t`: the copy, because it is certain or new enough for a yes, or academics.

    refuses: what the copy knows as of `t` earns REFUSED, or is not enough to earn anything.
    Source: the freshness table of streams, section 4.
    """
    if outlook.margin is None or not (copy.is_running and outlook.is_same_log and outlook.has_seen):
        return "ask"
    if copy.as_of is None or copy.is_tainted or copy.facts_since is None or t < copy.facts_since:
        return "ask"
    if copy.as_of >= t + outlook.margin:
        return "local_exact"
    return "local_recent" if t - copy.as_of <= RECENT and not refuses else "ask"


@value
class SeenVersion:
    """What a caller has seen academics write, and wants to see counted."""

    kind: Kind
    id: UUID
    version: int


def read_token(text: str | None) -> SeenVersion | None:
    """Return what a consistency token of academics, `academics/3/course:<id>@7`, names; None for any other text."""
    match = TOKEN.fullmatch(text or "")
    if match is None:
        return None
    kind, id_, version = match.groups()
    return SeenVersion(kind=cast(Kind, kind), id=UUID(id_), version=int(version))
