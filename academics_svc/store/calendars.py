"""Whose calendar URLs were made void, and how often."""

from uuid import UUID

from infra.postgres import Connection

REVOKE_CALENDAR = """
INSERT INTO calendar_revocation (user_id, counter) VALUES ($1, 1)
ON CONFLICT (user_id) DO UPDATE SET counter = calendar_revocation.counter + 1
"""


class PostgresCalendarBook:
    """Satisfies ports.CalendarBook."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def revoke(self, user_id: UUID) -> None:
        await self._connection.execute(REVOKE_CALENDAR, user_id)
