"""Students' devices: one each, and not another one every day."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from contracts.ids import DeviceId, UserId

COOL_DOWN = timedelta(days=7)
CHALLENGE_LIFE = timedelta(minutes=5)
CHALLENGE_BYTES = 32

UnbindReason = Literal["replaced", "reset", "deleted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A phone that may sign for a student. kid: 16 hex digits. public_key: SPKI, DER."""

    id: DeviceId
    student_id: UserId
    kid: str
    public_key: bytes
    bound_at: datetime
    unbound_at: datetime | None = None
    unbound_reason: UnbindReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a new device must sign. device_id: the name it gets unless it brings its own. nonce: 32 random bytes."""

    student_id: UserId
    device_id: DeviceId
    nonce: bytes
    expires_at: datetime


def is_same(known: Device | None, wanted: Device) -> bool:
    """Return whether `wanted` is bound already, with the same key."""
    return known is not None and known.unbound_at is None and (known.id, known.kid) == (wanted.id, wanted.kid)


def bindable_at(latest: Device | None) -> datetime | None:
    """Return from when the student whose newest device is `latest` may bind another; None: now.

    An administrator's reset lifts the wait.
    """
    if latest is None or latest.unbound_reason == "reset":
        return None
    return latest.bound_at + COOL_DOWN
