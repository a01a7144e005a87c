"""Batches that fail as little as they can: a fault that passes is tried again, a lasting one fails alone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeGuard, TypeVar

import asyncpg

from contracts.problems import UnavailableError
from infra.postgres import DOWN

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]]

PAUSE_S = 0.02
# The whole batch may well succeed the next time.
PASSING = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, *DOWN)
# Somebody holds what one of them needs, or together they take too long.
STUCK = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.TransactionTimeoutError)


def robust(work: Work[Item, Result], *, draw: Callable[[], float]) -> Work[Item, Result]:
    """Return `work` that fails for single items. work: one transaction, safe to repeat. draw: 0 to 1, for the pause.

    What only passes is tried once more, and is everybody's if it stays; for any other fault each item is done by
    itself, so that it meets only those that cause it.
    """

    async def attempt(items: Sequence[Item]) -> Sequence[Result | BaseException] | BaseException:
        [outcome] = await asyncio.gather(work(items), return_exceptions=True)
        return outcome

    async def run(items: Sequence[Item]) -> Sequence[Result | BaseException]:
        outcome = await attempt(items)
        if _passes(outcome):
            await asyncio.sleep(PAUSE_S * (1 + draw()))
            outcome = await attempt(items)
        if not isinstance(outcome, BaseException):
            return outcome
        if len(items) == 1 or is_outage(outcome):
            return [outcome] * len(items)
        results: list[Result | BaseException] = []
        for item in items:
            # Once nothing works any more, the rest need not find that out one by one.
            outage = results[-1] if results and is_outage(results[-1]) else None
            results += [outage] if outage else await run([item])
        return results

    return run


def is_outage(outcome: object) -> TypeGuard[UnavailableError]:
    """Return whether it says that nothing works now, and not only that one item is stuck."""
    return isinstance(outcome, UnavailableError) and not isinstance(outcome.__cause__, STUCK)


def _passes(outcome: object) -> bool:
    # Who waited for a connection in vain has waited long enough. It is an OSError, too.
    cause = outcome.__cause__ if isinstance(outcome, UnavailableError) else None
    return isinstance(cause, PASSING) and not isinstance(cause, TimeoutError)
