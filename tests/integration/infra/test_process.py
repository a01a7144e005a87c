"""A service starts the parts it is told to, says when it is ready, and lets work end before it does."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientError, ClientSession
from grpc_health.v1 import health_pb2, health_pb2_grpc

from contracts.problems import UnavailableError
from infra import process as infra_process
from infra.grpc_client import connect
from infra.local.ports import free_port
from infra.openapi import describe
from infra.process import Parts, ServiceProcess, running
from infra.settings import ServiceSettings, environment
from tests.integration.infra.calls import identity_of
from tests.integration.infra.doors import Door, doorkeeper
from tests.waiting import until


@pytest.fixture
def variables(tmp_path):
    """What a service of any name needs, by field."""
    identity = identity_of(tmp_path / "tls", "academics")
    return {
        "database_url": "postgresql://127.0.0.1:9/none",
        "redis_url": "redis://127.0.0.1:9",
        "tls_ca_file": str(identity.ca_file),
        "tls_cert_file": str(identity.cert_file),
        "tls_key_file": str(identity.key_file),
        "key_file": str(tmp_path / "key"),
        "identity_jwks_url": "http://127.0.0.1:9",
        "beacon_jwks_url": "http://127.0.0.1:9",
        "public_origin": "http://127.0.0.1",
    }


@pytest.fixture
async def door():
    return Door()


@pytest.fixture
def start(variables, door):
    """`async with start(parts=…, loops=…, ready=…) as (ports, client)`: a running service."""

    @asynccontextmanager
    async def starting(*, closed=None, parts=None, limit=1024, **more):
        @asynccontextmanager
        async def build(_settings):
            yield Parts(routes=door.routes(), doorkeeper=doorkeeper(), **more)
            if closed is not None:
                closed.append("closed")

        async def migrate(_settings):
            raise AssertionError

        chosen = {} if parts is None else {"parts": frozenset(parts)}
        settings = ServiceSettings(**variables, **chosen, max_requests_in_flight_count=limit)
        made = ServiceProcess(name="academics", settings=ServiceSettings, build=build, migrate=migrate)
        async with AsyncExitStack() as leaving:
            ports = await leaving.enter_async_context(running(made, settings))
            url = f"http://127.0.0.1:{ports.get('http_port', 9)}"
            client = await leaving.enter_async_context(ClientSession(url))
            yield ports, client

    return starting


async def test_a_service_lives_and_is_ready_when_all_its_checks_hold(start):
    async def yes():
        return True

    async with start(ready={"database": yes}) as (_, client):
        health, ready = await client.get("/health"), await client.get("/ready")

        assert (health.status, await health.json()) == (200, {"status": "ok"})
        assert (ready.status, await ready.json()) == (200, {"database": True, "accepting": True})


async def test_a_service_is_not_ready_when_a_check_fails_or_never_ends(start, monkeypatch):
    monkeypatch.setattr(infra_process, "CHECK_TIMEOUT_S", 0.05)

    async def no():
        return False

    async def raises():
        raise UnavailableError("database_down")

    async def hangs():
        await asyncio.Event().wait()

    async with start(ready={"no": no, "raises": raises, "hangs": hangs}) as (_, client):
        ready = await client.get("/ready")

        assert ready.status == 503
        assert await ready.json() == {"no": False, "raises": False, "hangs": False, "accepting": True}


async def test_the_probes_answer_when_the_door_is_full(start, door):
    async with start(limit=1) as (_, client):
        waiting = asyncio.create_task(client.get("/slow"))
        await until(lambda: door.entered)

        assert (await client.get("/open")).status == 503
        assert [(await client.get(path)).status for path in ("/health", "/ready", "/metrics")] == [200] * 3

        door.goes_on.set()
        assert (await waiting).status == 200


async def test_what_every_process_needs_runs_whatever_its_parts(start):
    ran = []

    def loop(name):
        async def run(stop):
            ran.append(name)
            await stop.wait()

        return run

    async with start(parts={"grpc"}, loops={"jobs": [loop("jobs")]}, everywhere=[loop("everywhere")]):
        await until(lambda: ran)

    assert ran == ["everywhere"]


async def test_what_prometheus_reads_is_there(start):
    async with start() as (_, client):
        metrics = await client.get("/metrics")

        assert metrics.content_type == "text/plain"
        assert "python_info" in await metrics.text()


async def test_a_service_shows_its_document_and_its_page(start, door):
    async with start() as (_, client):
        document, page = await client.get("/openapi/academics.json"), await client.get("/docs/academics")

        assert await document.json() == describe("academics", door.routes())
        assert page.content_type == "text/html"
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "/rooms/{room_id}" in await page.text()


async def test_a_service_answers_its_peers(start, tmp_path):
    async with start() as (ports, _):
        assert await health_of(ports["grpc_port"], tmp_path) == health_pb2.HealthCheckResponse.SERVING


async def test_a_service_that_drains_tells_its_peers(start, tmp_path):
    async with AsyncExitStack() as leaving:
        ports, _ = await leaving.enter_async_context(start())
        identity = identity_of(tmp_path, "beacon")
        async with connect(f"127.0.0.1:{ports['grpc_port']}", callee="academics", identity=identity) as channel:
            watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=10)
            seen = [(await watching.read()).status]
            ended = asyncio.create_task(leaving.aclose())
            seen.append((await watching.read()).status)
            watching.cancel()
        await ended

    assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]


@pytest.mark.parametrize(
    ("parts", "opened", "looped"),
    [(["http"], ["http_port"], []), (["grpc"], ["grpc_port"], []), (["jobs", "relay"], [], ["jobs", "relay"])],
)
async def test_only_the_parts_that_are_named_run(parts, opened, looped, start):
    begun = []

    def loop(name):
        async def work(stopping):
            begun.append(name)
            await stopping.wait()

        return work

    names = ("consumers", "jobs", "relay")
    async with start(parts=parts, loops={name: [loop(name)] for name in names}) as (ports, _):
        assert sorted(ports) == opened
        await until(lambda: sorted(begun) == looped)


async def test_background_work_that_fails_or_ends_is_started_again_after_a_pause(start, monkeypatch):
    monkeypatch.setattr(infra_process, "RESTART_PAUSE_S", 0.02)
    begun = []

    async def fails(_stopping):
        begun.append("fails")
        raise ZeroDivisionError

    async def ends(_stopping):
        begun.append("ends")

    async with start(parts=["jobs"], loops={"jobs": [fails, ends]}):
        await until(lambda: begun.count("fails") >= 3 and begun.count("ends") >= 3)

    assert len(begun) < 200


async def test_background_work_ends_by_itself_before_everything_is_closed(start):
    order = []

    async def work(stopping):
        await stopping.wait()
        await asyncio.sleep(0.05)
        order.append("work ended")

    async with start(parts=["jobs"], loops={"jobs": [work]}, closed=order):
        pass

    assert order == ["work ended", "closed"]


async def test_background_work_that_does_not_end_is_cancelled(start, monkeypatch):
    monkeypatch.setattr(infra_process, "DRAIN_S", 0.05)
    order = []

    async def work(_stopping):
        try:
            await asyncio.Event().wait()
        finally:
            order.append("cancelled")

    async with start(parts=["jobs"], loops={"jobs": [work]}, closed=order):
        await asyncio.sleep(0)

    assert order == ["cancelled", "closed"]


async def test_a_request_that_was_begun_is_finished(start, door):
    closed = []
    async with ClientSession() as client:
        async with start(closed=closed) as (ports, _):
            url = f"http://127.0.0.1:{ports['http_port']}"
            begun = asyncio.create_task(client.get(f"{url}/slow"))
            await until(lambda: door.entered)
            asyncio.get_running_loop().call_later(0.1, door.goes_on.set)

        assert (await begun).status == 200
        assert closed == ["closed"]
        with pytest.raises(ClientError):
            await client.get(f"{url}/open")


async def test_a_service_that_cannot_bind_closes_what_it_opened(start, variables):
    closed, variables["http_port"] = [], free_port()
    async with start(closed=closed):
        with pytest.raises(OSError, match=r".*"):
            async with start():
                raise AssertionError

    assert closed == ["closed"]


# As a process of its own


def named(variables):
    return environment() | {f"TINY_{name.upper()}": value for name, value in variables.items()}


async def tiny(command, env):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.infra.tiny_service", command,
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_when_its_work_is_done(number, variables):
    port = free_port()
    child = await tiny("run", named(variables | {"http_port": str(port)}))
    async with ClientSession(f"http://127.0.0.1:{port}") as client:
        await until(lambda: answers(client), timeout_s=20)
        begun = asyncio.create_task(client.get("/sleep"))
        assert await child.stdout.readline() == b"begun\n"

        child.send_signal(number)

        assert await (await begun).json() == {"done": True}
    output, told = await child.communicate()
    assert child.returncode == 0
    assert output.decode().splitlines() == ["the loop has ended", "everything is closed"]
    assert '"route": "/sleep"' in told.decode()


async def test_settings_that_are_missing_or_wrong_are_all_named_and_their_values_never(variables):
    del variables["database_url"]
    env = named(variables | {"http_port": "secret", "parts": "http,secret", "key_file": ""})
    child = await tiny("run", env)

    output, complaint = await child.communicate()

    assert (child.returncode, output) == (2, b"")
    lines = complaint.decode().splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "TINY_PARTS", "TINY_HTTP_PORT", "TINY_DATABASE_URL", "TINY_KEY_FILE",
    ]  # fmt: skip
    assert "secret" not in complaint.decode()


async def test_the_document_is_printed_without_any_server(variables):
    child = await tiny("openapi", named(variables))

    output, _ = await child.communicate()

    assert child.returncode == 0
    assert b'"title": "Rollcall: tiny"' in output


async def answers(client):
    try:
        return (await client.get("/health")).status == 200
    except ClientError:
        return False


async def health_of(port, folder):
    async with connect(f"127.0.0.1:{port}", callee="academics", identity=identity_of(folder, "beacon")) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return (await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)).status
