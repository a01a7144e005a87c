"""Binding a student's phone: the phone proves that it holds the key it brings."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from contracts.ids import DeviceId, UserId
from contracts.problems import ConflictError, ForbiddenError, InvalidInputError
from identity_svc.commands.accounts import end_sessions, get_for_change
from identity_svc.domain.accounts import Account, Actor, check_may_administer
from identity_svc.domain.devices import CHALLENGE_BYTES, CHALLENGE_LIFE, Challenge, Device, bindable_at, is_same
from identity_svc.ports import Books
from infra.canon import canonical, is_signed, kid_of, load_public_key, to_base64url, to_spki

TAG = "att.device-reg.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a phone sends. device_id: None takes the challenge's. public_key: PEM, or SPKI in base64."""

    device_id: DeviceId | None
    public_key: str
    signature: str


def registration_text(*, origin: str, user_id: UserId, device_id: DeviceId, kid: str, nonce: bytes) -> bytes:
    """Return the CANON-1 bytes that a phone signs with its new key."""
    return canonical(TAG, origin, str(user_id), str(device_id), kid, to_base64url(nonce))


async def issue_challenge(
    user_id: UserId, *, device_id: DeviceId, actor: Actor, books: Books, now: datetime
) -> Challenge:
    """Return what the student's phone must sign within five minutes; an earlier challenge is void.

    Raises: NotFoundError, ForbiddenError.
    """
    await _get_own_student(user_id, actor=actor, books=books)
    challenge = Challenge(
        student_id=user_id,
        device_id=device_id,
        nonce=secrets.token_bytes(CHALLENGE_BYTES),
        expires_at=now + CHALLENGE_LIFE,
    )
    await books.devices.put_challenge(challenge)
    return challenge


async def bind_device(
    user_id: UserId, registration: Registration, *, origin: str, actor: Actor, books: Books, now: datetime
) -> Device:
    """Bind the phone in place of the student's earlier one, which must have been bound for seven days.

    Safe to repeat while the same phone is bound.
    Raises: NotFoundError, ForbiddenError("forbidden" | "device_signature_invalid"),
    InvalidInputError("key_malformed"),
    ConflictError("device_challenge_missing" | "device_cooldown" | "device_taken").
    """
    await _get_own_student(user_id, actor=actor, books=books)
    challenge = await books.devices.take_challenge(user_id, now=now)
    latest = await books.devices.find_latest(user_id)
    device_id = registration.device_id or (challenge.device_id if challenge else None)
    wanted = _device(user_id, device_id or (latest.id if latest else None), registration.public_key, now=now)
    if latest is not None and is_same(latest, wanted):
        return latest
    if challenge is None:
        raise ConflictError("device_challenge_missing")
    check_possession(wanted, registration, origin=origin, nonce=challenge.nonce)
    free_at = bindable_at(latest)
    if free_at is not None and now < free_at:
        raise ConflictError("device_cooldown", retry_after_s=int((free_at - now).total_seconds()) + 1)
    if latest is not None and latest.unbound_at is None:
        await books.devices.unbind(latest.id, "replaced", at=now)
    await books.devices.bind(wanted)
    return wanted


def _device(user_id: UserId, device_id: DeviceId | None, public_key: str, *, now: datetime) -> Device:
    if device_id is None:
        raise ConflictError("device_challenge_missing")
    try:
        key = load_public_key(public_key)
    except ValueError as error:
        raise InvalidInputError("key_malformed") from error
    return Device(id=device_id, student_id=user_id, kid=kid_of(key), public_key=to_spki(key), bound_at=now)


def check_possession(device: Device, registration: Registration, *, origin: str, nonce: bytes) -> None:
    """Raises: ForbiddenError("device_signature_invalid") unless the new key signed this very registration."""
    text = registration_text(origin=origin, user_id=device.student_id, device_id=device.id, kid=device.kid, nonce=nonce)
    if not is_signed(text, registration.signature, load_public_key(registration.public_key)):
        raise ForbiddenError("device_signature_invalid")


async def _get_own_student(user_id: UserId, *, actor: Actor, books: Books) -> Account:
    account = await get_for_change(user_id, actor=actor, books=books)
    if account.id != actor.id or account.type != "student":
        raise ForbiddenError("forbidden")
    return account


async def reset_device(user_id: UserId, *, reason: str, actor: Actor, books: Books, now: datetime) -> None:
    """Unbind a student's phone so that another can be bound at once; the student is logged out everywhere.

    Safe to repeat. Raises: NotFoundError, ForbiddenError.
    """
    account = await get_for_change(user_id, actor=actor, books=books)
    check_may_administer(actor, account)
    device = await books.devices.find_latest(user_id)
    if device is None or device.unbound_reason == "reset":
        return
    if device.unbound_at is None:
        await books.devices.unbind(device.id, "reset", at=now)
    await end_sessions(account, "device_reset", books=books, now=now)
    await books.trail.note("device_reset", account, reason=reason)
