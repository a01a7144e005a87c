"""The tables of a publisher and of a consumer: their SQL, their first rows, their check at start."""

import re
from pathlib import Path

from contracts.ids import new_id
from infra.postgres import Connection
from streams.chain import genesis

FOLDER = Path(__file__).parent / "sql"
# What makes the tables of a publisher as they are now; each is applied by a migration of its own.
PRODUCER = ("producer_1", "producer_2")
ROLE = re.compile(r"[a-z][a-z_]*")

FIND_META = "SELECT source, shard_count FROM streams_meta"
ADD_META = "INSERT INTO streams_meta (source, shard_count) VALUES ($1, $2) ON CONFLICT DO NOTHING"
ADD_SHARD = """
INSERT INTO streams_shard (shard, incarnation, base_hash, last_hash) VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING
"""


class WrongSetupError(Exception):
    """The database was set up for another source or another number of shards; an operator must act."""


def statements(*names: str) -> list[str]:
    """Return the statements of `sql/<name>.sql` ("producer_1", "consumer_1"), for a migration to execute one by one."""
    lines = [line for name in names for line in (FOLDER / f"{name}.sql").read_text().splitlines()]
    code = "\n".join(line for line in lines if not line.startswith("--"))
    return [statement.strip() for statement in code.split(";") if statement.strip()]


def grants(app_role: str) -> list[str]:
    """Return the statements that leave `app_role` what it needs: it adds to the log, never changes or empties it."""
    if not ROLE.fullmatch(app_role):
        raise ValueError("not a role's name")
    return [statement.replace("APP_ROLE", app_role) for statement in statements("producer_grants_1")]


async def prepare(connection: Connection, *, source: str, shard_count: int) -> None:
    """Set up the log of `source` for `shard_count` shards. Safe to repeat; run by the migrate command.

    Raises: WrongSetupError when it was set up otherwise.
    """
    async with connection.transaction():
        await connection.execute(ADD_META, source, shard_count)
        await _check(connection, source, shard_count)
        for shard in range(shard_count):
            incarnation = new_id()
            await connection.execute(ADD_SHARD, shard, incarnation, genesis(source, shard, incarnation))


async def check_shard_count(connection: Connection, *, source: str, shard_count: int) -> None:
    """Refuse to go on with a number of shards other than the one the log was set up with.

    Raises: WrongSetupError.
    """
    await _check(connection, source, shard_count)


async def _check(connection: Connection, source: str, shard_count: int) -> None:
    row = await connection.fetchrow(FIND_META)
    found = None if row is None else (row["source"], row["shard_count"])
    if found != (source, shard_count):
        raise WrongSetupError(f"set up as {found}, wanted {(source, shard_count)}")
