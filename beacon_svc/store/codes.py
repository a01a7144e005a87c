"""The codes that phones were given."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from beacon_svc.domain.proofs import FlashCode
from contracts.ids import DeviceId, StudentId
from infra.device_requests import keep_nonces
from infra.postgres import Connection, columns

# One for all: whoever issues codes sees every number in use and how many codes a student has.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('flash_code', 0))"
FIND = """
SELECT id, code, school_id, student_id, device_id, course_id, issued_at, expires_at FROM flash_code WHERE id = ANY($1)
"""
COUNT = """
SELECT w.student_id, c.count FROM unnest($1::uuid[]) AS w (student_id) CROSS JOIN LATERAL (
    SELECT count(*) FROM flash_code WHERE student_id = w.student_id AND issued_at > $2
) AS c
"""
# Codes are locked in the order in which proofs lock them, so that nobody waits in a circle. All new ones have one
# moment of issue, so those before them end then; they are found by their ids, for one that is being redeemed has a new
# place.
ADD = """
WITH added AS (
    INSERT INTO flash_code (id, code, school_id, student_id, device_id, course_id, issued_at, expires_at, free_at)
    SELECT n.*, n.expires_at + $9
    FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[],
                $8::timestamptz[])
         AS n (id, code, school_id, student_id, device_id, course_id, issued_at, expires_at)
    WHERE NOT EXISTS (SELECT FROM flash_code AS f WHERE f.code = n.code AND f.free_at > n.issued_at OFFSET 0)
    RETURNING id, student_id, issued_at
), superseded AS (
    SELECT locked.id FROM (
        SELECT c.id FROM added AS a CROSS JOIN LATERAL (
            SELECT * FROM flash_code
            WHERE student_id = a.student_id AND issued_at > $10 AND expires_at > a.issued_at OFFSET 0
        ) AS c ORDER BY c.school_id, c.code, c.issued_at
    ) AS s CROSS JOIN LATERAL (SELECT id FROM flash_code WHERE id = s.id FOR UPDATE) AS locked
), ended AS (
    UPDATE flash_code SET expires_at = (SELECT min(issued_at) FROM added)
    WHERE id = ANY(ARRAY(SELECT id FROM superseded))
)
SELECT id FROM added
"""


class PostgresFlashCodes:
    """Satisfies ports.FlashCodes. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self) -> None:
        await self._connection.execute(LOCK)

    async def keep_nonces(
        self, nonces: Sequence[tuple[DeviceId, bytes]], *, now: datetime, life: timedelta
    ) -> Sequence[bool]:
        return await keep_nonces(self._connection, nonces, now=now, life=life)

    async def find(self, ids: Collection[UUID]) -> Mapping[UUID, FlashCode]:
        return {row["id"]: FlashCode(**dict(row)) for row in await self._connection.fetch(FIND, list(ids))}

    async def count_since(self, students: Collection[StudentId], since: datetime) -> Mapping[StudentId, int]:
        rows = await self._connection.fetch(COUNT, list(students), since)
        return {row["student_id"]: row["count"] for row in rows}

    async def add(self, codes: Sequence[FlashCode], *, quarantine: timedelta, since: datetime) -> Collection[UUID]:
        new = columns([_row_of(code) for code in codes], 8)
        return [row["id"] for row in await self._connection.fetch(ADD, *new, quarantine, since)]


def _row_of(code: FlashCode) -> tuple[object, ...]:
    """Columns as in ADD."""
    whose = (code.school_id, code.student_id, code.device_id, code.course_id)
    return (code.id, code.code, *whose, code.issued_at, code.expires_at)
