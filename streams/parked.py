"""The commands for what a service has put aside: `<service> parked list|show|retry|drop|resume`."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

import asyncpg
import typer

from contracts.problems import NotFoundError
from infra.postgres import DOWN
from streams import parking
from streams.parking import Handlers, UnknownVersionError
from streams.places import connected, fail

T = TypeVar("T")
Pos = Annotated[int, typer.Option(min=1, help="position in the shard's log")]
Shard = Annotated[int, typer.Option(min=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A consumer of this service, as its wiring made it. name: "<service>.<purpose>"."""

    name: str
    source: str
    database_url: str
    handlers: Handlers


def parked_commands(find: Callable[[], Follower]) -> typer.Typer:
    """Return the commands for the follower that `find` makes from the settings."""
    app = typer.Typer(no_args_is_help=True, help="Events that could not be applied, and what followed them.")

    @app.command("list")
    def list_() -> None:
        """Print what is put aside, oldest first, one JSON object per line."""
        follower = find()
        for row in _run(_parked(follower)):
            typer.echo(json.dumps(asdict(row), default=str))

    @app.command()
    def show(shard: Shard, pos: Pos) -> None:
        """Print one of them with its body, as far as it can be read."""
        typer.echo(json.dumps(_run(_shown(find(), shard, pos)), default=str, ensure_ascii=False))

    @app.command()
    def retry(aggregate: UUID) -> None:
        """Apply all that is put aside of an aggregate, in order: all of it or nothing."""
        typer.echo(f"{_run(_retried(find(), aggregate))} applied")

    @app.command()
    def drop(shard: Shard, pos: Pos, why: Annotated[str, typer.Option(help="kept beside the event")]) -> None:
        """Give one up for good; the copy of its shard is made anew without it."""
        _run(_dropped(find(), shard, pos, why))
        typer.echo("dropped; the shard's copy is made anew")

    @app.command()
    def resume() -> None:
        """Let halted shards go on, once the code is right."""
        typer.echo(json.dumps({"resumed": _run(_resumed(find()))}))

    return app


async def _parked(follower: Follower) -> list[parking.Parked]:
    async with connected(follower.database_url) as connection:
        return await parking.list_parked(connection, consumer=follower.name, source=follower.source)


async def _shown(follower: Follower, shard: int, pos: int) -> dict[str, Any]:
    async with connected(follower.database_url) as connection:
        return await parking.show(connection, (follower.name, follower.source, shard), pos=pos)


async def _retried(follower: Follower, aggregate: UUID) -> int:
    async with connected(follower.database_url) as connection:
        return await parking.retry(
            connection, consumer=follower.name, source=follower.source, agg_id=aggregate, handlers=follower.handlers
        )


async def _dropped(follower: Follower, shard: int, pos: int, why: str) -> None:
    async with connected(follower.database_url) as connection:
        await parking.drop(connection, (follower.name, follower.source, shard), pos=pos, why=why)


async def _resumed(follower: Follower) -> list[int]:
    async with connected(follower.database_url) as connection:
        return await parking.resume(connection, consumer=follower.name, source=follower.source)


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except NotFoundError as problem:
        fail(str(problem))
    except (ValueError, UnknownVersionError) as error:
        # The event is at fault, as it was before; a handler's own bug shows where it is.
        fail(f"nothing was applied: {type(error).__name__}: {error}".splitlines()[0])
    except (*DOWN, asyncpg.PostgresError) as error:
        fail(f"{type(error).__name__}: {error}")
