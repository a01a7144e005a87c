"""JSON of the doors through which people manage beacons."""

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from beacon_svc.domain.beacons import Beacon, NfcProfile
from infra.http_bodies import Answer, Body, Id, PageQuery

MIN_TOTP_KEY_BYTES, MAX_TOTP_KEY_BYTES = 20, 64


def from_base32(text: str) -> bytes:
    """Return the secret that `text` spells: base32, upper case, no padding, as in otpauth links.

    Raises: ValueError for any other spelling or size.
    """
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError("not base32") from error
    if to_base32(raw) != text or not MIN_TOTP_KEY_BYTES <= len(raw) <= MAX_TOTP_KEY_BYTES:
        raise ValueError("not 20 to 64 bytes in canonical base32")
    return raw


def to_base32(raw: bytes) -> str:
    """Return `raw` as base32 without padding."""
    return base64.b32encode(raw).rstrip(b"=").decode()


def _is_base32(text: str) -> str:
    from_base32(text)
    return text


Serial = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{4,64}$")]
PublicKey = Annotated[str, StringConstraints(min_length=1, max_length=800)]
Kid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
TotpKey = Annotated[str, StringConstraints(max_length=104), AfterValidator(_is_base32)]


class BeaconBody(Body):
    """JSON of POST /dev/beacons. public_key: PEM, or SPKI DER in base64. totp_key: made by the server when absent."""

    school_id: Id
    serial: Serial
    public_key: PublicKey
    nfc_profile: NfcProfile = "none"
    totp_required: bool = False
    totp_key: TotpKey | None = None


class BeaconPatch(Body):
    """JSON of PATCH /dev/beacons/{beacon_id}; what is absent stays."""

    nfc_profile: NfcProfile | None = None
    totp_required: bool | None = None
    totp_key: TotpKey | None = None


class RoomBody(Body):
    """JSON of PUT /dev/beacons/{beacon_id}/classroom."""

    classroom_id: Id


class KeyBody(Body):
    """JSON of POST /dev/beacons/{beacon_id}/keys. revoke: kids of stolen keys; others go on for a day."""

    public_key: PublicKey
    revoke: Annotated[list[Kid], Field(max_length=10, default_factory=list)]


class BeaconsQuery(PageQuery):
    """Filters of GET /dev/beacons."""

    school_id: Id | None = None
    classroom_id: Id | None = None
    serial: Serial | None = None


class KeyAnswer(Answer):
    """A key of a beacon. kid: 16 hex digits."""

    kid: str
    not_before: datetime
    not_after: datetime | None
    revoked_at: datetime | None


class BeaconAnswer(Answer):
    """A beacon, without its secrets."""

    id: UUID
    school_id: UUID
    serial: str
    classroom_id: UUID | None
    nfc_profile: NfcProfile
    totp_required: bool
    version: int
    created_at: datetime
    retired_at: datetime | None
    keys: list[KeyAnswer]


class ProvisionedAnswer(BeaconAnswer):
    """A beacon with the secret to put into the device. Shown when it is made, never again."""

    totp_key: str


def fields_of(beacon: Beacon) -> dict[str, object]:
    """Return what a beacon shows of itself."""
    keys = [
        KeyAnswer(kid=key.kid, not_before=key.not_before, not_after=key.not_after, revoked_at=key.revoked_at)
        for key in beacon.keys
    ]
    names = BeaconAnswer.model_fields.keys() - {"keys"}
    return {name: getattr(beacon, name) for name in names} | {"keys": keys}
