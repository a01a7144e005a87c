"""Bring a service's database to its newest schema. Loaded by the migrate command alone, never while serving."""

from pathlib import Path

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

ROOT = Path(__file__).parents[1]
# Migrations must not wait behind, or hold up, a running version for long.
LIMITS = "SET lock_timeout = '4s'; SET statement_timeout = '5s'"
# Two migrate commands at once: the second waits, then finds nothing to do.
ONE_AT_A_TIME = "SELECT pg_advisory_lock(7265)"


async def upgrade(service: str, url: str) -> None:
    """Apply the revisions in `<service>_svc/migrations` that `url` lacks. Safe to repeat.

    url: of the role that owns the schema.
    """
    config = Config()
    config.set_main_option("script_location", str(ROOT / f"{service}_svc" / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(ONE_AT_A_TIME)
            await connection.run_sync(_run, ScriptDirectory.from_config(config), config)
            await connection.commit()
    finally:
        await engine.dispose()


def _run(connection: Connection, script: ScriptDirectory, config: Config) -> None:
    for statement in LIMITS.split(";"):
        connection.exec_driver_sql(statement)

    def to_head(revision: object, _context: object) -> object:
        return script._upgrade_revs("head", revision)  # type: ignore[arg-type]

    with EnvironmentContext(config, script, fn=to_head, destination_rev="head") as environment:
        environment.configure(connection=connection, target_metadata=None)
        with environment.begin_transaction():
            environment.run_migrations()


def execute_script(path: str) -> str:
    """Return the text of an SQL file below the repository's root, for a revision to execute."""
    return (ROOT / path).read_text()


def statements_of(path: str) -> list[str]:
    """Return the statements of an SQL file below the repository's root, for a revision to execute one by one.

    The driver takes one statement at a time. Lines that begin with `--` may hold semicolons; other text may not.
    """
    code = "\n".join(line for line in execute_script(path).splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]
