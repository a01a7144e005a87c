"""Beacons with their keys, rooms and secrets, and their logins."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NoReturn

import asyncpg

from beacon_svc.domain.beacons import Beacon, BeaconKey
from beacon_svc.domain.clock_model import Anchor
from beacon_svc.domain.proofs import AlertKind
from beacon_svc.ports import Report
from beacon_svc.store.alerts import alert_of
from contracts.events.beacon import BeaconState
from contracts.events.envelope import Aggregate, Cause, wrap
from contracts.ids import BeaconId, ClassroomId, SchoolId, new_id
from contracts.problems import ConflictError, NotFoundError
from infra.device_requests import keep_nonce
from infra.postgres import Connection, Row
from infra.secret_box import SecretBox
from streams.outbox import Outbox

FIND = """
SELECT id, school_id, serial, classroom_id, nfc_profile, totp_required, version, created_at, retired_at
FROM beacon WHERE id = $1
"""
GET = """
SELECT id, school_id, serial, classroom_id, nfc_profile, totp_required, version, created_at, retired_at
FROM beacon WHERE id = $1 AND ($2::uuid IS NULL OR school_id = $2) FOR UPDATE
"""
LIST_KEYS = """
SELECT kid, spki, not_before, not_after, revoked_at FROM beacon_key WHERE beacon_id = $1 ORDER BY not_before, kid
"""
ADD = """
INSERT INTO beacon (id, school_id, serial, nfc_profile, totp_key_sealed, totp_required, version, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING
"""
SAVE = """
UPDATE beacon SET classroom_id = $3, nfc_profile = $4, totp_required = $5, retired_at = $6, version = $2
WHERE id = $1 AND version = $2 - 1
"""
SAVE_KEY = """
INSERT INTO beacon_key (beacon_id, kid, spki, not_before, not_after, revoked_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (beacon_id, kid) DO UPDATE SET not_after = excluded.not_after, revoked_at = excluded.revoked_at
"""
END_STAY = "UPDATE beacon_assignment SET assigned_to = $2 WHERE beacon_id = $1 AND assigned_to IS NULL"
BEGIN_STAY = "INSERT INTO beacon_assignment (beacon_id, classroom_id, assigned_from) VALUES ($1, $2, $3)"
SET_TOTP_KEY = "UPDATE beacon SET totp_key_sealed = $2 WHERE id = $1"
GET_TOTP_KEY = "SELECT totp_key_sealed FROM beacon WHERE id = $1"
COUNT_ANCHORS = "SELECT count(*) FROM beacon_anchor WHERE beacon_id = $1 AND server_at > $2"
ADD_ANCHOR = """
INSERT INTO beacon_anchor (id, beacon_id, boot, uptime_ms, told_at, server_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
KEEP_REPORT = """
INSERT INTO beacon_telemetry
    (beacon_id, received_at, firmware, boot, uptime_ms, queued_count, misread_count, battery_mv)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (beacon_id) DO UPDATE SET received_at = excluded.received_at, firmware = excluded.firmware,
    boot = excluded.boot, uptime_ms = excluded.uptime_ms, queued_count = excluded.queued_count,
    misread_count = excluded.misread_count, battery_mv = excluded.battery_mv
"""
TAKEN = {"beacon_serial_key": "serial_taken", "beacon_key_kid_key": "key_taken"}


def totp_owner(beacon_id: BeaconId) -> str:
    """Return what a sealed shared secret is bound to."""
    return f"beacon:{beacon_id}:totp"


def beacon_of(row: Row, keys: Sequence[Row]) -> Beacon:
    """Columns as in FIND and LIST_KEYS."""
    return Beacon(**dict(row), keys=tuple(BeaconKey(**dict(key)) for key in keys))


class PostgresBeaconRegistry:
    """Satisfies ports.BeaconRegistry. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection, *, outbox: Outbox, box: SecretBox) -> None:
        self._connection, self._outbox, self._box = connection, outbox, box

    async def get(self, beacon_id: BeaconId, *, within: SchoolId | None) -> Beacon:
        row = await self._connection.fetchrow(GET, beacon_id, within)
        if row is None:
            raise NotFoundError("not_found")
        return beacon_of(row, await self._connection.fetch(LIST_KEYS, beacon_id))

    async def add(self, beacon: Beacon, *, totp_key: bytes, announce: BeaconState, cause: Cause) -> bool:
        sealed = self._box.seal(totp_key, about=totp_owner(beacon.id))
        columns = (beacon.id, beacon.school_id, beacon.serial, beacon.nfc_profile, sealed, beacon.totp_required)
        try:
            if await self._connection.execute(ADD, *columns, beacon.version, beacon.created_at) != "INSERT 0 1":
                return False
        except asyncpg.UniqueViolationError as error:
            _refuse_taken(error)
        await self._save_keys(beacon)
        await self._announce(beacon, announce, cause)
        return True

    async def save(self, beacon: Beacon, *, announce: BeaconState, cause: Cause) -> None:
        columns = (beacon.classroom_id, beacon.nfc_profile, beacon.totp_required, beacon.retired_at)
        await self._connection.execute(SAVE, beacon.id, beacon.version, *columns)
        await self._save_keys(beacon)
        await self._announce(beacon, announce, cause)

    async def move(self, beacon_id: BeaconId, classroom_id: ClassroomId | None, *, at: datetime) -> None:
        await self._connection.execute(END_STAY, beacon_id, at)
        if classroom_id is not None:
            await self._connection.execute(BEGIN_STAY, beacon_id, classroom_id, at)

    async def set_totp_key(self, beacon_id: BeaconId, key: bytes) -> None:
        sealed = self._box.seal(key, about=totp_owner(beacon_id))
        await self._connection.execute(SET_TOTP_KEY, beacon_id, sealed)

    async def get_totp_key(self, beacon_id: BeaconId) -> bytes:
        sealed = await self._connection.fetchval(GET_TOTP_KEY, beacon_id)
        return self._box.open(sealed, about=totp_owner(beacon_id))

    async def _save_keys(self, beacon: Beacon) -> None:
        rows = [(beacon.id, k.kid, k.spki, k.not_before, k.not_after, k.revoked_at) for k in beacon.keys]
        try:
            await self._connection.executemany(SAVE_KEY, rows)
        except asyncpg.UniqueViolationError as error:
            _refuse_taken(error)

    async def _announce(self, beacon: Beacon, event: BeaconState, cause: Cause) -> None:
        of = Aggregate(type="beacon", id=beacon.id, version=beacon.version, school_id=beacon.school_id)
        await self._outbox.add(self._connection, wrap(event, id=new_id(), of=of, cause=cause))


def _refuse_taken(error: asyncpg.UniqueViolationError) -> NoReturn:
    code = TAKEN.get(error.constraint_name or "")
    if code is None:
        raise error
    raise ConflictError(code) from error


class PostgresBeaconLogins:
    """Satisfies ports.BeaconLogins. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection, *, outbox: Outbox) -> None:
        self._connection, self._outbox = connection, outbox

    async def find(self, beacon_id: BeaconId) -> Beacon | None:
        row = await self._connection.fetchrow(FIND, beacon_id)
        return None if row is None else beacon_of(row, await self._connection.fetch(LIST_KEYS, beacon_id))

    async def count_since(self, beacon_id: BeaconId, since: datetime) -> int:
        return int(await self._connection.fetchval(COUNT_ANCHORS, beacon_id, since))

    async def keep_nonce(self, beacon_id: BeaconId, nonce: bytes, *, now: datetime, life: timedelta) -> bool:
        return await keep_nonce(self._connection, owner_id=beacon_id, nonce=nonce, now=now, life=life)

    async def add_anchor(self, beacon_id: BeaconId, anchor: Anchor) -> None:
        clocks = (anchor.boot, anchor.uptime_ms, anchor.told_at, anchor.server_at)
        await self._connection.execute(ADD_ANCHOR, new_id(), beacon_id, *clocks)

    async def alert(self, kind: AlertKind, beacon: Beacon, *, cause: Cause) -> None:
        event = alert_of(kind, beacon_id=beacon.id, school_id=beacon.school_id, proof_id=None, cause=cause)
        await self._outbox.add(self._connection, event)


class PostgresBeaconReports:
    """Satisfies ports.BeaconReports. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, beacon_id: BeaconId, report: Report, *, at: datetime) -> None:
        counts = (report.queued_count, report.misread_count, report.battery_mv)
        await self._connection.execute(
            KEEP_REPORT, beacon_id, at, report.firmware, report.boot, report.uptime_ms, *counts
        )
