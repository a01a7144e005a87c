"""Timers that have courses closed: armed by events, fired by asking academics, done when its event comes back."""

from datetime import timedelta
from uuid import uuid4

import pytest

from attendance_svc.jobs import CLOSING_LATE_S, ClosingJob
from attendance_svc.store import closing
from contracts.problems import UnavailableError
from infra.postgres import create_pool
from tests.integration.attendance.academics_feed import (
    CLOSED,
    DAY,
    HOUR,
    MINUTE,
    NINE,
    PLANNED,
    SCHOOL,
    Feed,
    shard_in,
)

DUE = NINE + 15 * MINUTE
SECOND = timedelta(seconds=1)


class Academics:
    """Counts when it was asked; `is_down` plays an outage."""

    def __init__(self):
        self.asked, self.is_down = [], False

    async def close_expired(self, now):
        self.asked.append(now)
        if self.is_down:
            raise UnavailableError("academics_down")
        return 0


class SettableClock:
    def __init__(self):
        self.at = NINE

    def __call__(self):
        return self.at


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test") as made:
        yield made


@pytest.fixture
async def feed(pool):
    feed = Feed(pool)
    await feed.preferences()
    return feed


@pytest.fixture
def academics():
    return Academics()


@pytest.fixture
def clock():
    return SettableClock()


@pytest.fixture
def job(pool, academics, clock):
    return ClosingJob(pool=pool, timers=closing, closer=academics, now=clock)


async def timer(pool, course):
    row = await pool.fetchrow("SELECT * FROM course_closing WHERE course_id = $1", course)
    return row["state"], row["due_at"], row["attempts"]


async def timers(pool):
    return sorted(map(str, await pool.fetch("SELECT * FROM course_closing")))


async def test_a_planned_course_is_armed_for_its_due_time(pool, feed):
    course = await feed.course()
    own = await feed.course(closing_delay_minutes=5)

    assert await timer(pool, course) == ("armed", DUE, 0)
    assert await timer(pool, own) == ("armed", NINE + 5 * MINUTE, 0)


async def test_a_course_planned_before_its_schools_preferences_is_moved_when_they_come(pool, feed):
    school = uuid4()
    course = await feed.course(school=school)

    await feed.preferences(school=school, default_signature_closing_delay_minutes=40)

    assert await timer(pool, course) == ("armed", NINE + 40 * MINUTE, 0)


async def test_preferences_move_the_schools_open_courses_and_no_others(pool, feed):
    default, own = await feed.course(), await feed.course(closing_delay_minutes=5)
    stranger = await feed.course(school=uuid4())
    closed = await feed.course()
    await feed.course(closed, **CLOSED)
    cancelled = await feed.course(cancelled=True)
    reopened = await feed.course(signing_open_until=NINE + 30 * MINUTE)

    await feed.preferences(default_signature_closing_delay_minutes=20, late_grace_minutes=3)

    assert await timer(pool, default) == ("armed", NINE + 23 * MINUTE, 0)
    assert await timer(pool, own) == ("armed", NINE + 8 * MINUTE, 0)
    assert await timer(pool, reopened) == ("armed", NINE + 30 * MINUTE, 0)
    untouched = [await timer(pool, each) for each in (stranger, closed, cancelled)]
    assert untouched == [("armed", DUE, 0), ("done", DUE, 0), ("cancelled", DUE, 0)]


async def test_nothing_fires_before_its_time(job, feed, academics, clock):
    await feed.course()
    clock.at = DUE - timedelta(microseconds=1)

    assert await job.fire() == 0
    assert academics.asked == []


async def test_all_that_is_due_is_closed_by_one_question(pool, job, feed, academics, clock, monkeypatch):
    monkeypatch.setattr(closing, "CLAIM_LIMIT", 2)
    courses = [await feed.course() for _ in range(5)]
    clock.at = DUE

    assert await job.fire() == 5

    assert academics.asked == [DUE]
    assert [await timer(pool, course) for course in courses] == [("firing", DUE, 1)] * 5


async def test_a_timer_ends_when_the_event_of_academics_comes_back(pool, job, feed, academics, clock):
    course = await feed.course()
    clock.at = DUE
    await job.fire()

    await feed.course(course, **CLOSED)
    clock.at = DUE + HOUR

    assert await job.fire() == 0
    assert await timer(pool, course) == ("done", DUE, 0)


