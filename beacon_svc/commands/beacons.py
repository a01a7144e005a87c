"""Making beacons known, moving them, renewing their keys, taking them out of service."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from beacon_svc.domain.beacons import MAX_ACTIVE_KEYS, ROTATION_OVERLAP, Beacon, BeaconKey, NfcProfile
from beacon_svc.ports import BeaconRegistry
from contracts.events.beacon import (
    BeaconAssigned,
    BeaconKeyRotated,
    BeaconProvisioned,
    BeaconRetired,
    BeaconState,
    BeaconUnassigned,
    BeaconUpdated,
)
from contracts.events.envelope import Cause
from contracts.ids import BeaconId, ClassroomId, SchoolId
from contracts.problems import ConflictError, PreconditionFailedError

E = TypeVar("E", bound=BeaconState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What shall be different about a beacon; None leaves it as it is. totp_key: 20 to 64 bytes."""

    nfc_profile: NfcProfile | None
    totp_required: bool | None
    totp_key: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that shall speak for a beacon. revoked_kids: keys that shall not any more, from now on."""

    kid: str
    spki: bytes
    revoked_kids: frozenset[str]


def news_of(kind: type[E], beacon: Beacon, *, at: datetime) -> E:
    """Say in contract terms what a beacon is like after a change."""
    return kind(
        beacon_id=beacon.id,
        school_id=beacon.school_id,
        classroom_id=beacon.classroom_id,
        retired=beacon.retired_at is not None,
        kids=sorted(key.kid for key in beacon.active_keys(at)),
    )


async def provision_beacon(
    beacon: Beacon, *, totp_key: bytes, is_given: bool, registry: BeaconRegistry, cause: Cause
) -> tuple[Beacon, bytes]:
    """Make `beacon` known; return it with the secret to put into the device.

    Safe to repeat with the same id: the beacon and the secret of the first time. is_given: the caller chose the secret.
    Raises: ConflictError("serial_taken" | "key_taken" | "idempotency_key_reused").
    """
    announce = news_of(BeaconProvisioned, beacon, at=cause.at)
    if await registry.add(beacon, totp_key=totp_key, announce=announce, cause=cause):
        return beacon, totp_key
    earlier = await registry.get(beacon.id, within=beacon.school_id)
    kept_key = await registry.get_totp_key(beacon.id)
    wanted = (beacon.serial, beacon.nfc_profile, beacon.totp_required, beacon.keys[0].kid)
    found = (earlier.serial, earlier.nfc_profile, earlier.totp_required, earlier.keys[0].kid)
    if wanted != found or (is_given and kept_key != totp_key):
        raise ConflictError("idempotency_key_reused")
    return earlier, kept_key


async def update_beacon(
    beacon_id: BeaconId,
    change: Change,
    *,
    version_seen: int,
    within: SchoolId | None,
    registry: BeaconRegistry,
    cause: Cause,
) -> Beacon:
    """Change a beacon's settings.

    Raises: NotFoundError("not_found"), PreconditionFailedError("version_stale"), ConflictError("beacon_retired").
    """
    beacon = await _get_in_service(beacon_id, within=within, registry=registry)
    if beacon.version != version_seen:
        raise PreconditionFailedError("version_stale")
    if change.totp_key is not None:
        await registry.set_totp_key(beacon.id, change.totp_key)
    changed = replace(
        beacon,
        nfc_profile=change.nfc_profile or beacon.nfc_profile,
        totp_required=beacon.totp_required if change.totp_required is None else change.totp_required,
    )
    return await _save(changed, BeaconUpdated, registry=registry, cause=cause)


async def assign_room(
    beacon_id: BeaconId,
    classroom_id: ClassroomId | None,
    *,
    within: SchoolId | None,
    registry: BeaconRegistry,
    cause: Cause,
) -> Beacon:
    """Put a beacon into a room, or (None) into none. Safe to repeat.

    Raises: NotFoundError("not_found"), ConflictError("beacon_retired").
    """
    beacon = await registry.get(beacon_id, within=within)
    if beacon.classroom_id == classroom_id:
        return beacon
    if beacon.retired_at is not None:
        raise ConflictError("beacon_retired")
    await registry.move(beacon.id, classroom_id, at=cause.at)
    kind = BeaconUnassigned if classroom_id is None else BeaconAssigned
    return await _save(replace(beacon, classroom_id=classroom_id), kind, registry=registry, cause=cause)


async def rotate_key(
    beacon_id: BeaconId, new: NewKey, *, within: SchoolId | None, registry: BeaconRegistry, cause: Cause
) -> Beacon:
    """Let another key speak for a beacon; the one before goes on for a day, unless it is revoked. Safe to repeat.

    Raises: NotFoundError("not_found"), ConflictError("beacon_retired" | "key_taken" | "too_many_keys").
    """
    beacon = await _get_in_service(beacon_id, within=within, registry=registry)
    if beacon.find_key(new.kid) is not None:
        return beacon
    kept = [_ended(key, new, at=cause.at) for key in beacon.keys]
    if sum(key.is_active(cause.at) for key in kept) >= MAX_ACTIVE_KEYS:
        raise ConflictError("too_many_keys")
    made = BeaconKey(kid=new.kid, spki=new.spki, not_before=cause.at)
    return await _save(replace(beacon, keys=(*kept, made)), BeaconKeyRotated, registry=registry, cause=cause)


def _ended(key: BeaconKey, new: NewKey, *, at: datetime) -> BeaconKey:
    if not key.is_active(at):
        return key
    if key.kid in new.revoked_kids:
        return replace(key, revoked_at=at)
    ends_at = at + ROTATION_OVERLAP
    return replace(key, not_after=min(key.not_after or ends_at, ends_at))


async def retire_beacon(
    beacon_id: BeaconId, *, within: SchoolId | None, registry: BeaconRegistry, cause: Cause
) -> None:
    """Take a beacon out of service and revoke its keys; its proofs stay. Safe to repeat.

    Raises: NotFoundError("not_found").
    """
    beacon = await registry.get(beacon_id, within=within)
    if beacon.retired_at is not None:
        return
    if beacon.classroom_id is not None:
        await registry.move(beacon.id, None, at=cause.at)
    keys = tuple(replace(key, revoked_at=key.revoked_at or cause.at) for key in beacon.keys)
    retired = replace(beacon, classroom_id=None, retired_at=cause.at, keys=keys)
    await _save(retired, BeaconRetired, registry=registry, cause=cause)


async def _get_in_service(beacon_id: BeaconId, *, within: SchoolId | None, registry: BeaconRegistry) -> Beacon:
    beacon = await registry.get(beacon_id, within=within)
    if beacon.retired_at is not None:
        raise ConflictError("beacon_retired")
    return beacon


async def _save(beacon: Beacon, kind: type[BeaconState], *, registry: BeaconRegistry, cause: Cause) -> Beacon:
    changed = replace(beacon, version=beacon.version + 1)
    await registry.save(changed, announce=news_of(kind, changed, at=cause.at), cause=cause)
    return changed
