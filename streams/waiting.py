"""Wait for an event, but not for ever; and for moments that are the same for all who wait."""

import asyncio
import time


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether `event` is set, having waited for it at most that long."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def until_multiple(of_s: float, *, plus_s: float = 0.0) -> float:
    """Return the seconds until the next multiple of `of_s`, on this machine's monotonic clock, and `plus_s`."""
    return of_s - (time.monotonic() - plus_s) % of_s
