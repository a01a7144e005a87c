"""Sessions in which screens show codes, their keys sealed, and who scanned which code."""

from datetime import datetime
from uuid import UUID

from attendance_svc.domain.qr import QrScan, QrSession
from contracts.ids import ClassroomId, CourseId, DeviceId, SchoolId, StudentId
from infra.postgres import Connection, Pool, Row, connection
from infra.secret_box import SecretBox

ADD = """
INSERT INTO qr_session (id, sid, school_id, course_id, classroom_id, opened_by, opened_at, expires_at, key_sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING
"""
FIND = """
SELECT id, sid, school_id, course_id, classroom_id, opened_by, opened_at, expires_at, closed_at, key_sealed
FROM qr_session WHERE id = $1
"""
FIND_BY_SID = """
SELECT id, sid, school_id, course_id, classroom_id, opened_by, opened_at, expires_at, closed_at, key_sealed
FROM qr_session WHERE sid = $1
"""
CLOSE = "UPDATE qr_session SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL"
ADD_SCAN = """
INSERT INTO qr_scan (session_id, step, student_id, device_id, code, scanned_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (session_id, step, student_id) DO NOTHING
"""
FIND_SCAN = """
SELECT session_id, step, student_id, device_id, code, scanned_at
FROM qr_scan WHERE session_id = $1 AND step = $2 AND student_id = $3
"""
FORGET_SCANS = "DELETE FROM qr_scan WHERE scanned_at < $1"
FORGET_SESSIONS = "DELETE FROM qr_session WHERE expires_at < $1"


class PostgresQrSessions:
    """Satisfies ports.QrSessions. box: seals the keys."""

    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool, self._box = pool, box

    async def add(self, session: QrSession) -> QrSession:
        sealed = self._box.seal(session.key, about=_owner(session.id))
        columns = (session.id, session.sid, session.school_id, session.course_id, session.classroom_id)
        times = (session.opened_at, session.expires_at)
        async with connection(self._pool) as lent:
            await lent.execute(ADD, *columns, session.opened_by, *times, sealed)
            row = await lent.fetchrow(FIND, session.id)
        return session if row is None else self._session_of(row)

    async def find(self, session_id: UUID) -> QrSession | None:
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(FIND, session_id)
        return None if row is None else self._session_of(row)

    async def find_by_sid(self, sid: bytes) -> QrSession | None:
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(FIND_BY_SID, sid)
        return None if row is None else self._session_of(row)

    async def close(self, session_id: UUID, *, at: datetime) -> None:
        async with connection(self._pool) as lent:
            await lent.execute(CLOSE, session_id, at)

    async def add_scan(self, scan: QrScan) -> QrScan:
        columns = (scan.session_id, scan.step, scan.student_id, scan.device_id, scan.raw, scan.at)
        async with connection(self._pool) as lent:
            await lent.execute(ADD_SCAN, *columns)
        return await self.find_scan(scan.session_id, scan.step, scan.student_id) or scan

    async def find_scan(self, session_id: UUID, step: int, student_id: StudentId) -> QrScan | None:
        async with connection(self._pool) as lent:
            row = await lent.fetchrow(FIND_SCAN, session_id, step, student_id)
        return None if row is None else _scan_of(row)

    def _session_of(self, row: Row) -> QrSession:
        return QrSession(
            id=row["id"],
            sid=row["sid"],
            school_id=SchoolId(row["school_id"]),
            course_id=CourseId(row["course_id"]),
            classroom_id=ClassroomId(row["classroom_id"]) if row["classroom_id"] else None,
            opened_by=row["opened_by"],
            opened_at=row["opened_at"],
            expires_at=row["expires_at"],
            closed_at=row["closed_at"],
            key=self._box.open(row["key_sealed"], about=_owner(row["id"])),
        )


async def forget(connection: Connection, *, scans_before: datetime, sessions_before: datetime) -> None:
    """Forget scans that are older, and sessions that ended before. Satisfies jobs.KeptCodes."""
    await connection.execute(FORGET_SCANS, scans_before)
    await connection.execute(FORGET_SESSIONS, sessions_before)


def _scan_of(row: Row) -> QrScan:
    return QrScan(
        session_id=row["session_id"],
        step=row["step"],
        student_id=StudentId(row["student_id"]),
        device_id=DeviceId(row["device_id"]),
        raw=row["code"],
        at=row["scanned_at"],
    )


def _owner(session_id: UUID) -> str:
    """Return what a sealed key is bound to."""
    return f"qr_session:{session_id}:key"
