"""Clock door of identity_svc: forgetting what has had its time, and changing the signing keys."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from infra.clock import Clock
from infra.postgres import Pool, transaction

EVERY_S = 3600.0
BATCH = 1_000
SESSIONS_KEPT = timedelta(days=30)
TRIES_KEPT = timedelta(days=1)

FORGET_SESSIONS = """
DELETE FROM session WHERE id = ANY(ARRAY(SELECT id FROM session WHERE expires_at < $1 ORDER BY expires_at LIMIT $2))
"""
FORGET_TRIES = """
DELETE FROM login_try WHERE key = ANY(ARRAY(SELECT key FROM login_try WHERE last_at < $1 ORDER BY last_at LIMIT $2))
"""
FORGET_RESETS = "DELETE FROM password_reset WHERE expires_at < $1"
FORGET_CHALLENGES = "DELETE FROM device_challenge WHERE expires_at < $1"


async def forget(pool: Pool, *, now: datetime) -> None:
    """Delete what is past its time, a batch at a time: sessions 30 days after their end, tries after a day."""
    for statement, before in ((FORGET_SESSIONS, now - SESSIONS_KEPT), (FORGET_TRIES, now - TRIES_KEPT)):
        done = ""
        while done != "DELETE 0":
            async with transaction(pool) as connection:
                done = await connection.execute(statement, before, BATCH)
    async with transaction(pool) as connection:
        await connection.execute(FORGET_RESETS, now)
        await connection.execute(FORGET_CHALLENGES, now)


class Housekeeping:
    """Runs the hourly work. keys: moves the signing keys on. Any number of processes may run it at once."""

    def __init__(self, pool: Pool, *, keys: Callable[[datetime], Awaitable[None]], now: Clock) -> None:
        self._pool, self._keys, self._now = pool, keys, now

    async def run(self, stop: asyncio.Event) -> None:
        """Work once an hour until `stop` is set."""
        while not stop.is_set():
            await self._keys(self._now())
            await forget(self._pool, now=self._now())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)
