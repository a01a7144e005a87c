"""Every promise of identity_svc's ports, on the fake and on PostgreSQL."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts.events.envelope import Cause
from contracts.ids import SchoolId, UserId
from identity_svc.domain.accounts import Account
from identity_svc.ports import Credential
from identity_svc.store.books import open_books
from infra.postgres import create_pool
from streams.outbox import Outbox
from tests.fakes.identity import InMemoryBooks

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)


def an_account(**changes):
    usual = {
        "id": UserId(uuid4()),
        "type": "student",
        "school_id": SchoolId(uuid4()),
        "email": f"{uuid4().hex}@school.example",
        "firstname": "Ada",
        "lastname": "Lovelace",
        "created_at": NINE,
    }
    return Account(**(usual | changes))


class FakeShelf:
    def __init__(self):
        self._books = InMemoryBooks()
        self.open = self._books.open

    async def add(self, account, hashed="hash"):
        self._books.accounts.kept[account.id] = Credential(account=account, password_hash=hashed, changed_at=NINE)

    async def ended(self):
        return self._books.sessions.ended


class PostgresShelf:
    def __init__(self, pool):
        self._pool = pool

    def open(self):
        return open_books(self._pool, Outbox(4), Cause(at=NINE, actor_type="service"))

    async def add(self, account, hashed="hash"):
        async with self.open() as books:
            await books.accounts.add(account)
            await books.accounts.set_password(account.id, hashed, at=NINE)

    async def ended(self):
        rows = await self._pool.fetch(
            """SELECT agg_id, convert_from(body, 'UTF8')::jsonb -> 'data' ->> 'reason' AS reason
            FROM streams_pending WHERE type = 'identity.session.revoked.v1' ORDER BY id"""
        )
        return [(row["agg_id"], row["reason"]) for row in rows]


@pytest.fixture
async def pool(databases):
    database = await databases("identity")
    async with create_pool(database.app_url, name="test") as made:
        yield made


@pytest.fixture(params=["fake", "postgres"])
def shelf(request):
    if request.param == "fake":
        return FakeShelf()
    return PostgresShelf(request.getfixturevalue("pool"))
