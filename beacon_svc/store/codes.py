"""The codes that phones were given."""

from datetime import datetime, timedelta

from beacon_svc.domain.proofs import FlashCode
from contracts.ids import DeviceId, StudentId
from infra.device_requests import keep_nonce
from infra.postgres import Connection

LOCK_STUDENT = "SELECT pg_advisory_xact_lock(hashtextextended('flash_code:' || $1::text, 0))"
# OFFSET 0 keeps the times apart: else a plan may look through everybody's codes of that time.
COUNT = """
SELECT count(*) FROM (SELECT issued_at FROM flash_code WHERE student_id = $1 OFFSET 0) AS c WHERE issued_at > $2
"""
SUPERSEDE = "UPDATE flash_code SET expires_at = $2 WHERE student_id = $1 AND expires_at > $2"
ADD = """
INSERT INTO flash_code (id, code, school_id, student_id, device_id, course_id, issued_at, expires_at, free_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
"""


class PostgresFlashCodes:
    """Satisfies ports.FlashCodes. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep_nonce(self, device_id: DeviceId, nonce: bytes, *, now: datetime, life: timedelta) -> bool:
        return await keep_nonce(self._connection, owner_id=device_id, nonce=nonce, now=now, life=life)

    async def lock_student(self, student_id: StudentId) -> None:
        await self._connection.execute(LOCK_STUDENT, str(student_id))

    async def count_since(self, student_id: StudentId, since: datetime) -> int:
        return int(await self._connection.fetchval(COUNT, student_id, since))

    async def supersede(self, student_id: StudentId, *, at: datetime) -> None:
        await self._connection.execute(SUPERSEDE, student_id, at)

    async def add(self, code: FlashCode, *, free_at: datetime) -> bool:
        whose = (code.school_id, code.student_id, code.device_id, code.course_id)
        times = (code.issued_at, code.expires_at, free_at)
        return await self._connection.execute(ADD, code.id, code.code, *whose, *times) == "INSERT 0 1"
