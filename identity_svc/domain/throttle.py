"""How often a password may be guessed."""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """free: tries without waiting. waits: before each further one, the last repeated. window: until it is forgotten."""

    free: int
    waits: tuple[timedelta, ...]
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """The tries since the last success. last_at: of the newest one."""

    count: int
    last_at: datetime


# Of one account from one network, and of one account from anywhere. From anywhere that is twenty in any hour at most:
# seventeen at once, and one after each quarter of it.
FROM_ONE_PLACE = Limit(
    free=5, waits=tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 15)), window=timedelta(minutes=15)
)
FROM_ANYWHERE = Limit(free=17, waits=(timedelta(minutes=15),), window=timedelta(hours=1))
# A network is what one household or one school is given.
PREFIX_BITS = {4: 24, 6: 64}


def allowed_at(tries: Tries, limit: Limit) -> datetime:
    """Return when the next try may be made."""
    if tries.count < limit.free:
        return tries.last_at
    return tries.last_at + limit.waits[min(tries.count - limit.free, len(limit.waits) - 1)]


def after_try(tries: Tries | None, limit: Limit, *, now: datetime) -> Tries | None:
    """Return the tries including one made now, None when it may not be made yet."""
    if tries is None or now > allowed_at(tries, limit) + limit.window:
        return Tries(count=1, last_at=now)
    if now < allowed_at(tries, limit):
        return None
    return Tries(count=tries.count + 1, last_at=now)


def network_of(address: str) -> str:
    """Return the network that `address` belongs to; what is no address is a network of its own."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, PREFIX_BITS[parsed.version]), strict=False))


def keys_of(what: str, source: str, *, session_id: UUID | None = None) -> dict[bytes, Limit]:
    """Return under which keys tries at `what` from `source` are counted. Digests: no address is stored with them.

    session_id: of a live session of the account itself. Its tries from anywhere are counted apart from all others', so
    that strangers who guess cannot keep the owner out, and a stolen session guesses no faster than a stranger.
    """
    from_anywhere = what if session_id is None else f"{what}\nsession {session_id}"
    named = {f"{what}\n{network_of(source)}": FROM_ONE_PLACE, from_anywhere: FROM_ANYWHERE}
    return {hashlib.sha256(text.encode()).digest(): limit for text, limit in named.items()}
