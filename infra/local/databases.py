"""Make the database and the roles of a service, from the file that the containers use too."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from infra.postgres import Connection

SCRIPT = Path(__file__).parents[1] / "docker" / "postgres-init.sql"
STATEMENT_END = re.compile(r"(;|\\gexec)[ ]*\n")
VARIABLE = re.compile(r""":(['"])(\w+)\1""")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDatabase:
    """A service's database as it shall be. database: the service's name, but for tests."""

    service: str
    database: str
    migrate_password: str
    app_password: str

    def variables(self) -> dict[str, str]:
        """Return the variables of the script."""
        return {
            "service": self.service,
            "database": self.database,
            "migrate_password": self.migrate_password,
            "app_password": self.app_password,
        }


async def create_database(admin_url: str, wanted: ServiceDatabase) -> None:
    """Make the roles and the database, with the rights of both. Safe to repeat."""
    on_server, in_database = SCRIPT.read_text().split('\\connect :"database"\n')
    for url, part in ((admin_url, on_server), (with_database(admin_url, wanted.database), in_database)):
        connection = await asyncpg.connect(url)
        try:
            await run(connection, part, wanted.variables())
        finally:
            await connection.close()


def with_database(url: str, database: str) -> str:
    """Return `url` with another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


async def run(connection: Connection, script: str, variables: Mapping[str, str]) -> None:
    """Run a psql script of plain statements and `\\gexec`, one at a time: CREATE DATABASE must stand alone."""
    for statement, end in statements(fill(script, variables)):
        if end == ";":
            await connection.execute(statement)
            continue
        for row in await connection.fetch(statement):
            await connection.execute(row[0])


def statements(script: str) -> Iterator[tuple[str, str]]:
    """Yield each statement with what ends it, `;` or `\\gexec`."""
    parts = STATEMENT_END.split(script)
    yield from zip(parts[::2], parts[1::2], strict=False)


def fill(script: str, variables: Mapping[str, str]) -> str:
    """Replace `:'name'` by a quoted literal and `:"name"` by a quoted identifier, as psql does."""

    def quoted(match: re.Match[str]) -> str:
        quote, value = match[1], variables[match[2]]
        return quote + value.replace(quote, quote * 2) + quote

    code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return VARIABLE.sub(quoted, code + "\n")
