"""Look at streams and logs: `python -m streams tail|status|verify-log|trim`."""

import contextlib
import json
from typing import Annotated

import typer

from infra.clock import utc_now
from infra.settings import environment
from streams.names import stream_key
from streams.places import ConsumerUrls, Places, RedisUrl, connected, fail, run
from streams.redis_client import writer_client
from streams.status import consumers_of, shard_count_of, status_of
from streams.tailing import Filter, Start, parse_start, tail
from streams.verifying import as_line, verify

SHARD_COUNT = 4  # as locally; production has 64, and a database knows
KEPT_HOURS = 48
HOUR_MS = 3_600_000

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Look at streams and logs.")

DatabaseUrl = Annotated[str, typer.Option("--database-url", help="of the service whose log it is")]
Source = Annotated[str, typer.Option(help="identity, academics, attendance or beacon")]
AnySource = Annotated[str, typer.Option(help="whose log it is; only to find its database and its followers")]
ShardCount = Annotated[int, typer.Option("--shards", min=0, help="how many shards the source has; 0: as set up, or 4")]
Shard = Annotated[int | None, typer.Option(min=0, help="only this one")]
From = Annotated[str, typer.Option("--from", help="now, start, a position or an RFC 3339 time")]
Count = Annotated[int, typer.Option(min=0, help="stop after so many; 0: never")]


@app.command("tail")
def tail_command(  # noqa: PLR0913, PLR0917 -- one per option
    source: Source,
    redis_url: RedisUrl = "",
    shards: ShardCount = 0,
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
        fail(f"--from {from_}: now, start, a position or an RFC 3339 time")
    wanted = Filter(type=type_, school=school)
    places = Places(source, redis_url)
    run(_tail(places, _wanted(shard, shards), start, wanted, follow=follow, count=count))


def _wanted(shard: int | None, shards: int) -> list[int]:
    return [shard] if shard is not None else list(range(shards or SHARD_COUNT))


async def _tail(places: Places, shards: list[int], start: Start, wanted: Filter, *, follow: bool, count: int) -> None:
    shown = 0
    async with writer_client(places.need_redis()) as redis:
        events = tail(redis, source=places.source, shards=shards, start=start, follow=follow)
        async with contextlib.aclosing(events):
            async for event in events:
                if wanted.wants(event):
                    typer.echo(json.dumps(event, ensure_ascii=False))
                    shown += 1
                if count and shown >= count:
                    return


@app.command("status")
def status_command(
    source: Source,
    redis_url: RedisUrl = "",
    database_url: DatabaseUrl = "",
    consumer_url: ConsumerUrls = None,
    shards: ShardCount = 0,
) -> None:
    """Print one JSON object per shard: sealed, appended, promised, and how far behind each consumer is."""
    run(_status(Places(source, redis_url, database_url, consumer_url or ()), shards))


async def _status(places: Places, shards: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(writer_client(places.need_redis()))
        producer = None
        if places.database_url:
            producer = await stack.enter_async_context(connected(places.database_url))
            shards = shards or await shard_count_of(producer)
        databases = await stack.enter_async_context(places.consumers())
        consumers = [found for each in databases for found in await consumers_of(each, places.source)]
        for shard in range(shards or SHARD_COUNT):
            line = await status_of(redis, producer, consumers, source=places.source, shard=shard)
            typer.echo(json.dumps(line, default=str))


@app.command("verify-log")
def verify_command(
    source: AnySource = "",
    database_url: DatabaseUrl = "",
    redis_url: RedisUrl = "",
    consumer_url: ConsumerUrls = None,
    shards: ShardCount = 0,
    shard: Shard = None,
) -> None:
    """Check each log against its own hash chain and against what Redis and the consumers had of it; 1: it differs."""
    places = Places(source, redis_url, database_url, consumer_url or ())
    if not run(_verify(places, shards, shard)):
        raise typer.Exit(1)


async def _verify(places: Places, shards: int, shard: int | None) -> bool:
    sound = True
    async with connected(places.need_database()) as producer:
        wanted = _wanted(shard, shards or await shard_count_of(producer))
        for each in wanted:
            verdict = await verify(producer, each, await places.anchors(each))
            if verdict is None:
                fail(f"there is no shard {each}")
            sound = sound and verdict.first_bad is None
            typer.echo(as_line(verdict))
    return sound


@app.command("trim")
def trim_command(
    source: Source,
    redis_url: RedisUrl = "",
    older_than_hours: Annotated[float, typer.Option(min=0, help="keep what is younger")] = KEPT_HOURS,
    shards: ShardCount = 0,
) -> None:
    """Drop old entries from the streams; the log keeps them, and whoever misses them reads them there."""
    url = redis_url or environment().get(f"STREAMS_TRIMMER_{source.upper()}_URL", "")
    run(_trim(Places(source, url), older_than_hours, shards or SHARD_COUNT))


async def _trim(places: Places, hours: float, shards: int) -> None:
    oldest_ms = int(utc_now().timestamp() * 1000 - hours * HOUR_MS)
    async with writer_client(places.need_redis()) as redis:
        for shard in range(shards):
            dropped = await redis.xtrim(stream_key(places.source, shard), minid=oldest_ms, approximate=False)
            typer.echo(json.dumps({"shard": shard, "dropped": dropped, "oldest_ms": oldest_ms}))
