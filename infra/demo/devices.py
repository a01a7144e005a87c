"""Simulated hardware: beacons that read light and sign what they saw, and students' phones.

Written from the formats, not from beacon_svc's code: when the two disagree, a proof fails.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.canon import canonical, kid_of, sign, to_base64url, to_spki
from infra.clock import Clock, utc_now
from infra.demo.doors import Doors, Heard
from infra.device_requests import SignedRequest, sign_request
from infra.optical_frame import decode

NFC_STEP_S = 15
TOTP_DIGITS = 8


def unix_ms(at: datetime) -> int:
    """Return `at` as Unix time in milliseconds."""
    return round(at.timestamp() * 1000)


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public part of `key` as PEM, as it is given to the server."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(kw_only=True)
class Beacon:
    """A beacon: keeps a counter and a chain over everything it ever signed, and a queue of what was not taken yet.

    origin: the server it signs for. offset: how far its clock is ahead of ours. synced: its clock was set in this boot.
    """

    id: UUID
    serial: str
    origin: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    totp_key: bytes = b""
    now: Clock = utc_now
    boot: int = 1
    offset: timedelta = timedelta(0)
    synced: bool = True
    seq: int = 0
    prev: str = ""
    queue: list[dict[str, Any]] = field(default_factory=list)
    token: str | None = None
    booted_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.booted_at = self.now()
        self.prev = self.prev or self._genesis()

    @property
    def kid(self) -> str:
        """The name of its key."""
        return kid_of(self.key.public_key())

    def uptime_ms(self) -> int:
        """Return the milliseconds since it started."""
        return round((self.now() - self.booted_at).total_seconds() * 1000)

    def restart(self, *, synced: bool = True) -> None:
        """Lose power and come back; counter, chain and queue are on flash memory."""
        self.boot, self.booted_at, self.synced, self.token = self.boot + 1, self.now(), synced, None

    def take_key(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Sign with another key from now on: counter and chain begin anew."""
        self.key, self.seq, self.token = key, 0, None
        self.prev = self._genesis()

    def login_body(self) -> dict[str, Any]:
        """Return a signed timestamp, format (a)."""
        ts, uptime_ms, nonce = (
            unix_ms(self.now() + self.offset),
            self.uptime_ms(),
            to_base64url(secrets.token_bytes(16)),
        )
        lines = (self.origin, str(self.id), self.kid, ts, self.boot, uptime_ms, nonce)
        fields = {"v": 1, "beacon_id": str(self.id), "kid": self.kid, "ts": ts, "boot": self.boot}
        signature = sign(canonical("att.beacon-auth.v1", *lines), self.key)
        return fields | {"uptime_ms": uptime_ms, "nonce": nonce, "sig": signature}

    def read(self, symbols: str) -> dict[str, Any]:
        """See a phone blink; return the signed proof, which also waits in the queue."""
        return self.observe(decode(symbols))

    def observe(self, code: int) -> dict[str, Any]:
        """Sign that `code` was seen now, format (b3)."""
        self.seq += 1
        clocks = {
            "observed_at": unix_ms(self.now() + self.offset),
            "uptime_ms": self.uptime_ms(),
            "sync_age_ms": self.uptime_ms() if self.synced else None,
        }
        fields = {"beacon_id": str(self.id), "kid": self.kid, "boot": self.boot, "seq": self.seq, "code": code}
        fields |= clocks | {"prev": self.prev}
        lines = ["-" if value is None else str(value) for value in fields.values()]
        message = canonical("att.flash-proof.v1", *lines)
        self.prev = to_base64url(hashlib.sha256(message).digest())
        proof = {"v": 1} | fields | {"sig": sign(message, self.key), "quality": {"snr": 31, "tries": 1}}
        if self.totp_key:
            proof["totp"] = totp(self.totp_key, self.now() + self.offset)
        self.queue.append(proof)
        return proof

    def nfc_code(self) -> str:
        """Return the code that its emulated tag shows now."""
        return totp(self.totp_key, self.now() + self.offset)

    async def log_in(self, doors: Doors) -> Heard:
        """Log in by a signed timestamp; afterwards its clock is right."""
        heard = await doors.post("/beacon/auth/token", self.login_body())
        if heard.status == 200:  # noqa: PLR2004 -- OK
            self.token, self.offset, self.synced = heard.body["access_token"], timedelta(0), True
        return heard

    async def push(self, doors: Doors, *, most: int = 100) -> Heard:
        """Push what waits in the queue, at most `most` proofs, and forget what the server acknowledges."""
        if self.token is None:
            (await self.log_in(doors)).expect(200)
        sent = self.queue[:most]
        body = sent[0] if len(sent) == 1 else {"proofs": sent}
        heard = await Doors(doors.session, doors.base_url, self.token).post("/beacon/proofs", body)
        acknowledged = heard.body.get("ack_seq", 0)
        self.queue = [proof for proof in self.queue if proof["kid"] != self.kid or proof["seq"] > acknowledged]
        return heard

    def _genesis(self) -> str:
        start = canonical("att.flash-genesis.v1", str(self.id), self.kid)
        return to_base64url(hashlib.sha256(start).digest())


def totp(key: bytes, at: datetime) -> str:
    """Return the 8-digit code of a moment. Source: RFC 6238, SHA-256, 15 s."""
    step = int(at.timestamp()) // NFC_STEP_S
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha256")
    start = mac[-1] & 15
    return str((int.from_bytes(mac[start : start + 4], "big") & 0x7FFFFFFF) % 10**TOTP_DIGITS).zfill(TOTP_DIGITS)


@dataclass(kw_only=True)
class Phone:
    """A student's phone: its key signs every request (device request signature v2)."""

    student_id: UUID
    origin: str
    device_id: UUID = field(default_factory=uuid4)
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    now: Clock = utc_now

    @property
    def spki(self) -> bytes:
        """Its public key, DER."""
        return to_spki(self.key.public_key())

    def sign(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """Return the headers that sign a request. path: with its query, exactly as sent."""
        request = SignedRequest(
            method=method,
            path=path,
            body_sha256=hashlib.sha256(body).digest(),
            device_id=self.device_id,
            kid=kid_of(self.key.public_key()),
            timestamp_ms=unix_ms(self.now()),
            nonce=secrets.token_bytes(16),
            signature="",
        )
        return sign_request(request, self.key, origin=self.origin, person_id=self.student_id)

    async def post(self, doors: Doors, path: str, body: object) -> Heard:
        """POST `body` under this phone's signature. doors: with the student's token."""
        raw = json.dumps(body).encode()
        return await doors.call("POST", path, raw, headers=self.sign("POST", path, raw))

    async def ask_code(self, doors: Doors, course_id: UUID | str) -> Heard:
        """Ask for a code to blink; the answer's `symbols` are what the lamp shows."""
        return await self.post(doors, "/beacon/flash-codes", {"course_id": str(course_id)})
