"""Where the log, the streams and the followers of a source are, for the commands that look at them.

What an option leaves out is taken from the environment: STREAMS_REDIS_URL, <SOURCE>_DATABASE_URL, and for consumers
every other <SERVICE>_DATABASE_URL.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Annotated, NoReturn, TypeVar

import asyncpg
import typer
from redis.exceptions import RedisError

from infra.postgres import Connection
from infra.settings import environment
from streams.append import StreamDownError
from streams.redis_client import writer_client
from streams.status import anchors_of
from streams.verifying import Anchor

T = TypeVar("T")

REDIS, DATABASE, MIGRATE = "STREAMS_REDIS_URL", "_DATABASE_URL", "_MIGRATE_DATABASE_URL"

RedisUrl = Annotated[str, typer.Option("--redis-url", help="redis://user:password@host:port/0")]
ConsumerUrls = Annotated[list[str] | None, typer.Option("--consumer-url", help="databases of those who follow it")]


class Places:
    """The log, the streams and the followers of one source."""

    def __init__(
        self, source: str, redis_url: str = "", database_url: str = "", consumer_urls: Sequence[str] = ()
    ) -> None:
        known = environment()
        own = f"{source.upper()}{DATABASE}"
        self.source = source
        self.redis_url = redis_url or known.get(REDIS, "")
        self.database_url = database_url or (known.get(own, "") if source else "")
        self.consumer_urls = list(consumer_urls) or _others(known, own)

    def need_redis(self) -> str:
        """Return Redis' URL, or end the process."""
        return self.redis_url or fail(f"--redis-url is not given and {REDIS} is not set")

    def need_database(self) -> str:
        """Return the database's URL, or end the process."""
        return self.database_url or fail("--database-url is not given and <SOURCE>_DATABASE_URL is not set")

    @contextlib.asynccontextmanager
    async def consumers(self) -> AsyncIterator[list[Connection]]:
        """Connect to the databases of the followers."""
        async with contextlib.AsyncExitStack() as stack:
            yield [await stack.enter_async_context(connected(url)) for url in self.consumer_urls]

    async def anchors(self, shard: int) -> list[Anchor]:
        """Return what Redis and the followers had of the log of `shard`; nothing while the source has no name."""
        if not self.source:
            return []
        async with contextlib.AsyncExitStack() as stack:
            redis = await stack.enter_async_context(writer_client(self.redis_url)) if self.redis_url else None
            databases = await stack.enter_async_context(self.consumers())
            return await anchors_of(redis, databases, source=self.source, shard=shard)


def _others(known: Mapping[str, str], own: str) -> list[str]:
    names = (name for name in sorted(known) if name.endswith(DATABASE) and not name.endswith(MIGRATE))
    return [known[name] for name in names if name != own]


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Connect to a database for the length of a block."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        yield connection
    finally:
        await connection.close()


def run(work: Coroutine[object, object, T]) -> T:
    """Return what `work` returns, or end the process saying in one line what was not there."""
    try:
        return asyncio.run(work)
    except (RedisError, StreamDownError, asyncpg.PostgresError, OSError) as error:
        fail(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def fail(sentence: str) -> NoReturn:
    """End the process with code 2."""
    typer.echo(sentence, err=True)
    raise typer.Exit(2)
