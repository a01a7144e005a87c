"""A service as a process: load settings, start the parts, run until SIGTERM, drain."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import typer
import uvloop
from aiohttp import web
from pydantic import ValidationError

from contracts.problems import ProblemError
from infra.grpc_server import NOT_SERVING, SERVING, Identity, Register, build_server, start_server
from infra.http_events import StreamLimits
from infra.http_routes import AnyRoute
from infra.http_server import DRAIN_S, Doorkeeper, build_app, serve_app
from infra.openapi import describe, to_text
from infra.openapi_page import POLICY, render
from infra.settings import Part, ServiceSettings, load
from infra.telemetry import configure_logs, logger, metrics_page

S = TypeVar("S", bound=ServiceSettings)
Loop = Callable[[asyncio.Event], Awaitable[None]]
Check = Callable[[], Awaitable[bool]]

RESTART_PAUSE_S = 1.0
CHECK_TIMEOUT_S = 2.0

log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What `wiring.build` gives a process to run.

    routes, doorkeeper: the REST door. registers: adds the gRPC servicers. loops: background work by part; each runs
    until the event is set and is started again when it fails. everywhere: the same, whatever parts a process runs.
    ready: by name; all must hold before traffic comes.
    """

    routes: Sequence[AnyRoute]
    doorkeeper: Doorkeeper
    registers: Sequence[Register] = ()
    loops: Mapping[Part, Sequence[Loop]] = field(default_factory=dict)
    everywhere: Sequence[Loop] = ()
    ready: Mapping[str, Check] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ServiceProcess(Generic[S]):
    """A service: its name ("academics"), its settings and the function that wires it.

    migrate: brings the database to the newest schema and prepares what streams need.
    """

    name: str
    settings: type[S]
    build: Callable[[S], AbstractAsyncContextManager[Parts]]
    migrate: Callable[[S], Awaitable[None]]

    def load(self) -> S:
        """Return the settings from the environment, or end the process naming every fault."""
        try:
            return load(self.settings, f"{self.name.upper()}_")
        except ValidationError as error:
            for fault in error.errors(include_input=False, include_url=False):
                typer.echo(f"{self.name.upper()}_{fault['loc'][0]!s}".upper() + f": {fault['msg']}", err=True)
            raise typer.Exit(2) from error

    def app(self) -> typer.Typer:
        """Return the command line: `run`, `migrate`, `openapi`; a service may add its own commands."""
        cli = typer.Typer(
            name=f"{self.name}_svc", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
        )

        @cli.command()
        def run() -> None:
            """Serve until SIGTERM."""
            settings = self.load()
            configure_logs(self.name, settings.log_level)
            with contextlib.suppress(KeyboardInterrupt):
                uvloop.run(self._run(settings))

        @cli.command()
        def migrate() -> None:
            """Bring the database to the newest schema."""
            settings = self.load()
            configure_logs(self.name, settings.log_level)
            asyncio.run(self._migrate(settings))

        @cli.command()
        def openapi() -> None:
            """Print the OpenAPI document of the REST door; needs settings, but none of the servers they name."""
            typer.echo(asyncio.run(self._openapi(self.load())), nl=False)

        return cli

    async def _openapi(self, settings: S) -> str:
        async with self.build(settings) as parts:
            return to_text(describe(self.name, parts.routes))

    async def _migrate(self, settings: S) -> None:
        await self.migrate(settings)
        log.info("schema is up to date", action="migrate")

    async def _run(self, settings: S) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(self, settings) as addresses:
            spare_the_collector()
            log.info("serving", action="start", **addresses)
            await stop.wait()
            log.info("draining", action="stop")


