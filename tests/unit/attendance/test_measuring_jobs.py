"""What is measured of academics' clock and of who waits."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from attendance_svc import jobs
from attendance_svc.domain.bearings import Bearings
from attendance_svc.jobs import CLOCK_OFFSET_S, COPY_AGE_S, PENDING, BacklogJob, ClockJob
from contracts.problems import UnavailableError
from tests.fakes.attendance import MINUTE, MS, NINE
from tests.waiting import until


@dataclass
class Head:
    incarnation: object
    now: object


@dataclass
class Heads:
    """Academics' log: its clock is `ahead` of ours, and an answer takes `took`."""

    ours: object = NINE
    ahead: timedelta = timedelta(0)
    took: timedelta = timedelta(0)
    incarnation: object = field(default_factory=uuid4)
    is_down: bool = False
    refused: int = 0
    asked: list = field(default_factory=list)

    def clock(self):
        return self.ours

    async def head(self, shard):
        if self.is_down:
            self.refused += 1
            raise UnavailableError("log_down")
        self.asked.append(shard)
        theirs = self.ours + self.took / 2 + self.ahead
        self.ours += self.took
        return Head(self.incarnation, theirs)


@pytest.fixture
def heads():
    return Heads()


@pytest.fixture
def job(heads):
    return ClockJob(heads=heads, bearings=Bearings(), shards=range(2), now=heads.clock)


async def test_every_shard_says_which_log_it_is_and_what_time_it_is(heads, job):
    heads.ahead, heads.took = 40 * MS, 10 * MS

    await job.measure()

    assert heads.asked == [0, 1]
    assert job.bearings.offset() == 45 * MS
    assert CLOCK_OFFSET_S._value.get() == 0.045
    assert [job.bearings.is_current(shard, heads.incarnation) for shard in range(3)] == [True, True, True]
    assert not job.bearings.is_current(1, uuid4())


async def test_while_academics_is_away_what_was_measured_stays(heads, job):
    await job.measure()
    heads.is_down = True

    with pytest.raises(UnavailableError):
        await job.measure()
    assert job.bearings.offset() == timedelta(0)


async def test_who_starts_before_academics_knows_the_clocks_soon_after_it(heads, job, monkeypatch):
    monkeypatch.setattr(jobs, "COMPARE_CLOCKS_AGAIN_S", 0.001)
    heads.is_down, stop = True, asyncio.Event()
    loop = asyncio.create_task(jobs.comparing(job)(stop))
    await until(lambda: heads.refused)

    heads.is_down = False
    await until(job.bearings.margin)

    stop.set()
    await loop


async def test_clocks_that_are_apart_are_told_of_once_and_so_is_their_return(heads, job):
    with capture_logs() as logs:
        for ahead in (250, 251, -400, 251, 250, 0):
            heads.ahead = ahead * MS
            await job.measure()

    assert [(line["action"], line["offset_s"]) for line in logs] == [("clock_off", 0.251), ("clock_agrees", 0.25)]


async def test_a_slow_answer_is_no_reason_for_an_alarm(heads, job):
    heads.took = MINUTE

    with capture_logs() as logs:
        await job.measure()

    assert logs == []


@dataclass
class Backlog:
    pending: dict
    as_of: object = None

    async def count_pending(self):
        return self.pending

    async def find_oldest_as_of(self):
        return self.as_of


async def test_who_waits_is_counted_by_reason_and_a_reason_that_is_gone_is_none():
    backlog = Backlog({"awaiting_teacher": 2, "awaiting_validation": 1}, NINE - MINUTE)
    job = BacklogJob(backlog=backlog, now=lambda: NINE)
    await job.measure()
    assert (PENDING.labels("awaiting_validation")._value.get(), COPY_AGE_S._value.get()) == (1, 60)

    backlog.pending, backlog.as_of = {"awaiting_teacher": 3}, None
    await job.measure()

    waiting = [PENDING.labels(reason)._value.get() for reason in ("awaiting_teacher", "awaiting_validation")]
    assert (waiting, COPY_AGE_S._value.get()) == ([3, 0], float("inf"))
