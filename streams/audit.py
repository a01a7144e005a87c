"""The command `<service> verify`: the log, and that the rows its events tell of are as they were told."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import typer

from infra.postgres import Connection
from streams.places import ConsumerUrls, Places, RedisUrl, connected, fail, run
from streams.status import shard_count_of
from streams.verifying import Told, as_line, verify

Flaw = dict[str, Any]
Page = tuple[int, list[Flaw]]  # how many rows were looked at, and what is wrong with some of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What a service can have verified. told: its events against its rows. rows: all of these against themselves."""

    source: str
    database_url: str
    told: Told
    rows: Callable[[Connection], AsyncIterator[Page]]


def verify_command(find: Callable[[], Audit]) -> Callable[..., None]:
    """Return the command for the audit that `find` makes from the settings."""

    def verify(redis_url: RedisUrl = "", consumer_url: ConsumerUrls = None) -> None:
        """Check the log as `streams verify-log` does, and the rows that its events tell of; 1: something differs.

        Prints one JSON object per shard, per row that differs, and a count at the end.
        """
        audit = find()
        places = Places(audit.source, redis_url, audit.database_url, consumer_url or ())
        if not run(_is_sound(audit, places)):
            raise typer.Exit(1)

    return verify


async def _is_sound(audit: Audit, places: Places) -> bool:
    async with connected(places.need_database()) as connection:
        # Both, whatever the first says: an operator wants to know all that was touched.
        log_is_sound = await _check_log(connection, audit, places)
        return await _check_rows(connection, audit) and log_is_sound


async def _check_log(connection: Connection, audit: Audit, places: Places) -> bool:
    is_sound = True
    for shard in range(await shard_count_of(connection)):
        verdict = await verify(connection, shard, await places.anchors(shard), told=audit.told)
        if verdict is None:
            fail(f"there is no shard {shard}")
        is_sound = is_sound and verdict.first_bad is None
        typer.echo(as_line(verdict))
    return is_sound


async def _check_rows(connection: Connection, audit: Audit) -> bool:
    row_count = flaw_count = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for count, flaws in audit.rows(connection):
            row_count, flaw_count = row_count + count, flaw_count + len(flaws)
            for flaw in flaws:
                typer.echo(json.dumps(flaw, default=str))
    typer.echo(json.dumps({"rows": row_count, "differing": flaw_count}))
    return flaw_count == 0
