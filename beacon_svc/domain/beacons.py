"""A beacon as it is known: where it stands, and the keys that speak for it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from contracts.ids import BeaconId, ClassroomId, SchoolId
from contracts.values import value

NfcProfile = Literal["none", "totp-v1"]

MAX_ACTIVE_KEYS = 2
# After a rotation the old key still signs for so long: the beacon may be away when its new key is made known.
ROTATION_OVERLAP = timedelta(hours=24)


@value
class BeaconKey:
    """A public key of a beacon. kid: 16 hex digits. spki: DER. not_after, revoked_at: None while there is no end."""

    kid: str
    spki: bytes
    not_before: datetime
    not_after: datetime | None = None
    revoked_at: datetime | None = None

    def is_active(self, at: datetime) -> bool:
        """Return whether the beacon may authenticate with this key at `at`."""
        ends = [end for end in (self.not_after, self.revoked_at) if end is not None]
        return self.not_before <= at and all(at < end for end in ends)


@value
class Beacon:
    """A device that reads codes in a room. serial: printed on it and part of its NFC links. version: counts changes."""

    id: BeaconId
    school_id: SchoolId
    serial: str
    classroom_id: ClassroomId | None
    nfc_profile: NfcProfile
    totp_required: bool
    version: int
    created_at: datetime
    retired_at: datetime | None
    keys: tuple[BeaconKey, ...]

    def active_keys(self, at: datetime) -> list[BeaconKey]:
        """Return the keys it may authenticate with at `at`; none once it is retired."""
        return [] if self.retired_at is not None else [key for key in self.keys if key.is_active(at)]

    def find_key(self, kid: str) -> BeaconKey | None:
        """Return its key of that name, active or not."""
        return next((key for key in self.keys if key.kid == kid), None)


@value
class Stay:
    """A beacon stood in a room from (inclusive) to (exclusive); until: None while it still does."""

    classroom_id: ClassroomId
    since: datetime
    until: datetime | None


def room_at(stays: Sequence[Stay], at: datetime) -> ClassroomId | None:
    """Return where the beacon stood at `at`, None when nowhere."""
    for stay in stays:
        if stay.since <= at and (stay.until is None or at < stay.until):
            return stay.classroom_id
    return None
