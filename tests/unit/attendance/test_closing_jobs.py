import asyncio

import pytest

from attendance_svc.jobs import every
from contracts.problems import UnavailableError


class Work:
    """Does as told, once per entry of `fates`, then has the loop stopped."""

    def __init__(self, stop, *fates):
        self.stop, self.fates, self.done = stop, list(fates), 0

    async def do(self):
        self.done += 1
        fate = self.fates.pop(0)
        if not self.fates:
            self.stop.set()
        if fate:
            raise fate


async def test_work_is_repeated_until_the_process_stops():
    stop = asyncio.Event()
    work = Work(stop, None, None, None)

    await every(0.001, work.do)(stop)

    assert work.done == 3


async def test_what_cannot_be_done_now_is_done_the_next_time():
    stop = asyncio.Event()
    work = Work(stop, UnavailableError("database_down"), None)

    await every(0.001, work.do)(stop)

    assert work.done == 2


async def test_a_fault_of_the_code_is_not_hidden():
    stop = asyncio.Event()

    with pytest.raises(ZeroDivisionError):
        await every(0.001, Work(stop, ZeroDivisionError(), None).do)(stop)


async def test_stopping_does_not_wait_for_the_next_round():
    stop = asyncio.Event()
    work = Work(stop, None)

    await asyncio.wait_for(every(3600, work.do)(stop), 1)

    assert work.done == 1
