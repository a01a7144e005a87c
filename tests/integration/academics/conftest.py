"""academics_svc behind its REST and gRPC doors, on a real database, with a clock that tests set."""

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import grpc.aio
import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from academics_svc.domain import CalendarFeeds
from academics_svc.grpc_api import CommandApi, QueryApi
from academics_svc.http_api.desk import Desk
from academics_svc.http_api.routes import routes
from academics_svc.store.books import open_books
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as rpc
from infra.grpc_problems import problems_to_status
from infra.http_server import Doorkeeper, build_app
from infra.jwks import LocalKeys
from infra.postgres import create_pool
from infra.tokens import BEACON_TOKEN, USER_TOKEN, Caller, TokenSigner, TokenVerifier
from streams.outbox import Outbox
from tests.fakes.academics import KnownBeacons, KnownPeople

KID = "test-key-of-academics"
ORIGIN = "https://rollcall.example"
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Clock:
    """The service's clock."""

    now: datetime = NINE

    def __call__(self):
        return self.now

    def advance(self, **parts):
        self.now += timedelta(**parts)


@dataclass
class Person:
    """Somebody with a token."""

    type: str
    school_id: UUID | None
    id: UUID = field(default_factory=uuid4)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict
    body: dict | None

    @property
    def code(self):
        return self.body["code"]


class World:
    """One school with everything in it, a way to call the doors as anybody, and to look behind them."""

    def __init__(self, *, client, pool, desk, key, url):
        self.client, self.pool, self.desk, self._url = client, pool, desk, url
        self.clock, self.people, self.beacons = desk.now, desk.people, desk.beacons
        self._signer = TokenSigner(USER_TOKEN, key=key, kid=KID)
        self.dev = Person("dev", None)
        self.school = self.preferences = self.admin = None

    async def call(self, who, method, path, body=None, **headers):
        names = {"if_match": "If-Match", "key": "Idempotency-Key"}
        sent = {names[name]: str(value) for name, value in headers.items()}
        if who is not None:
            sent["Authorization"] = f"Bearer {self.token(who)}"
        async with self.client.request(method, path, json=body, headers=sent) as answer:
            raw = await answer.read()
            return Answer(status=answer.status, headers=answer.headers, body=json.loads(raw) if raw else None)

    def token(self, who):
        claims = {"user_type": who.type, "sid": str(uuid4()), "school_id": who.school_id and str(who.school_id)}
        return self._signer.sign(who.id, now=self.clock(), ttl=timedelta(seconds=300), claims=claims)

    def caller(self, who):
        """Return `who` as a verified token would."""
        return Caller(
            id=who.id,
            type=who.type,
            school_id=who.school_id,
            admin_role=None,
            session_id=uuid4(),
            expires_at=self.clock() + timedelta(seconds=300),
        )

    async def make(self, path, **body):
        who = self.dev if path == "/schools" else self.admin
        answer = await self.call(who, "POST", path, body)
        assert answer.status == 201, answer.body
        return answer.body

    async def open_school(self, **preferences):
        made = await self.make("/schools", name="Lycée", preferences=preferences)
        self.school = UUID(made["id"])
        self.admin = Person("admin", self.school)
        return self.school

    def person(self, kind, school_id=None):
        person = Person(kind, school_id or self.school)
        self.people.known[person.id] = (kind, person.school_id)
        return person

    async def a_course(self, **changes):
        usual = {"name": "Algebra", "start_at": at(NINE), "end_at": at(NINE + timedelta(hours=2))}
        return await self.make("/courses", **(usual | changes))

    async def a_group(self, *students, name="1A"):
        group = await self.make("/groups", name=name)
        if students:
            path = f"/groups/{group['id']}/members/batch"
            joined = await self.call(self.admin, "POST", path, {"add": [str(s.id) for s in students]})
            assert joined.status == 200, joined.body
        return group

    async def events(self, agg_id=None):
        rows = await self.pool.fetch("SELECT agg_id, body FROM streams_pending ORDER BY id")
        return [json.loads(row["body"]) for row in rows if agg_id in (None, str(row["agg_id"]))]

    async def shift_database_clock(self, **parts):
        """Let the database's clock for history run ahead (or behind) from now on."""
        shift_ms = round(timedelta(**parts).total_seconds() * 1000)
        connection = await asyncpg.connect(self._url.admin_url)
        name = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE \"{name}\" SET rollcall.clock_shift_ms = '{shift_ms}'")
        await connection.close()
        await self.pool.expire_connections()

    async def database_now(self):
        return await self.pool.fetchval("SELECT recorded_now()")


def at(moment):
    """Return a time as JSON has it."""
    return moment.isoformat().replace("+00:00", "Z")


@pytest.fixture
async def world(databases):
    url = await databases("academics")
    key, clock = ec.generate_private_key(ec.SECP256R1()), Clock()
    verifier = TokenVerifier(USER_TOKEN, LocalKeys({KID: key.public_key()}), now=clock)
    beacons = TokenVerifier(BEACON_TOKEN, LocalKeys({}), now=clock)
    async with create_pool(url.app_url, name="test", size=5) as pool:
        desk = Desk(
            pool=pool,
            open_books=partial(open_books, pool, Outbox(shard_count=4), lambda: None),
            people=KnownPeople(),
            beacons=KnownBeacons(),
            now=clock,
            shard_count=4,
            feeds=CalendarFeeds(secrets.token_bytes(32)),
            origin=ORIGIN,
        )
        app = build_app(routes(desk), Doorkeeper(people=verifier, beacons=beacons))
        async with TestClient(TestServer(app)) as client:
            yield World(client=client, pool=pool, desk=desk, key=key, url=url)


@pytest.fixture
async def school(world):
    """The world with a school that has the usual preferences."""
    await world.open_school()
    return world


class Problems(grpc.aio.ServerInterceptor):
    """Answers problems as the real server does, without asking for certificates."""

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)

        async def call(request, context):
            async with problems_to_status(context, details.method):
                return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


@pytest.fixture
async def stubs(world):
    """The gRPC door: queries and commands."""
    server = grpc.aio.server(interceptors=[Problems()])
    rpc.add_AcademicsQueryServiceServicer_to_server(QueryApi(pool=world.pool, now=world.clock), server)
    commands = CommandApi(open_books=world.desk.open_books, now=world.clock)
    rpc.add_AcademicsCommandServiceServicer_to_server(commands, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield rpc.AcademicsQueryServiceStub(channel), rpc.AcademicsCommandServiceStub(channel)
    await server.stop(None)
