"""identity_svc as it is deployed, and processes of the other services that hear it: PostgreSQL, Valkey, mutual TLS."""

import asyncio
import base64
import importlib
import secrets
import time
from contextlib import asynccontextmanager

import aiohttp
import asyncpg
import pytest

from contracts.problems import ProblemError
from identity_svc.__main__ import process
from identity_svc.settings import Settings
from identity_svc.wiring import migrate
from infra import certs
from infra.clock import utc_now
from infra.local.ports import free_port
from infra.local.valkey import LocalValkey
from infra.postgres import create_pool
from infra.private_files import write_private
from infra.process import running
from tests.integration.identity.conftest import World
from tests.waiting import until

NOBODY = "127.0.0.1:9"
NO_DATABASE = "postgresql://x:x@127.0.0.1:9/x"
BOUND_S = 5.0


@pytest.fixture(scope="module")
def certificates(folder):
    certs.renew(folder / "revocations-certs")
    return folder / "revocations-certs"


@pytest.fixture
def cache(tmp_path):
    """A Valkey of this test alone, which may end it."""
    server = LocalValkey(folder=tmp_path / "valkey", log=tmp_path / "valkey.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def shared(certificates, cache, tmp_path):
    """The settings of a service, with nobody to call but identity, at ports that stay the same when it comes back."""
    write_private(tmp_path / "key", base64.b64encode(secrets.token_bytes(32)).decode())
    http_port, grpc_port = free_port(), free_port()

    def of(service):
        return {
            "redis_url": cache.url(service),
            "tls_ca_file": certificates / "ca.pem",
            "tls_cert_file": certificates / f"{service}.pem",
            "tls_key_file": certificates / f"{service}-key.pem",
            "key_file": tmp_path / "key",
            "identity_jwks_url": f"http://127.0.0.1:{http_port}/.well-known/jwks.json",
            "beacon_jwks_url": f"http://{NOBODY}/",
            "public_origin": "https://rollcall.example",
            "identity_grpc": f"127.0.0.1:{grpc_port}",
            "academics_grpc": NOBODY,
            "attendance_grpc": NOBODY,
            "beacon_grpc": NOBODY,
            "require_durable_database": False,
        }

    of.ports = {"http_port": http_port, "grpc_port": grpc_port}
    return of


@pytest.fixture
async def identity_database(databases):
    return await databases("identity")


@pytest.fixture
async def identity_settings(identity_database, shared):
    urls = {"database_url": identity_database.app_url, "migrate_database_url": identity_database.migrate_url}
    cheap = {"argon2_memory_kib": 8, "argon2_iterations": 1}
    made = Settings(**shared("identity"), **shared.ports, **urls, **cheap)
    await migrate(made)
    return made


@pytest.fixture
async def world(identity_settings):
    """What plays people before identity's doors; `serving` opens them."""
    url = identity_settings.database_url.get_secret_value()
    database = await asyncpg.connect(url)
    async with create_pool(url, name="test") as pool:
        made = World(settings=identity_settings, pool=pool, database=database)
        made.now = utc_now()
        yield made
    await database.close()


@pytest.fixture
def serving(world, identity_settings):
    """`async with serving():` identity_svc runs."""

    @asynccontextmanager
    async def serve(**changes):
        settings = identity_settings.model_copy(update=changes)
        async with (
            running(process, settings),
            aiohttp.ClientSession(f"http://127.0.0.1:{settings.http_port}") as client,
        ):
            world.client = client
            yield

    return serve


@pytest.fixture
def settings_of(shared):
    """The settings of a service whose database nobody needs here."""

    def make(service):
        module = importlib.import_module(f"{service}_svc.settings")
        return module.Settings(**shared(service), database_url=NO_DATABASE)

    return make


@pytest.fixture
def listening(settings_of):
    """`async with listening("academics") as verifier:` what a process of that service does beside its parts, done."""

    @asynccontextmanager
    async def listen(service):
        module = importlib.import_module(f"{service}_svc.wiring")
        async with module.build(settings_of(service)) as parts:
            stop = asyncio.Event()
            tasks = [asyncio.create_task(loop(stop)) for loop in parts.everywhere]
            try:
                yield parts.doorkeeper.people
            finally:
                stop.set()
                await asyncio.wait_for(asyncio.gather(*tasks), 5)

    return listen


async def verdict(verifier, token):
    """Return "welcome", or why the token is refused."""
    try:
        await verifier.verify(token)
    except ProblemError as problem:
        return problem.code
    return "welcome"


async def is_void(verifier, token, within_s=BOUND_S):
    """Wait until the token is void; return how long that took. Raises: TimeoutError."""
    started = time.monotonic()

    async def refused():
        return await verdict(verifier, token) == "token_revoked"

    await until(refused, within_s)
    return time.monotonic() - started


async def disable(world, admin_token, person):
    """Shut an account, as an administrator does."""
    [version] = await world.database.fetchrow("SELECT version FROM app_user WHERE id = $1", person.id)
    headers = {"If-Match": f'"{version}"'}
    status, answer = await world.call("PATCH", f"/users/{person.id}", admin_token, {"disabled": True}, headers=headers)
    assert status == 200, answer
