"""Everything that the services stand on, started and stopped as one."""

import asyncio
import base64
import os
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra.certs import renew
from infra.envoy.render import Edge
from infra.envoy.routes import SERVICES, Service
from infra.local.databases import ServiceDatabase, create_database
from infra.local.envoy import LocalEnvoy, is_available
from infra.local.lock import lock_folder
from infra.local.passwords import Passwords
from infra.local.ports import free_port
from infra.local.postgres import LocalPostgres
from infra.local.valkey import LocalValkey
from infra.local.variables import HOST, Doors, Place, given_to_all, prefixed
from infra.private_files import kept

KEY_BYTES = 32
RENEWAL_PERIOD_S = 3_600.0
# The variable that multiplies what the edge lets one caller ask for, and its value when it is not set: whoever plays
# here plays many people, or one in a hurry.
LIMITS_TIMES, MANY_TIMES = "EDGE_LIMITS_TIMES", 100


@dataclass(slots=True, kw_only=True)
class Stack:
    """PostgreSQL, Valkey, certificates and the edge under one folder: `async with Stack(folder=…) as stack`.

    given: the user's environment; what it says of a service wins, and a server that it names for all is not started.
    edge_port: 0 takes a free one. settings: more PostgreSQL settings.
    postgres, valkey, envoy: None where the user's own serve, or where this machine has no Envoy.
    Enter from the main thread: the servers end with the thread that started them.
    Raises: LocalStackError in one line; nothing is left running.
    """

    folder: Path
    given: Mapping[str, str] = field(default_factory=dict)
    with_edge: bool = True
    edge_port: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    postgres: LocalPostgres | None = field(default=None, init=False)
    valkey: LocalValkey | None = field(default=None, init=False)
    envoy: LocalEnvoy | None = field(default=None, init=False)
    place: Place = field(init=False)
    keep_open: tuple[int, ...] = field(default=(), init=False)
    _leaving: AsyncExitStack = field(default_factory=AsyncExitStack, init=False, repr=False)

    async def __aenter__(self) -> "Stack":
        async with AsyncExitStack() as leaving:
            self.folder = self.folder.resolve()
            self.keep_open = (lock_folder(self.folder),)
            leaving.callback(os.close, self.keep_open[0])
            self.place = self._choose_place()
            self._make_keys()
            leaving.push_async_callback(_end, asyncio.create_task(self._renew_certificates()))
            await self._start_servers(leaving)
            self._leaving = leaving.pop_all()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._leaving.aclose()

    def variables(self, service: Service) -> dict[str, str]:
        """Return the variables of a service; those that the user has set stay as they are."""
        prefix = f"{service.upper()}_"
        given = {name: value for name, value in self.given.items() if name.startswith(prefix) and value}
        return self.place.variables(service) | self._databases(service) | given

    def log_file(self, name: str) -> Path:
        """Return where the program of this name writes what it says."""
        return self.folder / "logs" / f"{name}.log"

    async def _start_servers(self, leaving: AsyncExitStack) -> None:
        if not given_to_all(self.given, "DATABASE_URL"):
            self.postgres = LocalPostgres(
                folder=self.folder / "postgres",
                log=self.log_file("postgres"),
                settings=self.settings,
                keep_open=self.keep_open,
            )
            leaving.callback(self.postgres.stop)
            self.postgres.start()
            for service in SERVICES:
                await create_database(self.postgres.admin_url, self._wanted(service))
        if not given_to_all(self.given, "REDIS_URL"):
            self.valkey = LocalValkey(
                folder=self.folder / "valkey", log=self.log_file("valkey"), keep_open=self.keep_open
            )
            leaving.callback(self.valkey.stop)
            self.valkey.start()
        if self.place.origin:
            self.envoy = LocalEnvoy(
                folder=self.folder / "envoy",
                log=self.log_file("envoy"),
                edge=self._edge(),
                keep_open=self.keep_open,
            )
            leaving.callback(self.envoy.stop)
            self.envoy.start()

    def _choose_place(self) -> Place:
        has_edge = self.with_edge and is_available()
        self.edge_port = (self.edge_port or free_port()) if has_edge else 0
        return Place(
            doors={service: self._doors(service) for service in SERVICES},
            certificates=self.folder / "certificates",
            keys=self.folder / "keys",
            origin=f"http://{HOST}:{self.edge_port}" if has_edge else None,
        )

    def _doors(self, service: Service) -> Doors:
        def port(name: str) -> int:
            return int(self.given.get(f"{service.upper()}_{name}") or free_port())

        return Doors(http=port("HTTP_PORT"), grpc=port("GRPC_PORT"))

    def _edge(self) -> Edge:
        upstreams = {service: f"{HOST}:{doors.http}" for service, doors in self.place.doors.items()}
        times = int(self.given.get(LIMITS_TIMES) or MANY_TIMES)
        return Edge(port=self.edge_port, admin_port=free_port(), upstreams=upstreams, limits_times=times)

    def _make_keys(self) -> None:
        renew(self.place.certificates)
        for service in SERVICES:
            kept(self.place.keys / service, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())

    async def _renew_certificates(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_PERIOD_S)
            renew(self.place.certificates)

    def _wanted(self, service: Service) -> ServiceDatabase:
        passwords = Passwords(self.folder / "passwords")
        return ServiceDatabase(
            service=service,
            database=service,
            migrate_password=passwords.of(f"{service}_migrate"),
            app_password=passwords.of(f"{service}_app"),
        )

    def _databases(self, service: Service) -> dict[str, str]:
        found = {}
        if self.valkey:
            found["REDIS_URL"] = self.valkey.url(service)
        if self.postgres and not self.given.get(f"{service.upper()}_DATABASE_URL"):
            wanted = self._wanted(service)
            found["DATABASE_URL"] = self.postgres.url(service, f"{service}_app", wanted.app_password)
            found["MIGRATE_DATABASE_URL"] = self.postgres.url(service, f"{service}_migrate", wanted.migrate_password)
        return prefixed(service, found)


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
