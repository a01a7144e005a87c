"""attendance_svc as it is started: migrated, wired, ready, and its events reach the stream."""

import base64
import secrets
from datetime import timedelta
from uuid import uuid4

import aiohttp
import asyncpg
import grpc.aio
import pytest
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from attendance_svc.__main__ import process
from attendance_svc.settings import Settings
from attendance_svc.wiring import migrate
from contracts.ids import new_id
from contracts.rpc.attendance.api.v1 import attendance_pb2 as pb
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as rpc
from infra import certs
from infra.clock import utc_now
from infra.grpc_client import connect
from infra.grpc_server import Identity
from infra.private_files import write_private
from infra.process import running
from infra.signing_keys import public_jwk
from streams.names import shard_of, stream_key
from tests.waiting import until

NOBODY = "127.0.0.1:9"


@pytest.fixture(scope="module")
def certificates(folder):
    certs.renew(folder / "attendance-certs")
    return folder / "attendance-certs"


@pytest.fixture
async def jwks_url():
    """Where identity's public key is served."""
    key = ec.generate_private_key(ec.SECP256R1())

    async def document(_request):
        return web.json_response({"keys": [public_jwk(key.public_key())]})

    app = web.Application()
    app.router.add_get("/jwks.json", document)
    async with TestServer(app) as server:
        yield str(server.make_url("/jwks.json"))


@pytest.fixture
async def settings(databases, redis_url, certificates, jwks_url, tmp_path):
    urls = await databases("attendance")
    write_private(tmp_path / "key", base64.b64encode(secrets.token_bytes(32)).decode())
    return Settings(
        database_url=urls.app_url,
        migrate_database_url=urls.migrate_url,
        redis_url=redis_url,
        tls_ca_file=certificates / "ca.pem",
        tls_cert_file=certificates / "attendance.pem",
        tls_key_file=certificates / "attendance-key.pem",
        key_file=tmp_path / "key",
        identity_jwks_url=jwks_url,
        beacon_jwks_url="http://127.0.0.1:9/jwks.json",
        public_origin="https://api.school.example",
        academics_grpc=NOBODY,
        identity_grpc=NOBODY,
        beacon_grpc=NOBODY,
        require_durable_database=False,
    )


@pytest.fixture
def stub_of(certificates):
    """Open a channel to attendance with the certificate of another service."""

    def open_channel(holder, port):
        identity = Identity(
            ca_file=certificates / "ca.pem",
            cert_file=certificates / f"{holder}.pem",
            key_file=certificates / f"{holder}-key.pem",
        )
        return connect(f"127.0.0.1:{port}", callee="attendance", identity=identity)

    return open_channel


async def test_it_is_ready_once_it_is_migrated_whoever_else_is_away(settings):
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


async def test_a_proof_handed_in_while_everybody_is_away_is_kept_and_told_on_the_stream(settings, stub_of):
    await migrate(settings)
    school_id = new_id()
    request = pb.CreateSignatureAttemptRequest(
        course_id=str(new_id()),
        student_id=str(uuid4()),
        method=pb.SIGNATURE_METHOD_FLASHLIGHT,
        beacon_proof=pb.BeaconProof(beacon_id=str(new_id()), proof_payload=b"x", proof_time=utc_now()),
        idempotency_key=str(uuid4()),
        acting_school_id=str(school_id),
    )
    async with running(process, settings) as ports:
        async with stub_of("beacon", ports["grpc_port"]) as channel:
            stub = rpc.AttendanceCommandServiceStub(channel)
            first, again = [await stub.CreateSignatureAttempt(request, timeout=3) for _ in range(2)]
        assert first == again
        assert (first.status, first.reason) == (pb.SIGNATURE_STATUS_PENDING, "awaiting_validation")

        async with redis.asyncio.Redis.from_url(settings.redis_url.get_secret_value()) as client:
            key = stream_key("attendance", shard_of(school_id, 4))
            entries = await until(lambda: client.xrange(key))
        assert [fields[b"type"].decode() for _, fields in entries] == ["attendance.signature.pending.v1"]


async def test_expired_nonces_are_swept_although_their_phones_do_not_come_again(settings):
    await migrate(settings)
    async with asyncpg.create_pool(settings.database_url.get_secret_value()) as pool:
        for ends_in in (timedelta(minutes=-1), timedelta(minutes=1)):
            await pool.execute("INSERT INTO seen_nonce VALUES ($1, $2, $3)", uuid4(), bytes(16), utc_now() + ends_in)

        async with running(process, settings):
            await until(lambda: pool.fetchval("SELECT count(*) = 1 FROM seen_nonce"))

        assert await pool.fetchval("SELECT expires_at > now() FROM seen_nonce")


async def test_only_beacon_hands_in_proofs(settings, stub_of):
    await migrate(settings)
    async with running(process, settings) as ports:
        for holder in ("academics", "identity"):
            async with stub_of(holder, ports["grpc_port"]) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await rpc.AttendanceCommandServiceStub(channel).CreateSignatureAttempt(
                        pb.CreateSignatureAttemptRequest(), timeout=2
                    )
            assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
