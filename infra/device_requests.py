"""Requests that a person's device has signed (device request signature v2): reading and checking them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from contracts.ids import canonical_uuid
from contracts.problems import ForbiddenError, MalformedError, UnauthenticatedError
from contracts.values import value
from infra.canon import FIELD, canonical, from_base64url, from_spki, is_signed, kid_of_spki, sign, to_base64url
from infra.postgres import Connection

TAG = "att.device-req.v2"
WINDOW = timedelta(seconds=30)
NONCE_LIFE = timedelta(seconds=120)
NONCE_BYTES = 16
# More digits would be years that a datetime cannot hold.
TIMESTAMP = re.compile(r"[1-9][0-9]{0,12}")
KID = re.compile(r"[0-9a-f]{16}")
HEADERS = ("X-Device-Id", "X-Device-Kid", "X-Device-Timestamp", "X-Device-Nonce", "X-Device-Signature")

# Expired rows of the same owners go; one that is used again is not deleted but renewed, since one statement may change
# a row once.
# In one order, so that batches do not wait for each other in a circle.
KEEP_NONCES = """
WITH forgotten AS (
    DELETE FROM seen_nonce WHERE owner_id = ANY ($1) AND expires_at < $4 AND nonce <> ALL ($2)
)
INSERT INTO seen_nonce AS known (owner_id, nonce, expires_at)
SELECT DISTINCT owner_id, nonce, $3::timestamptz FROM unnest($1::uuid[], $2::bytea[]) AS n (owner_id, nonce)
ORDER BY owner_id, nonce
ON CONFLICT (owner_id, nonce) DO UPDATE SET expires_at = excluded.expires_at WHERE known.expires_at < $4
RETURNING owner_id, nonce
"""
# What somebody is just using is left for the next time: a sweep waits for nobody, so no two can wait in a circle.
FORGET_NONCES = """
DELETE FROM seen_nonce WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM seen_nonce WHERE expires_at < $1 FOR UPDATE SKIP LOCKED))
"""
Nonce = tuple[UUID, bytes]  # whose, and its 16 bytes


@value
class DeviceKey:
    """The public key of a device and its name: 16 hex digits, made once, since every request is compared with it."""

    public: ec.EllipticCurvePublicKey
    kid: str

    @classmethod
    def of(cls, spki: bytes) -> Self:
        """Return the key in `spki` (DER). Raises: ValueError."""
        return cls(public=from_spki(spki), kid=kid_of_spki(spki))


@value
class SignedRequest:
    """What the headers and the request say; trusted only after `check`.

    path: with its query, exactly as sent. body_sha256: 32 bytes. challenge: "-" without one.
    """

    method: str
    path: str
    body_sha256: bytes
    device_id: UUID
    kid: str
    timestamp_ms: int
    nonce: bytes
    signature: str
    challenge: str = "-"

    def message(self, *, origin: str, person_id: UUID) -> bytes:
        """Return the bytes that the device signed for the server at `origin` (scheme, host and port)."""
        return canonical(
            TAG,
            origin,
            self.method,
            self.path,
            str(person_id),
            str(self.device_id),
            self.kid,
            self.timestamp_ms,
            to_base64url(self.nonce),
            to_base64url(self.body_sha256),
            self.challenge,
        )


def read_signed_request(
    headers: Mapping[str, str], *, method: str, path: str, body: bytes, challenge: str = "-"
) -> SignedRequest:
    """Return the signed request that `headers` describe.

    Raises: UnauthenticatedError("device_signature_missing"), MalformedError("malformed_header").
    """
    try:
        device_id, kid, timestamp, nonce, signature = [headers[name] for name in HEADERS]
    except KeyError as error:
        raise UnauthenticatedError("device_signature_missing") from error
    if not TIMESTAMP.fullmatch(timestamp) or not KID.fullmatch(kid) or not FIELD.fullmatch(path):
        raise MalformedError("malformed_header")
    try:
        # What is no text cannot be kept until its signature can be checked.
        signature.encode()
        return SignedRequest(
            method=method,
            path=path,
            body_sha256=hashlib.sha256(body).digest(),
            device_id=canonical_uuid(device_id),
            kid=kid,
            timestamp_ms=int(timestamp),
            nonce=from_base64url(nonce, size=NONCE_BYTES),
            signature=signature,
            challenge=challenge,
        )
    except ValueError as error:
        raise MalformedError("malformed_header") from error


def check(request: SignedRequest, key: DeviceKey, *, origin: str, person_id: UUID, now: datetime) -> None:
    """Pass when the device's `key` signed exactly this request just now; its nonce is still to be kept.

    Raises: ForbiddenError("device_signature_invalid"), UnauthenticatedError("device_clock_skew").
    """
    message = request.message(origin=origin, person_id=person_id)
    if request.kid != key.kid or not is_signed(message, request.signature, key.public):
        raise ForbiddenError("device_signature_invalid")
    # Only now: a stranger must not learn the server's clock tolerance, nor a device be told a time by one.
    signed_at = datetime.fromtimestamp(request.timestamp_ms / 1000, UTC)
    if abs(now - signed_at) > WINDOW:
        raise UnauthenticatedError("device_clock_skew", server_time_ms=int(now.timestamp() * 1000))


async def keep_nonce(connection: Connection, *, owner_id: UUID, nonce: bytes, now: datetime, life: timedelta) -> bool:
    """Record that `owner_id` used `nonce`; return False when it already had. Of equal requests exactly one wins.

    Table: infra/sql/seen_nonce.sql. Call it after the signature was checked, so that strangers cannot fill the table.
    """
    [is_new] = await keep_nonces(connection, [(owner_id, nonce)], now=now, life=life)
    return is_new


async def keep_nonces(
    connection: Connection, nonces: Sequence[Nonce], *, now: datetime, life: timedelta
) -> Sequence[bool]:
    """Do the same for many, in their order: of equal ones among them the first wins."""
    owners, values = [owner_id for owner_id, _ in nonces], [nonce for _, nonce in nonces]
    rows = await connection.fetch(KEEP_NONCES, owners, values, now + life, now)
    new = {(row["owner_id"], row["nonce"]) for row in rows}
    answers: list[bool] = []
    for nonce in nonces:
        answers.append(nonce in new)
        new.discard(nonce)
    return answers


async def forget_nonces(connection: Connection, now: datetime) -> None:
    """Forget nonces whose requests could not pass any more. One statement, safe to repeat, for a job of each service.

    So the table stays as small as the traffic of a few minutes, also where devices do not come again.
    """
    await connection.execute(FORGET_NONCES, now)


def sign_request(
    request: SignedRequest, key: ec.EllipticCurvePrivateKey, *, origin: str, person_id: UUID
) -> dict[str, str]:
    """Return the headers of `request`, signed. For simulated phones."""
    signature = sign(request.message(origin=origin, person_id=person_id), key)
    values = (request.device_id, request.kid, request.timestamp_ms, to_base64url(request.nonce), signature)
    return dict(zip(HEADERS, map(str, values), strict=True))
