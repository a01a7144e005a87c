"""identity_svc on a real database, behind its REST door, with a clock that the tests turn."""

import base64
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer

from contracts.events.envelope import Cause
from contracts.ids import UserId
from identity_svc.domain.accounts import Account
from identity_svc.settings import Settings
from identity_svc.store.books import open_books
from identity_svc.wiring import build, open_hasher
from infra.http_server import build_app
from infra.postgres import create_pool
from streams.outbox import Outbox

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)
PASSWORD = "correct horse 7 battery"
ORIGIN = "https://rollcall.example"


@dataclass(frozen=True, kw_only=True)
class Person:
    id: UUID
    email: str
    password: str | None


class World:
    """One installation: its door, its database, its clock, and helpers that play people."""

    def __init__(self, *, settings, pool, database):
        self.settings, self.pool, self.database = settings, pool, database
        self.client = None
        self.now = NINE
        self.school_id = uuid4()

    def clock(self):
        return self.now

    def pass_time(self, **span):
        self.now += timedelta(**span)

    def books(self):
        return open_books(self.pool, Outbox(4), Cause(at=self.now, actor_type="service"))

    async def call(self, method, path, token=None, body=None, *, headers=None):
        """Return status and JSON of one request."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        async with self.client.request(method, path, json=body, headers=sent) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def add(self, type_, *, school_id=None, password=PASSWORD, argon2_memory_kib=8, **fields):
        """Put an account straight into the books."""
        settings = self.settings.model_copy(update={"argon2_memory_kib": argon2_memory_kib})
        user_id = UserId(uuid4())
        usual = {
            "email": f"{type_}-{user_id.hex[:12]}@school.example",
            "firstname": "Ada",
            "lastname": "Lovelace",
            "school_id": None if type_ == "dev" else (school_id or self.school_id),
        }
        account = Account(id=user_id, type=type_, created_at=self.now, **(usual | fields))
        with open_hasher(settings) as hasher:
            hashed = await hasher.hash(password) if password else None
        async with self.books() as books:
            assert await books.accounts.add(account)
            await books.accounts.set_password(user_id, hashed, at=self.now)
        return Person(id=user_id, email=account.email, password=password)

    async def log_in(self, person, **options):
        """Return the answer to a login that must succeed."""
        body = {"email": person.email, "password": person.password}
        status, answer = await self.call("POST", "/auth/login", body=body, **options)
        assert status == 200, answer
        return answer

    async def enter(self, type_, **fields):
        """Add a person and log them in; return them and their access token."""
        person = await self.add(type_, **fields)
        return person, (await self.log_in(person))["access_token"]

    async def announced(self, *, about=None):
        """Return the types and data of the events that wait to be published, oldest first."""
        rows = await self.database.fetch("SELECT type, agg_id, aggver, body FROM streams_pending ORDER BY id")
        return [
            (row["type"], row["aggver"], json.loads(row["body"])["data"])
            for row in rows
            if about is None or row["agg_id"] == about
        ]


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return file


@pytest.fixture
async def settings(databases, key_file, tmp_path):
    database = await databases("identity")
    absent = tmp_path / "absent"
    return Settings(
        database_url=database.app_url,
        migrate_database_url=database.migrate_url,
        redis_url="redis://127.0.0.1:1/0",
        tls_ca_file=absent,
        tls_cert_file=absent,
        tls_key_file=absent,
        key_file=key_file,
        identity_jwks_url="http://127.0.0.1:1/",
        beacon_jwks_url="http://127.0.0.1:1/",
        public_origin=ORIGIN,
        require_durable_database=False,
        argon2_memory_kib=8,
        argon2_iterations=1,
    )


@pytest.fixture
async def world(settings):
    """The REST door of the real wiring."""
    url = settings.database_url.get_secret_value()
    database = await asyncpg.connect(url)
    async with create_pool(url, name="test") as pool:
        made = World(settings=settings, pool=pool, database=database)
        async with build(settings, now=made.clock) as parts:
            app = build_app(parts.routes, parts.doorkeeper)
            async with TestClient(TestServer(app)) as client:
                made.client = client
                yield made
    await database.close()
