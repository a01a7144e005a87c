"""Look at streams and logs: `python -m streams tail|status|verify-log`."""

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from typing import Annotated, NoReturn, TypeVar

import asyncpg
import typer
from redis.exceptions import RedisError

from streams.append import StreamDownError
from streams.entries import StreamId
from streams.names import stream_key
from streams.reading import RedisStreamReader
from streams.redis_client import writer_client
from streams.tailing import Filter, Start, parse_start, tail
from streams.verifying import verify

T = TypeVar("T")

BEYOND = StreamId(2**62, 0)  # nothing comes after, so only the end is shown
SHARD_COUNT = 4  # as locally; production has 64

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at streams and logs.")

RedisUrl = Annotated[str, typer.Option("--redis-url", help="redis://user:password@host:port/0")]
DatabaseUrl = Annotated[str, typer.Option("--database-url", help="of the service whose log it is")]
Source = Annotated[str, typer.Option(help="identity, academics, attendance or beacon")]
ShardCount = Annotated[int, typer.Option("--shards", min=1, help="how many shards the source has")]
Shard = Annotated[int | None, typer.Option(min=0, help="only this one")]
From = Annotated[str, typer.Option("--from", help="now, start, a position or an RFC 3339 time")]
Count = Annotated[int, typer.Option(min=0, help="stop after so many; 0: never")]


@app.command("tail")
def tail_command(  # noqa: PLR0913, PLR0917 -- one per option
    redis_url: RedisUrl,
    source: Source,
    shards: ShardCount = SHARD_COUNT,
    shard: Shard = None,
    from_: From = "now",
    type_: Annotated[str | None, typer.Option("--type", help="only this type")] = None,
    school: Annotated[str | None, typer.Option(help="only this school")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="wait for more")] = False,  # noqa: FBT002
    count: Count = 0,
) -> None:
    """Print events as structured CloudEvents, one JSON object per line."""
    try:
        start = parse_start(from_)
    except ValueError:
        _fail(f"--from {from_}: now, start, a position or an RFC 3339 time")
    wanted = [shard] if shard is not None else list(range(shards))
    _run(_tail(redis_url, source, wanted, start, Filter(type=type_, school=school), follow=follow, count=count))


async def _tail(  # noqa: PLR0913 -- as the command
    redis_url: str, source: str, shards: list[int], start: Start, wanted: Filter, *, follow: bool, count: int
) -> None:
    shown = 0
    async with writer_client(redis_url) as redis:
        events = tail(redis, source=source, shards=shards, start=start, follow=follow)
        async with contextlib.aclosing(events):
            async for event in events:
                if wanted.wants(event):
                    typer.echo(json.dumps(event, ensure_ascii=False))
                    shown += 1
                if count and shown >= count:
                    return


@app.command("status")
def status_command(redis_url: RedisUrl, source: Source, shards: ShardCount = SHARD_COUNT) -> None:
    """Print where each stream ends and what its producer promises, one JSON object per shard."""
    _run(_status(redis_url, source, shards))


async def _status(redis_url: str, source: str, shards: int) -> None:
    async with writer_client(redis_url) as redis:
        for shard in range(shards):
            look = await RedisStreamReader(redis, source=source, shard=shard).look(BEYOND)
            closed = look.closed
            line = {
                "shard": shard,
                "length": await redis.xlen(stream_key(source, shard)),
                "last": str(look.last),
                "closed_pos": closed.pos if closed else None,
                "closed_t": closed.t.isoformat() if closed else None,
                "incarnation": str(closed.incarnation) if closed else None,
            }
            typer.echo(json.dumps(line))


@app.command("verify-log")
def verify_command(database_url: DatabaseUrl, shards: ShardCount = SHARD_COUNT, shard: Shard = None) -> None:
    """Check each log against its own hash chain; exit 1 when one is broken."""
    wanted = [shard] if shard is not None else list(range(shards))
    if not _run(_verify(database_url, wanted)):
        raise typer.Exit(1)


async def _verify(database_url: str, shards: list[int]) -> bool:
    sound = True
    connection = await asyncpg.connect(database_url)
    try:
        for shard in shards:
            verdict = await verify(connection, shard)
            if verdict is None:
                _fail(f"there is no shard {shard}")
            sound = sound and verdict.first_bad is None
            typer.echo(json.dumps({name: getattr(verdict, name) for name in verdict.__slots__}))
    finally:
        await connection.close()
    return sound


def _run(work: Coroutine[object, object, T]) -> T:
    try:
        return asyncio.run(work)
    except (RedisError, StreamDownError, asyncpg.PostgresError, OSError) as error:
        _fail(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(2)
