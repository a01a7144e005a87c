"""Letting a beacon in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from beacon_svc.domain.beacons import Beacon
from beacon_svc.domain.logins import Login
from beacon_svc.ports import BeaconLogins
from contracts.events.envelope import Cause
from contracts.problems import TooManyRequestsError, UnauthenticatedError
from infra.canon import canonical, from_base64url, from_spki, is_signed
from infra.telemetry import logger

MINUTE = timedelta(minutes=1)
# The nonce must outlive the window in which its timestamp would still be taken.
NONCE_MARGIN = timedelta(seconds=10)
NOTABLE_OFFSET = timedelta(seconds=5)

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRules:
    """origin: what beacons sign for. window: how far a beacon's clock may be off. most_per_minute: of one beacon."""

    origin: str
    window: timedelta
    most_per_minute: int


async def admit_beacon(
    login: Login, signature: str, *, rules: LoginRules, logins: BeaconLogins, now: datetime
) -> Beacon:
    """Return the beacon that signed `login` just now, and keep what it tells about its clocks.

    Raises: UnauthenticatedError("beacon_auth_failed"), the same for an unknown beacon, key or signature and for a
    repeat; UnauthenticatedError("clock_skew") for its own signature only; TooManyRequestsError("rate_limited").
    """
    beacon = await logins.find(login.beacon_id)
    if beacon is None:
        _refuse(login, "beacon_unknown")
    key = next((key for key in beacon.active_keys(now) if key.kid == login.kid), None)
    if key is None:
        _refuse(login, "key_not_active")
    if not is_signed(canonical(*login.lines(rules.origin)), signature, from_spki(key.spki)):
        _refuse(login, "signature_invalid")
    # Only the holder of the key gets this far, so nobody else can use up its logins or its nonces.
    if await logins.count_since(beacon.id, now - MINUTE) >= rules.most_per_minute:
        raise TooManyRequestsError("rate_limited", retry_after_s=int(MINUTE.total_seconds()))
    offset = login.told_at - now
    if abs(offset) > rules.window:
        raise UnauthenticatedError("clock_skew", server_time_ms=int(now.timestamp() * 1000))
    life = 2 * rules.window + NONCE_MARGIN
    if not await logins.keep_nonce(beacon.id, from_base64url(login.nonce), now=now, life=life):
        _refuse(login, "nonce_reused")
    await logins.add_anchor(beacon.id, login.anchor(now))
    if abs(offset) > NOTABLE_OFFSET:
        await logins.alert("clock_offset", beacon, cause=Cause(at=now, actor_type="beacon", actor_id=beacon.id))
    return beacon


def _refuse(login: Login, reason: str) -> NoReturn:
    log.warning("login refused", action="beacon_auth", reason=reason, beacon_id=str(login.beacon_id), kid=login.kid)
    raise UnauthenticatedError("beacon_auth_failed")
