"""beacon_svc as it is wired, on real PostgreSQL; clock, people's tokens and peers are in the tests' hands."""

import base64
import dataclasses
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import pytest
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from beacon_svc.settings import Settings
from beacon_svc.wiring import build
from infra import certs
from infra.demo.devices import Beacon, Phone, new_key, public_pem
from infra.demo.doors import Doors
from infra.http_server import build_app
from infra.jwks import LocalKeys
from infra.private_files import write_private
from infra.secret_box import SecretBox
from infra.signing_keys import public_jwk
from infra.tokens import USER_TOKEN, TokenSigner, TokenVerifier
from streams.schema import prepare
from tests.fakes.beacon import AttendancePeer, IdentityPeer, serving
from tests.waiting import until

ORIGIN = "https://api.school.example"
START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
SHARDS = 4
KNOW = "INSERT INTO academics_copy VALUES ($1, $2, $3, false, 1, 0) ON CONFLICT DO NOTHING"
IS_SETTLED = "SELECT NOT EXISTS (SELECT FROM proof WHERE state = 'held' AND reason = 'handing_over')"
# The copy of academics holds everything there will ever be.
COPY_IS_COMPLETE = """
INSERT INTO streams_checkpoint (consumer, source, shard, incarnation, hash, as_of, state)
SELECT 'beacon.copy', 'academics', shard, gen_random_uuid(), sha256(''), '2100-01-01', 'running'
FROM generate_series(0, 3) AS shard
"""


class Now:
    """A clock that moves when told to."""

    def __init__(self):
        self.at = START

    def __call__(self):
        return self.at

    def forward(self, **amount):
        self.at += timedelta(**amount)


class People:
    """Signs tokens as identity_svc does."""

    def __init__(self, now):
        key = ec.generate_private_key(ec.SECP256R1())
        self._now, self._kid = now, public_jwk(key.public_key())["kid"]
        self._signer = TokenSigner(USER_TOKEN, key=key, kid=self._kid)
        self.verifier = TokenVerifier(USER_TOKEN, LocalKeys({self._kid: key.public_key()}), now=now)

    def token(self, user_type, school_id=None, user_id=None):
        claims = {"sid": str(uuid4()), "user_type": user_type, "school_id": str(school_id) if school_id else None}
        return self._signer.sign(user_id or uuid4(), now=self._now(), ttl=timedelta(seconds=300), claims=claims)


class Service:
    """The doors of a running beacon_svc and what stands behind them."""

    def __init__(self, doors, *, people, now, pool, peers, parts):
        self.nobody, self.people, self.now, self.pool = doors, people, now, pool
        self.attendance, self.identity = peers
        self.loops, self.registers = parts.loops, parts.registers
        self.school_id = uuid4()

    @property
    def dev(self):
        return self.nobody.as_(self.people.token("dev"))

    def admin(self, school_id=None):
        return self.nobody.as_(self.people.token("admin", school_id or self.school_id))

    def student(self, student_id, school_id=None):
        return self.nobody.as_(self.people.token("student", school_id or self.school_id, student_id))

    async def knows(self, kind, id, school_id=None):
        """Let the copy of academics hold a school or a room."""
        await self.pool.execute(KNOW, id, kind, school_id or self.school_id)

    async def a_beacon(self, *, room=None, **changes):
        """Provision a beacon and put it into a room; return the simulated device."""
        await self.knows("school", self.school_id)
        key = new_key()
        body = {
            "school_id": str(self.school_id),
            "serial": secrets.token_hex(6),
            "public_key": public_pem(key),
        } | changes
        made = (await self.dev.post("/dev/beacons", body)).expect(201)
        if room is not None:
            await self.knows("classroom", room)
            (await self.dev.put(f"/dev/beacons/{made['id']}/classroom", {"classroom_id": str(room)})).expect(200)
        secret = made["totp_key"]
        totp_key = base64.b32decode(secret + "=" * (-len(secret) % 8))
        return Beacon(
            id=UUID(made["id"]), serial=made["serial"], origin=ORIGIN, key=key, totp_key=totp_key, now=self.now
        )

    def a_phone(self, student_id=None):
        """A student's phone, bound to the student."""
        phone = Phone(student_id=student_id or uuid4(), origin=ORIGIN, now=self.now)
        self.identity.bound[str(phone.student_id), str(phone.device_id)] = phone.spki
        return phone

    async def blink(self, phone, *, course_id=None, school_id=None):
        """Ask for a code; return what the lamp shows."""
        doors = self.student(phone.student_id, school_id)
        return (await phone.ask_code(doors, course_id or uuid4())).expect(201)["symbols"]

    async def push(self, beacon):
        """Push the beacon's queue; return the answer of the newest proof."""
        heard = await beacon.push(self.nobody)
        return heard.expect(200, 202)["results"][-1]

    async def sign(self, beacon, **changes):
        """A student blinks, the beacon reads and pushes at once; return what became of the proof."""
        beacon.read(await self.blink(self.a_phone(), **changes))
        return await self.push(beacon)

    async def settled(self):
        """Wait until all that attendance said is kept: it is, a moment after the beacons have heard it."""
        await until(lambda: self.pool.fetchval(IS_SETTLED))

    async def events(self):
        """Return (type, version, data) of everything announced, oldest first."""
        rows = await self.pool.fetch("SELECT type, aggver, body FROM streams_pending ORDER BY id")
        return [(row["type"], row["aggver"], row["body"]) for row in rows]

    async def event_types(self):
        return [type_ for type_, _version, _body in await self.events()]


