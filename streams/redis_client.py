"""Connections to Redis that fail fast: the caller knows better than the driver when to try again."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

# As long as a Redis that hangs keeps sealing waiting; with the reader's, this is how far a copy falls behind then.
WRITE_TIMEOUT_S = 0.5
BLOCK_S = 0.25
# A read that blocks must end before the socket gives up, or the connection is lost with every quiet moment.
READ_TIMEOUT_S = 2 * BLOCK_S


def writer_client(url: str) -> Redis:
    """Return a client for relays, closed by the caller (`async with`). Connects at first use."""
    return _client(url, WRITE_TIMEOUT_S)


def reader_client(url: str) -> Redis:
    """Return a client for one reader alone, which never cancels a read. Connects at first use."""
    return _client(url, READ_TIMEOUT_S)


def _client(url: str, timeout_s: float) -> Redis:
    client: Redis = Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0), protocol=2
    )
    return client
