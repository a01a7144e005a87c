"""A migrated database of attendance_svc, a course in it, and the people who know about it."""

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from uuid import uuid4

import asyncpg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from attendance_svc.commands.academics import Academics
from attendance_svc.commands.asking import Sources
from attendance_svc.commands.nfc import NfcDoor
from attendance_svc.commands.phones import WrongCodes
from attendance_svc.commands.qr import QrDoor
from attendance_svc.domain.bearings import Bearings
from attendance_svc.http_api.desk import Desk
from attendance_svc.store.copied_courses import CopiedCourses
from attendance_svc.store.nonces import PostgresNonces
from attendance_svc.store.qr import PostgresQrSessions
from attendance_svc.store.reports import PostgresReports
from attendance_svc.store.signatures import open_book
from attendance_svc.store.waiting import PostgresWaitingRoom
from attendance_svc.wiring import build_keeping, build_routes
from contracts.events.envelope import Cause
from contracts.ids import new_id
from infra.canon import kid_of
from infra.device_requests import SignedRequest, read_signed_request, sign_request
from infra.http_events import StreamLimits
from infra.http_server import Doorkeeper, build_app
from infra.jwks import LocalKeys
from infra.postgres import create_pool
from infra.secret_box import SecretBox
from infra.tokens import USER_TOKEN, TokenSigner, TokenVerifier
from streams.outbox import Outbox
from streams.schema import prepare
from tests.fakes.attendance import (
    MINUTE,
    NINE,
    InMemoryCodes,
    InMemoryDirectory,
    InMemoryPhones,
    InMemoryTimetable,
    a_plan,
)

KEY = ec.generate_private_key(ec.SECP256R1())
KID = "tests-0123456789abcdef"
ORIGIN = "https://rollcall.example"
PROVE = """
INSERT INTO streams_checkpoint (consumer, source, shard, incarnation, hash, as_of, state, pos)
SELECT 'attendance.copy', 'academics', shard, gen_random_uuid(), $1, $2, $3, 7 FROM generate_series(0, 3) AS shard
ON CONFLICT (consumer, source, shard) DO UPDATE SET as_of = excluded.as_of, state = excluded.state
"""


@dataclass
class School:
    """One course, those who know about it, and the book its signatures go into."""

    pool: object
    directory: InMemoryDirectory
    timetable: InMemoryTimetable
    phones: InMemoryPhones
    codes: InMemoryCodes
    open_book: object
    admin_url: str
    now: datetime = NINE + 5 * MINUTE
    # Never compared clocks: so academics is asked about everything, unless a test says otherwise.
    bearings: Bearings = field(default_factory=Bearings)
    fixed_sources: Sources | None = None

    @cached_property
    def keep(self):
        return build_keeping(self.open_book).submit

    @property
    def course(self):
        return self.directory.plan.course

    @property
    def sources(self):
        if self.fixed_sources is not None:
            return self.fixed_sources
        copy = CopiedCourses(self.pool, shard_count=4)
        academics = Academics(copy=copy, directory=self.directory, bearings=self.bearings)
        return Sources(academics=academics, timetable=self.timetable, phones=self.phones, codes=self.codes)

    def clock(self):
        return self.now

    def cause(self):
        return Cause(at=self.now, actor_type="job")

    @property
    def waiting_room(self):
        return PostgresWaitingRoom(self.pool)

    async def rows(self):
        """Every signature, in order of its time: status, reason, whether another one counts instead."""
        rows = await self.pool.fetch("SELECT * FROM signature ORDER BY t, id")
        return [(row["status"], row["reason"], row["superseded_by"] is not None) for row in rows]

    def prefer(self, **changes):
        plan = self.directory.plan
        self.directory.plan = replace(plan, preferences=replace(plan.preferences, **changes))

    async def events(self):
        """What was announced, in order: (type without prefix and version, data)."""
        rows = await self.pool.fetch("SELECT type, body FROM streams_pending ORDER BY id")
        return [(row["type"].removeprefix("attendance.")[:-3], json.loads(row["body"])) for row in rows]

    async def news(self):
        return [type_ for type_, _ in await self.events()]

    async def prove(self, as_of, state="running"):
        """Say that the copy has everything that academics committed before `as_of`."""
        await self.pool.execute(PROVE, bytes(32), as_of, state)

    async def count(self, table):
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetchval(f"SELECT count(*) FROM {table}")
        finally:
            await connection.close()


@asynccontextmanager
async def a_school(databases):
    """A school whose attendance has a database of its own."""
    database = await databases("attendance")
    connection = await asyncpg.connect(database.migrate_url)
    await prepare(connection, source="attendance", shard_count=4)
    await connection.close()
    async with create_pool(database.app_url, name="attendance-tests", size=8) as pool:
        yield School(
            pool=pool,
            directory=InMemoryDirectory(a_plan()),
            timetable=InMemoryTimetable(),
            phones=InMemoryPhones(),
            codes=InMemoryCodes(),
            open_book=partial(open_book, pool, Outbox(4), lambda *_shards: None),
            admin_url=database.admin_url,
        )


@pytest.fixture
async def school(databases):
    async with a_school(databases) as made:
        yield made


@dataclass
class Answer:
    status: int
    headers: dict
    body: dict | str


async def _events(lines):
    async for line in lines:
        word, _, text = line.decode().rstrip("\n").partition(": ")
        if word == "event":
            name = text
        elif word == "data":
            yield name, json.loads(text)


