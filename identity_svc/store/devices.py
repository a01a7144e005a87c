"""Students' devices, in PostgreSQL."""

from datetime import datetime

import asyncpg

from contracts.events.identity import DeviceBound, DeviceUnbound
from contracts.ids import DeviceId, UserId
from contracts.problems import ConflictError
from identity_svc.domain.devices import Challenge, Device, UnbindReason
from identity_svc.queries import device_of
from identity_svc.store.news import News
from infra.postgres import Connection, Row

PUT_CHALLENGE = """
INSERT INTO device_challenge (student_id, device_id, nonce, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (student_id) DO UPDATE
SET device_id = excluded.device_id, nonce = excluded.nonce, expires_at = excluded.expires_at
"""
TAKE_CHALLENGE = """
DELETE FROM device_challenge WHERE student_id = $1 AND expires_at > $2
RETURNING student_id, device_id, nonce, expires_at
"""
FIND_LATEST = "SELECT * FROM device WHERE student_id = $1 ORDER BY bound_at DESC, unbound_at DESC NULLS FIRST LIMIT 1"
BIND = """
INSERT INTO device AS known (id, student_id, kid, public_key, bound_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE
SET kid = excluded.kid, public_key = excluded.public_key, bound_at = excluded.bound_at,
    unbound_at = NULL, unbound_reason = NULL, version = known.version + 1
WHERE known.student_id = excluded.student_id AND known.unbound_at IS NOT NULL
RETURNING id, student_id, kid, version, (SELECT school_id FROM student WHERE user_id = $2) AS school_id
"""
UNBIND = """
UPDATE device SET unbound_at = $2, unbound_reason = $3, version = version + 1
WHERE id = $1 AND unbound_at IS NULL
RETURNING id, student_id, kid, version, (SELECT school_id FROM student WHERE user_id = device.student_id) AS school_id
"""


class PostgresDeviceBook:
    """Satisfies ports.DeviceBook."""

    def __init__(self, connection: Connection, news: News) -> None:
        self._connection, self._news = connection, news

    async def put_challenge(self, challenge: Challenge) -> None:
        await self._connection.execute(
            PUT_CHALLENGE, challenge.student_id, challenge.device_id, challenge.nonce, challenge.expires_at
        )

    async def take_challenge(self, student_id: UserId, *, now: datetime) -> Challenge | None:
        row = await self._connection.fetchrow(TAKE_CHALLENGE, student_id, now)
        return None if row is None else Challenge(**row)

    async def find_latest(self, student_id: UserId) -> Device | None:
        row = await self._connection.fetchrow(FIND_LATEST, student_id)
        return None if row is None else device_of(row)

    async def bind(self, device: Device) -> None:
        try:
            row = await self._connection.fetchrow(
                BIND, device.id, device.student_id, device.kid, device.public_key, device.bound_at
            )
        except asyncpg.UniqueViolationError as error:
            raise ConflictError("device_taken") from error
        if row is None:
            raise ConflictError("device_taken")
        await self._announce(row, DeviceBound)

    async def unbind(self, device_id: DeviceId, reason: UnbindReason, *, at: datetime) -> None:
        row = await self._connection.fetchrow(UNBIND, device_id, at, reason)
        if row is not None:
            await self._announce(row, DeviceUnbound)

    async def _announce(self, row: Row, kind: type[DeviceBound | DeviceUnbound]) -> None:
        event = kind(student_id=row["student_id"], device_id=row["id"], kid=row["kid"])
        await self._news.announce("device", row["id"], (row["version"], event), school_id=row["school_id"])
