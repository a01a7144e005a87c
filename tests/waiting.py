"""Wait for a condition instead of sleeping for a guess."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.01


async def until(condition: Callable[[], Awaitable[T] | T], timeout_s: float = 5.0) -> T:
    """Return the first true value of `condition()`.

    condition: a plain or an async function. Raises: TimeoutError naming it.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {getattr(condition, '__qualname__', condition)}")
        await asyncio.sleep(POLL_S)
