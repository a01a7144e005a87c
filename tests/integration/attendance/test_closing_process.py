"""Both services as they are started: signing that is over closes by itself, and the sheet is on the stream."""

import base64
import json
import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import aiohttp
import pytest
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from academics_svc import settings as academics_settings
from academics_svc import wiring as academics_wiring
from academics_svc.__main__ import process as academics
from attendance_svc import settings as attendance_settings
from attendance_svc import wiring as attendance_wiring
from attendance_svc.__main__ import process as attendance
from infra import certs
from infra.clock import utc_now
from infra.private_files import write_private
from infra.process import running
from infra.signing_keys import public_jwk
from infra.tokens import USER_TOKEN, TokenSigner
from streams.names import shard_of, stream_key
from tests.waiting import until

NOBODY = "127.0.0.1:9"
MINUTE = timedelta(minutes=1)


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
def settings_of(databases, redis_url, folder, jwks_url, tmp_path):
    """Makes what a service is started with."""
    certs.renew(folder / "closing-certs")
    write_private(tmp_path / "key", base64.b64encode(secrets.token_bytes(32)).decode())

    async def make(name, model, **peers):
        urls = await databases(name)
        return model(
            database_url=urls.app_url,
            migrate_database_url=urls.migrate_url,
            redis_url=redis_url,
            tls_ca_file=folder / "closing-certs" / "ca.pem",
            tls_cert_file=folder / "closing-certs" / f"{name}.pem",
            tls_key_file=folder / "closing-certs" / f"{name}-key.pem",
            key_file=tmp_path / "key",
            identity_jwks_url=jwks_url,
            beacon_jwks_url="http://127.0.0.1:9/jwks.json",
            public_origin="https://api.school.example",
            identity_grpc=NOBODY,
            beacon_grpc=NOBODY,
            require_durable_database=False,
            **peers,
        )

    return make


def a_developers(key):
    signer = TokenSigner(USER_TOKEN, key=key, kid=public_jwk(key.public_key())["kid"])
    claims = {"user_type": "dev", "sid": str(uuid4())}
    return {"Authorization": "Bearer " + signer.sign(uuid4(), now=utc_now(), ttl=timedelta(seconds=300), claims=claims)}


async def post(session, url, **body):
    async with session.post(url, json=body) as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json()


async def events(redis_url, source, school_id):
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        entries = await client.xrange(stream_key(source, shard_of(school_id, 4)))
    return {fields[b"type"].decode(): json.loads(fields[b"data"]) for _, fields in entries}


async def test_signing_that_is_over_closes_by_itself_and_the_sheet_is_published(settings_of, key, redis_url):
    source = await settings_of("academics", academics_settings.Settings)
    await academics_wiring.migrate(source)
    async with running(academics, source) as ports, aiohttp.ClientSession(headers=a_developers(key)) as session:
        peer = f"127.0.0.1:{ports['grpc_port']}"
        settings = await settings_of("attendance", attendance_settings.Settings, academics_grpc=peer)
        await attendance_wiring.migrate(settings)
        async with running(attendance, settings):
            url, start_at = f"http://127.0.0.1:{ports['http_port']}", utc_now() - 30 * MINUTE
            school_id = (await post(session, f"{url}/schools", name="Lycée"))["id"]
            times = {"start_at": start_at.isoformat(), "end_at": (start_at + 60 * MINUTE).isoformat()}
            times = {name: text.replace("+00:00", "Z") for name, text in times.items()}
            course = await post(session, f"{url}/courses", school_id=school_id, name="Algebra", **times)

            async def sheet():
                return (await events(redis_url, "attendance", UUID(school_id))).get("attendance.sheet.closed.v1")

            published = await until(sheet, 20)

    closed = (await events(redis_url, "academics", UUID(school_id)))["academics.course.signature_closed.v1"]
    assert (closed["course_id"], closed["closed_by"]) == (course["id"], "job")
    assert closed["signature_closed_at"] == (start_at + 15 * MINUTE).isoformat().replace("+00:00", "Z")
    assert (published["course_id"], published["expected"]) == (course["id"], 0)