@dataclass
class Person:
    """Somebody with a token, at the REST door."""

    door: object
    type: str
    school_id: object
    id: object = field(default_factory=uuid4)

    async def get(self, path, accept="*/*", **query):
        params = {k: str(v) for k, v in query.items()}
        return await self.door.call("GET", path, self, params=params, headers={"Accept": accept})

    async def post(self, path="/signatures", **body):
        headers = body.pop("headers", {})
        return await self.door.call("POST", path, self, json={k: _plain(v) for k, v in body.items()}, headers=headers)

    async def patch(self, signature, version=None, **body):
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        return await self.door.call("PATCH", f"/signatures/{signature}", self, json=body, headers=headers)

    async def delete(self, signature, **query):
        return await self.door.call("DELETE", f"/signatures/{signature}", self, params=query)

    async def tap(self, code="12345678", serial="BEACON-1", nonce=None, headers=(), **body):
        """Sign with a code that the phone read, under the phone's signature; headers: more of them."""
        course_id = body.pop("course_id", self.door.school.course.id)
        fields = {"course_id": course_id, "method": "nfc", "serial": serial, "code": code} | body
        return await self.signed("/signatures", fields, nonce=nonce, headers=headers)

    async def signed(self, path, fields, *, nonce=None, device_id=None, headers=()):
        """Post what the phone, or the one with `device_id`, signed; headers: more of them."""
        raw = json.dumps({name: _plain(value) for name, value in fields.items()}).encode()
        own = self.signed_headers(raw, path=path, nonce=nonce, device_id=device_id)
        headers = own | {"Content-Type": "application/json"} | dict(headers)
        return await self.door.call("POST", path, self, data=raw, headers=headers)

    def signed_headers(self, raw, *, path, nonce, device_id):
        unsigned = {
            "X-Device-Id": str(new_id()),
            "X-Device-Kid": kid_of(KEY.public_key()),
            "X-Device-Timestamp": str(int(self.door.school.now.timestamp() * 1000)),
            "X-Device-Nonce": "AAECAwQFBgcICQoLDA0ODw",
            "X-Device-Signature": "A" * 86,
        }
        request = read_signed_request(unsigned, method="POST", path=path, body=raw)
        fields = {name: getattr(request, name) for name in SignedRequest.__slots__}
        fields |= {"nonce": nonce or secrets.token_bytes(16), "device_id": device_id or self.door.device_id}
        return sign_request(SignedRequest(**fields), KEY, origin=ORIGIN, person_id=self.id)


def _plain(value):
    return value if value is None or isinstance(value, bool | int) else str(value)


class Door:
    """The REST door of attendance, and people who knock."""

    def __init__(self, school, client):
        self.school, self._client = school, client
        self._signer = TokenSigner(USER_TOKEN, key=KEY, kid=KID)
        self.device_id = new_id()

    def someone(self, type_, school_id=None):
        known = None if type_ == "dev" else school_id or self.school.course.school_id
        return Person(self, type_, known)

    def a_teacher(self):
        """A teacher who is assigned to the course."""
        teacher = self.someone("teacher")
        self.school.directory.teachers.add(teacher.id)
        return teacher

    def knock(self, method, path, person, **request):
        """Send a request; what comes back is for the caller to read and to close."""
        claims = {
            "sid": str(uuid4()),
            "user_type": person.type,
            "school_id": str(person.school_id) if person.school_id else None,
            "admin_role": None,
        }
        token = self._signer.sign(person.id, now=self.school.now, ttl=timedelta(seconds=300), claims=claims)
        headers = {"Authorization": f"Bearer {token}"} | request.pop("headers", {})
        return self._client.request(method, path, headers=headers, **request)

    async def call(self, method, path, person, **request):
        async with self.knock(method, path, person, **request) as answer:
            text = await answer.text()
            body = json.loads(text) if text and "json" in answer.content_type else text or None
            return Answer(answer.status, answer.headers.copy(), body)

    @asynccontextmanager
    async def listen(self, path, person):
        """The events of a stream as they come: (name, data)."""
        async with self.knock("GET", path, person) as answer:
            assert answer.content_type == "text/event-stream"
            yield _events(answer.content)


@pytest.fixture
def desk(school):
    nonces, wrong_codes = PostgresNonces(school.pool), WrongCodes()
    nfc = NfcDoor(nonces=nonces, wrong_codes=wrong_codes, keep=school.keep)
    qr = QrDoor(
        sessions=PostgresQrSessions(school.pool, SecretBox(bytes(32))),
        nonces=nonces,
        wrong_codes=wrong_codes,
        keep=school.keep,
        open_book=school.open_book,
    )
    return Desk(
        pool=school.pool,
        sources=school.sources,
        nfc=nfc,
        qr=qr,
        open_book=school.open_book,
        reports=PostgresReports(school.pool, shard_count=4),
        now=school.clock,
        shard_count=4,
        origin=ORIGIN,
    )


@pytest.fixture
def routes(desk):
    return build_routes(desk)


@pytest.fixture
async def door(school, routes):
    keys = TokenVerifier(USER_TOKEN, LocalKeys({KID: KEY.public_key()}), now=school.clock)
    app = build_app(routes, Doorkeeper(people=keys, beacons=keys), stream_limits=StreamLimits(look_s=0.05))
    async with TestClient(TestServer(app)) as client:
        yield Door(school, client)


@pytest.fixture
def teacher(door):
    return door.a_teacher()


@pytest.fixture
def admin(door):
    return door.someone("admin")
