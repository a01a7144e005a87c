"""Sessions, and how often passwords were tried, in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from contracts.events.identity import SessionRevoked
from contracts.ids import UserId
from identity_svc.domain.sessions import EndReason, Session
from identity_svc.domain.throttle import Limit, Tries, after_try, allowed_at
from identity_svc.queries import list_sessions, session_of
from identity_svc.store.news import News
from infra.postgres import Connection

ADD = """
INSERT INTO session (id, user_id, counter, authenticated_at, rotated_at, expires_at, idle_expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
FIND = "SELECT * FROM session WHERE id = $1"
LOCK = "SELECT * FROM session WHERE id = $1 FOR UPDATE"
SAVE = "UPDATE session SET counter = $2, rotated_at = $3, idle_expires_at = $4 WHERE id = $1"
END = """
UPDATE session SET revoked_at = $2, revoked_reason = $3 WHERE id = ANY($1::uuid[]) AND revoked_at IS NULL
RETURNING id, user_id, (SELECT school_id FROM app_user WHERE id = user_id) AS school_id
"""

# The row is made first, so that of two tries at once one waits for the other.
TOUCH_TRY = "INSERT INTO login_try (key, try_count, last_at) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING"
LOCK_TRY = "SELECT try_count, last_at FROM login_try WHERE key = $1 FOR UPDATE"
SAVE_TRY = "UPDATE login_try SET try_count = $2, last_at = $3 WHERE key = $1"
FORGET_TRIES = "DELETE FROM login_try WHERE key = ANY($1::bytea[])"


class PostgresSessionBook:
    """Satisfies ports.SessionBook."""

    def __init__(self, connection: Connection, news: News) -> None:
        self._connection, self._news = connection, news

    async def add(self, session: Session) -> None:
        await self._connection.execute(
            ADD,
            session.id,
            session.user_id,
            session.counter,
            session.authenticated_at,
            session.rotated_at,
            session.expires_at,
            session.idle_expires_at,
        )

    async def find(self, session_id: UUID) -> Session | None:
        row = await self._connection.fetchrow(FIND, session_id)
        return None if row is None else session_of(row)

    async def lock(self, session_id: UUID) -> Session | None:
        row = await self._connection.fetchrow(LOCK, session_id)
        return None if row is None else session_of(row)

    async def save(self, session: Session) -> None:
        await self._connection.execute(SAVE, session.id, session.counter, session.rotated_at, session.idle_expires_at)

    async def list_live(self, user_id: UserId, *, now: datetime) -> list[Session]:
        return await list_sessions(self._connection, user_id, now=now)

    async def end(self, sessions: Sequence[Session], reason: EndReason, *, now: datetime) -> None:
        # In one order everywhere, so that two who end the same sessions do not wait for each other.
        for session in sorted(sessions, key=lambda session: session.id):
            row = await self._connection.fetchrow(END, [session.id], now, reason)
            if row is not None:
                event = SessionRevoked(session_id=row["id"], user_id=row["user_id"], reason=reason)
                await self._news.announce("session", row["id"], (1, event), school_id=row["school_id"])


class PostgresTryBook:
    """Satisfies ports.TryBook."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def admit(self, keys: dict[bytes, Limit], *, now: datetime) -> datetime | None:
        counted: dict[bytes, Tries] = {}
        for key, limit in sorted(keys.items()):
            known = await self._lock(key, now)
            tries = after_try(known, limit, now=now)
            if tries is None and known is not None:
                return allowed_at(known, limit)
            if tries is not None:
                counted[key] = tries
        for key, tries in counted.items():
            await self._connection.execute(SAVE_TRY, key, tries.count, tries.last_at)
        return None

    async def _lock(self, key: bytes, now: datetime) -> Tries | None:
        await self._connection.execute(TOUCH_TRY, key, now)
        row = await self._connection.fetchrow(LOCK_TRY, key)
        if row is None or row["try_count"] == 0:
            return None
        return Tries(count=row["try_count"], last_at=row["last_at"])

    async def forget(self, keys: Sequence[bytes]) -> None:
        await self._connection.execute(FORGET_TRIES, list(keys))
