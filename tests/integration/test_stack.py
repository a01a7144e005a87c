"""The whole local stack: starts, stops, comes back with its data, and leaves no process behind."""

import asyncio
import os
import pathlib
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager

import aiohttp
import asyncpg
import psutil
import pytest
import redis.asyncio

from infra.envoy.routes import SERVICES
from infra.local.children import LocalStackError
from infra.local.services import Services
from infra.local.stack import Stack
from infra.settings import ServiceSettings, load
from tests.waiting import until

ROOT = pathlib.Path(__file__).parents[2]
# A service that migrates by leaving a file, and is ready when it answers.
A_SERVICE = """
import http.server, os, pathlib, sys
if sys.argv[1] == "migrate":
    sys.exit(pathlib.Path("migrated").write_text(os.environ["{0}_MIGRATE_DATABASE_URL"]) == 0)
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["{0}_HTTP_PORT"])), Door).serve_forever()
"""
A_PARENT = """
import asyncio, pathlib, sys
from infra.local.stack import Stack
async def main():
    async with Stack(folder=pathlib.Path(sys.argv[1])) as stack:
        print(stack.postgres.child.pid, stack.valkey.child.pid, stack.envoy.child.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def ask(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def key_of(variables):
    return pathlib.Path(variables["ACADEMICS_KEY_FILE"]).read_text()


@contextmanager
def a_running_parent(folder):
    """A process that runs a stack in `folder`, and the numbers of its servers."""
    command = [sys.executable, "-c", A_PARENT, folder]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        try:
            yield parent, [int(number) for number in parent.stdout.readline().split()]
        finally:
            parent.kill()


@pytest.mark.slow
async def test_data_passwords_and_keys_survive_a_restart(tmp_path):
    async with Stack(folder=tmp_path) as stack:
        first = stack.variables("academics")
        await ask(first["ACADEMICS_MIGRATE_DATABASE_URL"], "CREATE TABLE thing AS SELECT 7 AS number")
        key = key_of(first)

    async with Stack(folder=tmp_path, with_edge=False) as stack:
        again = stack.variables("academics")

        assert await ask(again["ACADEMICS_DATABASE_URL"], "SELECT number FROM thing") == 7
        assert await ask(again["ACADEMICS_DATABASE_URL"], "SHOW fsync") == "on"
        assert key_of(again) == key
    assert not stack.postgres.child.is_running()
    assert not stack.valkey.child.is_running()


@pytest.mark.slow
async def test_one_folder_serves_one_stack_at_a_time(tmp_path):
    async with Stack(folder=tmp_path, with_edge=False):
        with pytest.raises(LocalStackError, match=f"is in use by process {os.getpid()}"):
            await Stack(folder=tmp_path).__aenter__()


@pytest.mark.slow
async def test_nothing_outlives_a_killed_parent_and_the_folder_is_free_again(tmp_path):
    with a_running_parent(tmp_path) as (parent, numbers):
        family = [psutil.Process(number) for number in numbers]
        family += [child for process in family for child in process.children(recursive=True)]
        parent.send_signal(signal.SIGKILL)
        await asyncio.to_thread(parent.wait)

        async with Stack(folder=tmp_path, with_edge=False) as stack:
            assert not any(process.is_running() and process.status() != "zombie" for process in family)
            assert await ask(stack.variables("beacon")["BEACON_DATABASE_URL"], "SELECT 1") == 1
    assert len(family) > 6


@pytest.mark.slow
async def test_a_killed_server_starts_again_on_its_port(tmp_path):
    async with Stack(folder=tmp_path, with_edge=False) as stack:
        url = stack.variables("identity")["IDENTITY_DATABASE_URL"]
        for server in (stack.postgres, stack.valkey):
            server.child.kill()
            server.start()

        assert await ask(url, "SELECT 1") == 1
        async with redis.asyncio.Redis.from_url(stack.variables("identity")["IDENTITY_REDIS_URL"]) as client:
            assert await client.ping()


@pytest.mark.slow
async def test_what_the_user_has_set_wins(tmp_path, postgres, valkey):
    given = {f"{name}_DATABASE_URL": postgres.admin_url for name in ("IDENTITY", "ACADEMICS", "ATTENDANCE", "BEACON")}
    given |= {f"{name}_REDIS_URL": valkey.url() for name in ("IDENTITY", "ACADEMICS", "ATTENDANCE", "BEACON")}
    given |= {"BEACON_HTTP_PORT": "12345", "BEACON_LOG_LEVEL": "debug", "PATH": "/bin"}

    async with Stack(folder=tmp_path, given=given) as stack:
        found = stack.variables("beacon")

        assert stack.postgres is stack.valkey is None
        assert {name: value for name, value in given.items() if name.startswith("BEACON_")}.items() <= found.items()
        assert all(name.startswith("BEACON_") for name in found)
        assert "BEACON_MIGRATE_DATABASE_URL" not in found
        assert stack.variables("identity")["IDENTITY_BEACON_JWKS_URL"] == "http://127.0.0.1:12345/beacon/jwks.json"


@pytest.mark.slow
async def test_secrets_are_read_by_their_owner_alone(tmp_path):
    async with Stack(folder=tmp_path):
        secret = [*tmp_path.glob("keys/*"), *tmp_path.glob("**/passwords/*"), *tmp_path.glob("certificates/*-key.pem")]
        secret += [tmp_path / "postgres/password", tmp_path / "valkey/users.acl"]

        assert {stat.S_IMODE(file.stat().st_mode) for file in secret} == {0o600}
        assert len(secret) > 20
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


@pytest.mark.slow
async def test_every_service_finds_all_its_settings(tmp_path):
    async with Stack(folder=tmp_path) as stack:
        for service in SERVICES:
            settings = load(ServiceSettings, f"{service.upper()}_", stack.variables(service))

            assert settings.public_origin == stack.place.origin
            assert settings.academics_grpc == f"127.0.0.1:{stack.place.doors['academics'].grpc}"
            assert settings.tls_cert_file.is_file()
            assert settings.migrate_database_url is not None


@pytest.mark.slow
async def test_services_are_migrated_started_killed_and_started_again(tmp_path):
    for name in ("identity", "beacon"):
        (tmp_path / f"{name}_svc").mkdir()
        (tmp_path / f"{name}_svc/__main__.py").write_text(A_SERVICE.format(name.upper()))

    async with Stack(folder=tmp_path / "stack") as stack:
        async with Services(stack=stack, names=["identity", "beacon"], root=tmp_path) as services:
            before = services.children["identity"].pid
            services.kill("identity")
            services.start("identity")
            await services.wait_until_ready("identity")

            async with aiohttp.ClientSession() as session, session.get(f"{stack.place.origin}/docs/identity") as answer:
                assert await answer.text() == str(services.children["identity"].pid) != str(before)
        assert not any(child.is_running() for child in services.children.values())
        assert (tmp_path / "migrated").read_text().startswith("postgresql://")


@pytest.mark.slow
async def test_a_service_that_cannot_start_is_reported_with_the_end_of_its_log(tmp_path):
    (tmp_path / "identity_svc").mkdir()
    (tmp_path / "identity_svc/__main__.py").write_text("import sys; sys.exit(sys.argv[1] == 'run' and 'no luck')")

    async with Stack(folder=tmp_path / "stack", with_edge=False) as stack:
        with pytest.raises(LocalStackError, match=r"identity_svc run ended.*\n.*no luck"):
            async with Services(stack=stack, names=["identity"], root=tmp_path):
                pass


async def test_a_renewed_certificate_task_ends_with_the_stack(tmp_path):
    async with Stack(folder=tmp_path, with_edge=False):
        assert len(asyncio.all_tasks()) > 1
    assert len(asyncio.all_tasks()) == 1


async def test_until_gives_up_at_its_deadline():
    with pytest.raises(TimeoutError):
        await until(lambda: False, timeout_s=0.02)
