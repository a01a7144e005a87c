"""Batching while busy keeps every caller's own result, and nobody waits for a timer."""

import asyncio

import pytest

from contracts.problems import ConflictError, UnavailableError
from infra.coalescer import Coalescer
from infra.request_context import current, serving
from tests.waiting import until


class Counter:
    """Doubles numbers in batches; waits at the gate while it is shut."""

    def __init__(self):
        self.batches, self.contexts, self.gate = [], [], asyncio.Event()
        self.gate.set()

    async def work(self, items):
        self.batches.append(list(items))
        self.contexts.append(current())
        await self.gate.wait()
        return [ConflictError("odd") if item % 2 else item * 2 for item in items]


@pytest.fixture
def counter():
    return Counter()


async def when_busy(counter, coalescer):
    """Shut the gate and send 0 in; what comes now waits for the next batch."""
    counter.gate.clear()
    first = asyncio.create_task(coalescer.submit(0))
    await until(lambda: counter.batches)
    return first


async def test_an_idle_caller_is_served_at_once_and_alone(counter):
    coalescer = Coalescer(counter.work)

    assert await coalescer.submit(4) == 8

    assert counter.batches == [[4]]


async def test_what_comes_while_a_batch_is_in_flight_is_the_next_batch(counter):
    coalescer = Coalescer(counter.work)
    first = await when_busy(counter, coalescer)
    others = [asyncio.create_task(coalescer.submit(n)) for n in (2, 4, 6)]
    await asyncio.sleep(0)

    counter.gate.set()

    assert await asyncio.gather(first, *others) == [0, 4, 8, 12]
    assert counter.batches == [[0], [2, 4, 6]]


async def test_a_batch_has_a_greatest_size(counter):
    coalescer = Coalescer(counter.work, max_batch_count=2)
    first = await when_busy(counter, coalescer)
    others = [asyncio.create_task(coalescer.submit(n)) for n in (2, 4, 6)]
    await asyncio.sleep(0)

    counter.gate.set()

    await asyncio.gather(first, *others)
    assert counter.batches == [[0], [2, 4], [6]]


async def test_a_spare_batch_starts_beside_the_first_as_soon_as_it_is_full_and_not_before(counter):
    coalescer = Coalescer(counter.work, max_batch_count=3, spare_count=1)
    first = await when_busy(counter, coalescer)
    others = [asyncio.create_task(coalescer.submit(n)) for n in (2, 4)]
    await asyncio.sleep(0)
    assert counter.batches == [[0]]

    others += [asyncio.create_task(coalescer.submit(n)) for n in (6, 8)]
    await until(lambda: len(counter.batches) > 1)

    assert counter.batches == [[0], [2, 4, 6]]
    counter.gate.set()
    assert await asyncio.gather(first, *others) == [0, 4, 8, 12, 16]
    assert counter.batches == [[0], [2, 4, 6], [8]]


async def test_heavy_items_make_smaller_batches_and_what_is_too_heavy_goes_alone(counter):
    coalescer = Coalescer(counter.work, max_batch_count=6, weigh=lambda number: number)
    first = await when_busy(counter, coalescer)
    others = [asyncio.create_task(coalescer.submit(n)) for n in (2, 4, 2, 8, 2)]
    await asyncio.sleep(0)

    counter.gate.set()

    await asyncio.gather(first, *others)
    assert counter.batches == [[0], [2, 4], [2], [8], [2]]


async def test_a_bad_item_fails_alone(counter):
    coalescer = Coalescer(counter.work)

    answers = await asyncio.gather(*(coalescer.submit(n) for n in (2, 3, 4)), return_exceptions=True)

    assert (answers[0], answers[2]) == (4, 8)
    assert isinstance(answers[1], ConflictError)
    assert counter.batches == [[2, 3, 4]]


async def test_when_the_work_fails_every_caller_of_the_batch_hears_it_and_the_next_batch_goes_on(counter):
    async def work(items):
        if 0 in items:
            raise UnavailableError("database_down")
        return items

    coalescer = Coalescer(work)
    failed = await asyncio.gather(*(coalescer.submit(n) for n in (0, 1)), return_exceptions=True)

    assert [type(error) for error in failed] == [UnavailableError, UnavailableError]
    assert await coalescer.submit(2) == 2


async def test_a_caller_that_is_cancelled_disturbs_nobody(counter):
    coalescer = Coalescer(counter.work)
    first = await when_busy(counter, coalescer)
    gone, stays = asyncio.create_task(coalescer.submit(2)), asyncio.create_task(coalescer.submit(4))
    await asyncio.sleep(0)

    gone.cancel()
    first.cancel()
    await asyncio.sleep(0)
    counter.gate.set()

    assert await stays == 8
    assert counter.batches == [[0], [4]]


async def test_a_batch_inherits_nobodys_deadline(counter):
    coalescer = Coalescer(counter.work)

    with serving(request_id="request-1", traceparent=None, limit_s=0.001):
        await coalescer.submit(2)

    assert counter.contexts == [None]


async def test_too_many_waiting_callers_are_sent_away(counter):
    coalescer = Coalescer(counter.work, max_waiting_count=1)
    first = await when_busy(counter, coalescer)
    waiting = asyncio.create_task(coalescer.submit(2))
    await asyncio.sleep(0)

    with pytest.raises(UnavailableError, match="overloaded"):
        await coalescer.submit(4)

    counter.gate.set()
    assert await asyncio.gather(first, waiting) == [0, 4]


async def test_several_batches_may_be_in_flight(counter):
    coalescer = Coalescer(counter.work, concurrent_count=2, max_batch_count=1)
    counter.gate.clear()

    both = [asyncio.create_task(coalescer.submit(n)) for n in (2, 4, 6)]
    await until(lambda: len(counter.batches) == 2)
    assert counter.batches == [[2], [4]]
    counter.gate.set()

    assert await asyncio.gather(*both) == [4, 8, 12]


async def test_draining_waits_for_every_answer(counter):
    coalescer = Coalescer(counter.work)
    first = await when_busy(counter, coalescer)
    draining = asyncio.create_task(coalescer.drain())
    await asyncio.sleep(0)
    assert not draining.done()

    counter.gate.set()
    await draining

    assert first.done()
