"""What the pieces of streams are measured on: a PostgreSQL with fsync and a Valkey, with nothing else on them."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from infra.local.databases import ServiceDatabase, create_database, with_database
from infra.local.postgres import LocalPostgres
from infra.local.valkey import LocalValkey
from infra.migrate import upgrade
from tests.bench.cpu import CpuMeter


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Two servers. bystanders: what else of ours runs, so that it does not count as somebody else's."""

    postgres: LocalPostgres
    valkey: LocalValkey
    bystanders: list[int] = field(default_factory=list)

    async def blank_database(self) -> str:
        """Return the superuser's URL of a new database without a table."""
        name = f"b_{secrets.token_hex(6)}"
        connection = await asyncpg.connect(self.postgres.admin_url)
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return with_database(self.postgres.admin_url, name)

    async def service_database(self, service: str) -> tuple[str, str]:
        """Return the URLs of a new, migrated database of a service: as the service and as the superuser."""
        name = f"b_{secrets.token_hex(6)}"
        wanted = ServiceDatabase(service=service, database=name, migrate_password="m", app_password="a")
        await create_database(self.postgres.admin_url, wanted)
        await upgrade(service, self.postgres.url(name, f"{service}_migrate", wanted.migrate_password))
        return self.postgres.url(name, f"{service}_app", "a"), with_database(self.postgres.admin_url, name)

    def meter(self, programs: dict[str, list[int]]) -> CpuMeter:
        """Return what measures `programs` and the two servers."""
        servers = {"postgres": [self.postgres.child.pid], "valkey": [self.valkey.child.pid]}
        return CpuMeter(programs | servers, bystanders=self.bystanders)


@asynccontextmanager
async def workshop(folder: Path, *, bystanders: list[int] | None = None) -> AsyncIterator[Workshop]:
    """Start both servers in `folder`."""
    postgres = LocalPostgres(folder=folder / "pieces", log=folder / "pieces.log")
    valkey = LocalValkey(folder=folder / "pieces-valkey", log=folder / "pieces-valkey.log")
    postgres.start()
    try:
        valkey.start()
        yield Workshop(postgres=postgres, valkey=valkey, bystanders=bystanders or [])
    finally:
        valkey.stop()
        postgres.stop()


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[tuple[int, str]]:
    """Run a module of the bench; yield its pid and the first line it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process.pid, (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()
