"""Batch while busy: what is asked for while the last batch is in flight makes up the next one. No timer, no waiting."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

from contracts.problems import UnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")


def _one(_item: object) -> int:
    return 1


def in_groups(
    work: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
) -> Callable[[Sequence[Sequence[Item]]], Awaitable[Sequence[Sequence[Result]]]]:
    """Return `work` for items that come in groups: done together, answered group by group."""

    async def run(groups: Sequence[Sequence[Item]]) -> Sequence[Sequence[Result]]:
        results = iter(await work([item for group in groups for item in group]))
        return [[next(results) for _ in group] for group in groups]

    return run


class Coalescer(Generic[Item, Result]):
    """Turns single calls into batches. An idle caller pays nothing: its batch of one starts at once.

    work: answers a batch, one result or exception per item, in order; what it raises, every caller of the batch gets.
    max_batch_count: items of one batch, or what `weigh` makes of them; an item that is heavier goes alone.
    concurrent_count: batches in flight at once. spare_count: further ones that start only when a whole batch waits: two
    small batches cost more than one. max_waiting_count: beyond, callers are sent away.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        max_batch_count: int = 256,
        concurrent_count: int = 1,
        spare_count: int = 0,
        max_waiting_count: int = 10_000,
        weigh: Callable[[Item], int] = _one,
    ) -> None:
        self._work, self._weigh = work, weigh
        self._max_batch, self._max_waiting = max_batch_count, max_waiting_count
        self._free, self._spare = concurrent_count, spare_count
        self._waiting_weight = 0
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._batches: set[asyncio.Task[None]] = set()

    async def submit(self, item: Item) -> Result:
        """Return the result of `item`. A caller that is cancelled disturbs nobody; its item may still be done.

        Raises: what `work` raised or returned for it, UnavailableError("overloaded").
        """
        if len(self._waiting) >= self._max_waiting:
            raise UnavailableError("overloaded")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._waiting_weight += self._weigh(item)
        if self._free:
            self._free -= 1
            self._start(self._run())
        elif self._spare and self._is_full():
            self._spare -= 1
            self._start(self._run_spare())
        return await future

    async def drain(self) -> None:
        """Wait until everything that was asked for is answered."""
        while self._batches:
            await asyncio.wait(self._batches)

    def _is_full(self) -> bool:
        return self._waiting_weight >= self._max_batch

    def _start(self, run: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: a batch must not inherit the deadline of whoever happened to start it.
        task = asyncio.get_running_loop().create_task(run, context=Context())
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _run(self) -> None:
        try:
            # Callers who became ready in the same turn of the loop join this batch.
            await asyncio.sleep(0)
            while batch := self._take():
                await self._answer(batch)
        finally:
            self._free += 1

    async def _run_spare(self) -> None:
        try:
            while self._is_full() and (batch := self._take()):
                await self._answer(batch)
        finally:
            self._spare += 1

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        room = self._max_batch
        while self._waiting:
            item, future = self._waiting[0]
            weight = self._weigh(item)
            if batch and weight > room:
                break
            self._waiting.popleft()
            self._waiting_weight -= weight
            if not future.done():  # its caller was cancelled before the work began
                batch.append((item, future))
                room -= weight
        return batch

    async def _answer(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        results: Sequence[Result | BaseException]
        try:
            results = await self._work([item for item, _ in batch])
        except BaseException as error:
            # It belongs to the callers; only what must end this task goes on from here.
            self._settle(batch, [error] * len(batch))
            if not isinstance(error, Exception):
                raise
        else:
            if len(results) != len(batch):
                results = [RuntimeError(f"{len(results)} results for {len(batch)} items")] * len(batch)
            self._settle(batch, results)

    @staticmethod
    def _settle(
        batch: Sequence[tuple[Item, asyncio.Future[Result]]], results: Sequence[Result | BaseException]
    ) -> None:
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
