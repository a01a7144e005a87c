"""Sessions: how long they last and what a refresh token is worth."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from contracts.ids import UserId
from identity_svc.domain.accounts import UserType

# The answer to a refresh may be lost; whoever asks again this soon gets the same token once more.
GRACE = timedelta(seconds=10)
MAX_SESSIONS = 5
PREFIX = "rt1."
COUNTER_BYTES, MAC_BYTES, ID_BYTES = 8, 32, 16

EndReason = Literal[
    "logged_out",
    "replayed",
    "too_many",
    "password_changed",
    "role_changed",
    "disabled",
    "deleted",
    "device_reset",
    "forced",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """idle: without a refresh. absolute: since the password was given. access: of one access token."""

    idle: timedelta
    absolute: timedelta
    access: timedelta


LIFETIMES: Final[dict[UserType, Lifetimes]] = {
    "student": Lifetimes(idle=timedelta(days=14), absolute=timedelta(days=30), access=timedelta(seconds=600)),
    "teacher": Lifetimes(idle=timedelta(days=7), absolute=timedelta(days=30), access=timedelta(seconds=600)),
    "admin": Lifetimes(idle=timedelta(hours=12), absolute=timedelta(days=7), access=timedelta(seconds=600)),
    "dev": Lifetimes(idle=timedelta(hours=1), absolute=timedelta(hours=12), access=timedelta(seconds=300)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login on one device. counter: of the refresh token that is good now; earlier ones are spent."""

    id: UUID
    user_id: UserId
    counter: int
    authenticated_at: datetime
    rotated_at: datetime
    expires_at: datetime
    idle_expires_at: datetime
    revoked_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Return whether it can still be refreshed."""
        return self.revoked_at is None and now < min(self.expires_at, self.idle_expires_at)


def start_session(session_id: UUID, user_id: UserId, type_: UserType, *, now: datetime) -> Session:
    """Return a session that begins now."""
    life = LIFETIMES[type_]
    return Session(
        id=session_id,
        user_id=user_id,
        counter=0,
        authenticated_at=now,
        rotated_at=now,
        expires_at=now + life.absolute,
        idle_expires_at=now + life.idle,
    )


def rotate(session: Session, type_: UserType, *, now: datetime) -> Session:
    """Return the session after a refresh: the next token, and the idle time begins anew."""
    idle_expires_at = now + LIFETIMES[type_].idle
    return replace(session, counter=session.counter + 1, rotated_at=now, idle_expires_at=idle_expires_at)


def access_life(session: Session, type_: UserType, *, now: datetime) -> timedelta:
    """Return how long an access token made now may live: never longer than its session."""
    return min(LIFETIMES[type_].access, session.expires_at - now)


def decide_refresh(
    session: Session, counter: int, *, now: datetime
) -> Literal["rotate", "repeat", "replayed", "ended"]:
    """Decide what a refresh token with `counter` earns.

    repeat: the same next token again. replayed: it was spent, so it was copied: the session must end.
    """
    if not session.is_live(now):
        return "ended"
    if counter == session.counter:
        return "rotate"
    if counter == session.counter - 1 and now - session.rotated_at <= GRACE:
        return "repeat"
    return "replayed"


def vouches(session: Session | None, counter: int, user_id: UserId | None, *, now: datetime) -> bool:
    """Return whether a refresh token with `counter` shows that its bearer is already in as `user_id`."""
    if session is None or session.user_id != user_id:
        return False
    return decide_refresh(session, counter, now=now) in ("rotate", "repeat")


class RefreshTokens:
    """Writes and reads refresh tokens: `rt1.` and base64url of session, counter and an HMAC over both."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, session: Session) -> str:
        """Return the token that is good for `session` now; always the same one for the same counter."""
        named = session.id.bytes + session.counter.to_bytes(COUNTER_BYTES, "big")
        return PREFIX + base64.urlsafe_b64encode(named + self._mac(named)).rstrip(b"=").decode()

    def read(self, token: str) -> tuple[UUID, int] | None:
        """Return session and counter of a token that this class wrote, None for any other text."""
        try:
            text = token.removeprefix(PREFIX)
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        named, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        # Other spellings of the same bytes are refused, so that one token has one spelling.
        respelled = PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        if len(named) != ID_BYTES + COUNTER_BYTES or respelled != token:
            return None
        if not hmac.compare_digest(mac, self._mac(named)):
            return None
        return UUID(bytes=named[:ID_BYTES]), int.from_bytes(named[ID_BYTES:], "big")

    def _mac(self, named: bytes) -> bytes:
        return hmac.digest(self._key, b"rt1\0" + named, hashlib.sha256)
