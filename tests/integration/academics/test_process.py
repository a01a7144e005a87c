"""academics_svc as it is started: migrated, wired, ready, and its events reach the stream."""

import base64
import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import aiohttp
import grpc.aio
import pytest
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from academics_svc.__main__ import process
from academics_svc.settings import Settings
from academics_svc.wiring import migrate
from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as rpc
from contracts.rpc.streams.api.v1 import streams_pb2, streams_pb2_grpc
from infra import certs
from infra.clock import utc_now
from infra.grpc_client import connect
from infra.grpc_server import Identity
from infra.private_files import write_private
from infra.process import running
from infra.signing_keys import public_jwk
from infra.tokens import USER_TOKEN, TokenSigner
from streams.names import shard_of, stream_key
from tests.waiting import until

NOBODY = "127.0.0.1:9"


@pytest.fixture(scope="module")
def certificates(folder):
    certs.renew(folder / "academics-certs")
    return folder / "academics-certs"


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def jwks_url(key):
    """Where identity's public key is served."""

    async def document(_request):
        return web.json_response({"keys": [public_jwk(key.public_key())]})

    app = web.Application()
    app.router.add_get("/jwks.json", document)
    async with TestServer(app) as server:
        yield str(server.make_url("/jwks.json"))


@pytest.fixture
async def settings(databases, redis_url, certificates, jwks_url, tmp_path):
    urls = await databases("academics")
    write_private(tmp_path / "key", base64.b64encode(secrets.token_bytes(32)).decode())
    return Settings(
        database_url=urls.app_url,
        migrate_database_url=urls.migrate_url,
        redis_url=redis_url,
        tls_ca_file=certificates / "ca.pem",
        tls_cert_file=certificates / "academics.pem",
        tls_key_file=certificates / "academics-key.pem",
        key_file=tmp_path / "key",
        identity_jwks_url=jwks_url,
        beacon_jwks_url="http://127.0.0.1:9/jwks.json",
        public_origin="https://api.school.example",
        identity_grpc=NOBODY,
        beacon_grpc=NOBODY,
        require_durable_database=False,
    )


@pytest.fixture
def connect_as(certificates):
    """Open a channel to academics with the certificate of another service."""

    def open_channel(holder, port):
        identity = Identity(
            ca_file=certificates / "ca.pem",
            cert_file=certificates / f"{holder}.pem",
            key_file=certificates / f"{holder}-key.pem",
        )
        return connect(f"127.0.0.1:{port}", callee="academics", identity=identity)

    return open_channel


def developer(key):
    signer = TokenSigner(USER_TOKEN, key=key, kid=public_jwk(key.public_key())["kid"])
    claims = {"user_type": "dev", "sid": str(uuid4())}
    return {"Authorization": "Bearer " + signer.sign(uuid4(), now=utc_now(), ttl=timedelta(seconds=300), claims=claims)}


async def test_it_is_ready_once_it_is_migrated(settings):
    async with running(process, settings) as ports, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{ports['http_port']}/ready"
        async with session.get(url) as before:
            assert (before.status, (await before.json())["database"]) == (503, False)
        for _ in range(2):
            await migrate(settings)
        async with session.get(url) as after:
            assert (after.status, await after.json()) == (
                200,
                {"database": True, "token_keys": True, "accepting": True},
            )


async def test_a_school_made_over_rest_is_asked_for_over_grpc_and_told_on_the_stream(settings, key, connect_as):
    await migrate(settings)
    async with running(process, settings) as ports, aiohttp.ClientSession(headers=developer(key)) as session:
        url = f"http://127.0.0.1:{ports['http_port']}/schools"
        async with session.post(url, json={"name": "Lycée"}) as made:
            assert made.status == 201
            school_id = UUID((await made.json())["id"])

        async with connect_as("attendance", ports["grpc_port"]) as channel:
            request = pb.GetSchoolPreferencesRequest(school_id=str(school_id))
            answer = await rpc.AcademicsQueryServiceStub(channel).GetSchoolPreferences(request, timeout=2)
            head = await streams_pb2_grpc.EventLogServiceStub(channel).Head(
                streams_pb2.HeadRequest(shard=shard_of(school_id, 4)), timeout=2
            )
        assert answer.preferences.default_signature_closing_delay_minutes == 15
        assert head.head is not None
        async with redis.asyncio.Redis.from_url(settings.redis_url.get_secret_value()) as client:
            entries = await until(lambda: client.xrange(stream_key("academics", shard_of(school_id, 4))))
        assert [fields[b"type"].decode() for _, fields in entries] == [
            "academics.school.created.v1",
            "academics.preferences.updated.v1",
        ]


async def test_only_attendance_closes_courses(settings, connect_as):
    await migrate(settings)
    async with running(process, settings) as ports:
        for holder, code in (("attendance", None), ("beacon", grpc.StatusCode.PERMISSION_DENIED)):
            async with connect_as(holder, ports["grpc_port"]) as channel:
                close = rpc.AcademicsCommandServiceStub(channel).CloseExpiredCourses
                if code is None:
                    assert (await close(pb.CloseExpiredCoursesRequest(), timeout=2)).closed_count == 0
                else:
                    with pytest.raises(grpc.aio.AioRpcError) as refused:
                        await close(pb.CloseExpiredCoursesRequest(), timeout=2)
                    assert refused.value.code() == code