@pytest.fixture
def now():
    return Now()


@pytest.fixture(scope="session")
def certificates(folder):
    certs.renew(folder / "certs")
    return folder / "certs"


@pytest.fixture
async def database(databases):
    urls = await databases("beacon")
    connection = await asyncpg.connect(urls.migrate_url)
    await prepare(connection, source="beacon", shard_count=SHARDS)
    await connection.close()
    return urls


@pytest.fixture
async def peers(certificates):
    """attendance_svc and identity_svc as beacon_svc meets them: on the network, by certificate."""
    async with serving(AttendancePeer(), certificates) as attendance, serving(IdentityPeer(), certificates) as identity:
        yield attendance, identity


@pytest.fixture
async def academics_address(database):
    """Nobody is there, and nothing is missing."""
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(COPY_IS_COMPLETE)
    await connection.close()
    return "127.0.0.1:9"


@pytest.fixture
def settings(database, valkey, certificates, peers, academics_address, tmp_path):
    key_file = tmp_path / "key"
    write_private(key_file, base64.b64encode(secrets.token_bytes(32)).decode())
    return Settings(
        database_url=database.app_url,
        redis_url=valkey.url(),
        tls_ca_file=certificates / "ca.pem",
        tls_cert_file=certificates / "beacon.pem",
        tls_key_file=certificates / "beacon-key.pem",
        key_file=key_file,
        identity_jwks_url="http://127.0.0.1:9/jwks.json",
        beacon_jwks_url="http://127.0.0.1:9/jwks.json",
        public_origin=ORIGIN,
        attendance_grpc=peers[0].address,
        identity_grpc=peers[1].address,
        academics_grpc=academics_address,
        hand_over_first_pause_s=0.01,
        hand_over_longest_pause_s=0.05,
        shard_count=SHARDS,
        require_durable_database=False,
    )


@pytest.fixture
async def service(settings, database, now, peers):
    people = People(now)
    async with build(settings, now=now) as parts, asyncpg.create_pool(database.admin_url, min_size=0) as pool:
        doorkeeper = dataclasses.replace(parts.doorkeeper, people=people.verifier)
        async with (
            TestServer(build_app(parts.routes, doorkeeper)) as server,
            aiohttp.ClientSession() as session,
        ):
            doors = Doors(session, str(server.make_url("")).rstrip("/"))
            made = Service(doors, people=people, now=now, pool=pool, peers=peers, parts=parts)
            made.box = SecretBox.from_file(settings.key_file)
            yield made
