"""The system as `./dev up` starts it, in a folder of its own, and what belongs to which of its programs."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from infra.envoy.routes import SERVICES
from infra.local.children import LocalStackError, Program, spawn
from infra.local.databases import with_database
from infra.local.services import Services
from infra.local.stack import LIMITS_TIMES, Stack
from infra.settings import environment
from tests.waiting import until

IS_QUIET = "SELECT NOT EXISTS (SELECT FROM streams_pending)"
WRITERS = ("beacon", "attendance")
DRAIN_TIMEOUT_S = 60.0
# So many times what the edge lets one caller ask for: the bench has few callers, each with the haste of a crowd.
TIMES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The running system. admins: a superuser's connection to each service's database."""

    stack: Stack
    services: Services
    admins: dict[str, asyncpg.Connection]

    @property
    def origin(self) -> str:
        """The address of the edge: what devices sign for."""
        return self.stack.place.origin

    @property
    def door(self) -> tuple[str, int]:
        return "127.0.0.1", self.stack.edge_port

    def programs(self) -> dict[str, list[int]]:
        """Return the processes of each program."""
        found = {name: [child.pid] for name, child in self.services.children.items()}
        servers = {"postgres": self.stack.postgres, "valkey": self.stack.valkey, "envoy": self.stack.envoy}
        return found | {name: [server.child.pid] for name, server in servers.items()}

    def pids(self) -> list[int]:
        return [pid for pids in self.programs().values() for pid in pids]

    async def join(self) -> None:
        """Replace beacon_svc and attendance_svc by one program that is both; what it uses counts as beacon_svc's."""
        children = self.services.children
        for name in WRITERS:
            await asyncio.to_thread(children[name].stop)
        variables = [self.stack.variables(name) for name in WRITERS]
        both = spawn(
            Program(
                name="one process",
                command=[sys.executable, "-m", "tests.bench.one_process"],
                log=self.stack.log_file("one_process"),
                environment={**self.stack.given, **variables[0], **variables[1]},
                working_folder=self.services.root,
                keep_open=self.stack.keep_open,
            )
        )
        children |= dict.fromkeys(WRITERS, both)
        await self.services.wait_until_ready(*WRITERS)
        del children["attendance"]

    async def drained(self) -> None:
        """Wait until every event is sealed: what a load leaves behind is part of its cost."""
        for name in WRITERS:
            await until(lambda name=name: self.admins[name].fetchval(IS_QUIET), DRAIN_TIMEOUT_S)


@asynccontextmanager
async def running(folder: Path, *, settings: Mapping[str, str] | None = None) -> AsyncIterator[System]:
    """Start everything. What the environment says of services is left aside: the bench measures its own.

    settings: more of PostgreSQL's.
    """
    prefixes = tuple(f"{name.upper()}_" for name in SERVICES)
    given = {name: value for name, value in environment().items() if not name.startswith(prefixes)}
    given[LIMITS_TIMES] = str(TIMES)
    async with (
        Stack(folder=folder, given=given, settings=dict(settings or {})) as stack,
        Services(stack=stack) as services,
    ):
        if stack.place.origin is None:
            raise LocalStackError("the bench needs the edge, and there is no Envoy for this machine")
        admins = {name: await asyncpg.connect(with_database(stack.postgres.admin_url, name)) for name in SERVICES}
        try:
            yield System(stack=stack, services=services, admins=admins)
        finally:
            for admin in admins.values():
                await admin.close()
