"""Everything that is kept, opened together in one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.events.envelope import Cause
from contracts.ids import new_id
from identity_svc.domain.accounts import Account
from identity_svc.ports import Books, Deed
from identity_svc.store.accounts import PostgresAccountBook, PostgresResetBook
from identity_svc.store.devices import PostgresDeviceBook
from identity_svc.store.news import News
from identity_svc.store.sessions import PostgresSessionBook, PostgresTryBook
from infra.postgres import Connection, Pool, transaction
from streams.outbox import Outbox

NOTE = """
INSERT INTO trail_entry (id, at, actor_type, actor_id, deed, user_id, school_id, reason, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


class PostgresTrail:
    """Satisfies ports.Trail."""

    def __init__(self, connection: Connection, cause: Cause) -> None:
        self._connection, self._cause = connection, cause

    async def note(self, deed: Deed, account: Account, *, reason: str | None = None) -> None:
        cause = self._cause
        who = (cause.actor_type, cause.actor_id)
        about = (deed, account.id, account.school_id, reason)
        await self._connection.execute(NOTE, new_id(), cause.at, *who, *about, cause.request_id)


@asynccontextmanager
async def open_books(pool: Pool, outbox: Outbox, cause: Cause) -> AsyncIterator[Books]:
    """Open the books in a transaction of their own: leaving commits, an exception rolls back.

    cause: what the events and the trail will say of it.
    """
    async with transaction(pool) as connection:
        news = News(connection, outbox=outbox, cause=cause)
        yield Books(
            accounts=PostgresAccountBook(connection, news),
            resets=PostgresResetBook(connection),
            sessions=PostgresSessionBook(connection, news),
            devices=PostgresDeviceBook(connection, news),
            tries=PostgresTryBook(connection),
            trail=PostgresTrail(connection, cause),
        )