async def test_a_course_extended_just_before_it_was_due_is_armed_anew(pool, job, feed, academics, clock):
    course = await feed.course()
    clock.at = DUE
    await job.fire()

    await feed.course(course, closing_delay_minutes=30)

    assert await timer(pool, course) == ("armed", NINE + 30 * MINUTE, 0)
    clock.at = NINE + 30 * MINUTE
    assert await job.fire() == 1


async def test_academics_is_asked_again_less_and_less_often_until_it_has_closed(job, feed, academics, clock):
    await feed.course()
    for second in range(125):
        clock.at = DUE + second * SECOND
        await job.fire()

    assert [(asked - DUE).total_seconds() for asked in academics.asked] == [0, 1, 3, 7, 15, 31, 63, 123]


async def test_an_outage_of_academics_is_waited_out_and_noted(pool, job, feed, academics, clock):
    course = await feed.course()
    academics.is_down, clock.at = True, DUE
    await job.fire()

    assert await pool.fetchval("SELECT last_error FROM course_closing") == "academics_down"
    academics.is_down, clock.at = False, DUE + SECOND
    assert await job.fire() == 1
    await feed.course(course, **CLOSED)
    assert await pool.fetchval("SELECT last_error FROM course_closing") is None


async def test_a_crash_after_asking_costs_ten_seconds(pool, job, feed, academics, clock):
    await feed.course()
    await closing.claim(pool, DUE)

    clock.at = DUE + 10 * SECOND - timedelta(microseconds=1)
    assert await job.fire() == 0
    clock.at = DUE + 10 * SECOND
    assert await job.fire() == 1


async def test_replicas_share_what_is_due_without_waiting_for_each_other(pool, feed, monkeypatch):
    monkeypatch.setattr(closing, "CLAIM_LIMIT", 3)
    courses = {await feed.course() for _ in range(5)}

    async with pool.acquire() as one, pool.acquire() as other, one.transaction(), other.transaction():
        taken = [await closing.claim(replica, DUE) for replica in (one, other, one)]

    assert [len(claims) for claims in taken] == [3, 2, 0]
    assert {course for claims in taken for course, _ in claims} == courses


async def test_an_answer_that_comes_late_does_not_touch_a_timer_armed_anew(pool, feed):
    course = await feed.course()
    claims = await closing.claim(pool, DUE)
    await feed.course(course, closing_delay_minutes=30)

    await closing.put_off(pool, claims, DUE, "academics_down")

    row = await pool.fetchrow("SELECT state, next_at, last_error FROM course_closing")
    assert tuple(row) == ("armed", NINE + 30 * MINUTE, None)


async def test_after_a_long_outage_the_oldest_fires_first(pool, feed, monkeypatch):
    monkeypatch.setattr(closing, "CLAIM_LIMIT", 1)
    new = await feed.course(closing_delay_minutes=20)
    old = await feed.course(closing_delay_minutes=5)

    claims = [await closing.claim(pool, NINE + DAY) for _ in range(3)]

    assert claims == [[(old, 1)], [(new, 1)], []]


async def test_how_late_closing_is_can_be_measured(job, feed, academics, clock):
    await feed.course()
    await feed.course(closing_delay_minutes=45)

    for at, late_s in [(NINE, 0), (DUE, 0), (DUE + 90 * SECOND, 90)]:
        clock.at = at
        await job.fire()
        assert CLOSING_LATE_S._value.get() == late_s


async def test_a_sweep_asks_although_no_timer_is_due(job, academics, clock):
    await job.sweep()
    academics.is_down = True
    await job.sweep()

    assert academics.asked == [NINE, NINE]


async def test_a_replay_moves_no_timer(pool, job, feed, clock):
    course = await feed.course()
    await feed.course(course, closing_delay_minutes=5)
    await feed.course(await feed.course(), **CLOSED)
    clock.at = DUE
    await job.fire()
    before = await timers(pool)

    await feed.repeat(*feed.said)

    assert await timers(pool) == before


async def test_timers_that_were_dropped_come_back_with_the_log(pool, feed):
    course = await feed.course()
    await feed.course(course, at=PLANNED + DAY, closing_delay_minutes=5)
    await feed.preferences(late_grace_minutes=2)
    await feed.course(await feed.course(), **CLOSED)
    before = await timers(pool)

    await feed.door.forget_shard(pool, shard_in(SCHOOL))
    assert await timers(pool) == []
    await feed.repeat(*feed.said)

    assert await timers(pool) == before