def spare_the_collector() -> None:
    """Let the garbage collector pass over all that was made for the start, and come more seldom.

    Next to nothing of a request is a cycle. Looking through a hundred thousand objects of libraries took every twelfth
    microsecond of a proof, and made some wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@asynccontextmanager
async def running(process: ServiceProcess[S], settings: S) -> AsyncIterator[dict[str, int]]:
    """Run the parts of a service that `settings` name; yield the ports that were bound. Leaving drains and stops."""
    stopping = asyncio.Event()
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(process.build(settings))
        work = {part: loops for part, loops in parts.loops.items() if part in settings.parts}
        tasks = [
            asyncio.create_task(keep_running(part, loop, stopping))
            for part, loops in (*work.items(), ("everywhere", parts.everywhere))
            for loop in loops
        ]
        stack.push_async_callback(finish, tasks, stopping)
        ports: dict[str, int] = {}
        if "grpc" in settings.parts:
            ports["grpc_port"] = await stack.enter_async_context(_grpc(process.name, parts, settings))
        if "http" in settings.parts:
            ports["http_port"] = await stack.enter_async_context(_http(process.name, parts, settings, stopping))
        yield ports
        stopping.set()


@asynccontextmanager
async def _grpc(name: str, parts: Parts, settings: ServiceSettings) -> AsyncIterator[int]:
    server, status = build_server(parts.registers, service=name, max_calls=settings.max_requests_in_flight_count)
    identity = identity_of(settings)
    port = await start_server(server, identity, host=settings.host, port=settings.grpc_port)
    await status.set("", SERVING)
    try:
        yield port
    finally:
        await status.set("", NOT_SERVING)
        await server.stop(grace=DRAIN_S)


@asynccontextmanager
async def _http(name: str, parts: Parts, settings: ServiceSettings, stopping: asyncio.Event) -> AsyncIterator[int]:
    app = build_app(
        parts.routes,
        parts.doorkeeper,
        max_in_flight=settings.max_requests_in_flight_count,
        stream_limits=StreamLimits(most_count=settings.max_event_streams_count),
    )
    add_probes(app, parts.ready, stopping)
    add_documents(app, name, parts.routes)
    runner, port = await serve_app(app, host=settings.host, port=settings.http_port)
    try:
        yield port
    finally:
        await runner.cleanup()


def identity_of(settings: ServiceSettings) -> Identity:
    """Return the certificate files of `settings`."""
    return Identity(ca_file=settings.tls_ca_file, cert_file=settings.tls_cert_file, key_file=settings.tls_key_file)


def add_probes(app: web.Application, checks: Mapping[str, Check], stopping: asyncio.Event) -> None:
    """Add `/health` (the process lives), `/ready` (it can serve) and `/metrics`; none is routed by the edge."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        held = await asyncio.gather(*(holds(check) for check in checks.values()))
        results = dict(zip(checks, held, strict=True)) | {"accepting": not stopping.is_set()}
        return web.json_response(results, status=200 if all(results.values()) else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics_page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)


async def holds(check: Check) -> bool:
    """Return whether `check` says yes, and soon."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except (ProblemError, TimeoutError):
        return False


def add_documents(app: web.Application, name: str, routes: Sequence[AnyRoute]) -> None:
    """Add `/openapi/<name>.json`, and `/docs/<name>` for people; both are the same for as long as the process lives."""
    document = describe(name, routes)
    text, page = to_text(document), render(document)

    async def openapi(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    async def docs(_request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    app.router.add_get(f"/openapi/{name}.json", openapi)
    app.router.add_get(f"/docs/{name}", docs)


async def keep_running(part: str, loop: Loop, stopping: asyncio.Event) -> None:
    """Run `loop` until `stopping`; a failure is logged once; it starts again after a pause."""
    while not stopping.is_set():
        try:
            await loop(stopping)
        except Exception:
            log.exception("background work failed", action="restart", part=part)
        if not stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RESTART_PAUSE_S)


async def finish(tasks: Sequence[asyncio.Task[None]], stopping: asyncio.Event) -> None:
    """Let background work end by itself; cancel what has not ended in time."""
    stopping.set()
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
