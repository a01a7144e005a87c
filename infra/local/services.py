"""The four services as child processes of one stack."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp

from infra.envoy.routes import SERVICES, Service
from infra.local.children import Child, LocalStackError, Program, spawn
from infra.local.stack import Stack

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_S = 30.0
# Longer than a service takes to drain.
STOP_TIMEOUT_S = 20.0
POLL_S = 0.05


@dataclass(slots=True, kw_only=True)
class Services:
    """Starts, kills and stops services: `async with Services(stack=stack) as services` runs all, migrated and ready.

    names: which ones. root: the folder that holds their packages. Call from the main thread.
    Raises: LocalStackError with the end of the log of the service at fault.
    """

    stack: Stack
    names: Sequence[Service] = SERVICES
    root: Path = ROOT
    children: dict[Service, Child] = field(default_factory=dict, init=False)

    async def __aenter__(self) -> "Services":
        try:
            await self.migrate()
            for name in self.names:
                self.start(name)
            await self.wait_until_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def migrate(self) -> None:
        """Bring the databases to their newest schema, each by its service's own command."""
        running = [self._spawn(name, "migrate") for name in self.names]
        codes = await asyncio.gather(*(asyncio.to_thread(child.process.wait) for child in running))
        for child, code in zip(running, codes, strict=True):
            if code:
                raise LocalStackError(child.failure())

    def start(self, name: Service) -> None:
        """Start a service that does not run; it is not waited for."""
        self.children[name] = self._spawn(name, "run")

    def kill(self, name: Service, number: signal.Signals = signal.SIGKILL) -> None:
        """End a service by a signal, as a fault would; its ports stay the same when it is started again."""
        self.children[name].kill(number)

    async def wait_until_ready(self, *names: Service, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until the services say that they can serve; without names, all that were started."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            await asyncio.gather(*(self._wait(session, name, timeout_s) for name in names or self.children))

    async def stop(self) -> None:
        """Let every service drain and end. Safe to repeat."""
        stops = (asyncio.to_thread(child.stop, timeout_s=STOP_TIMEOUT_S) for child in self.children.values())
        await asyncio.gather(*stops)

    def _spawn(self, name: Service, command: str) -> Child:
        return spawn(
            Program(
                name=f"{name}_svc {command}",
                command=[sys.executable, "-m", f"{name}_svc", command],
                log=self.stack.log_file(name),
                environment={**self.stack.given, **self.stack.variables(name)},
                working_folder=self.root,
                keep_open=self.stack.keep_open,
            )
        )

    async def _wait(self, session: aiohttp.ClientSession, name: Service, timeout_s: float) -> None:
        child, deadline = self.children[name], time.monotonic() + timeout_s
        while not await _is_ready(session, f"{self.stack.place.http_url(name)}/ready"):
            if not child.is_running() or time.monotonic() > deadline:
                raise LocalStackError(child.failure())
            await asyncio.sleep(POLL_S)


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False
