"""From academics' doors over its log, relay and stream into attendance's copy: both then say the same."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import redis.asyncio

from attendance_svc.clients import GrpcCourseCloser, GrpcCourseDirectory
from attendance_svc.domain.bearings import Bearings
from attendance_svc.domain.copy import Question
from attendance_svc.jobs import ClosingJob, SheetJob
from attendance_svc.store import academics_copy, closing
from attendance_svc.store.sheets import PostgresSheets
from attendance_svc.store.signatures import open_book
from contracts.problems import UnavailableError
from streams.outbox import Outbox
from tests.fakes.attendance import an_attempt
from tests.integration.academics import conftest as academics
from tests.integration.attendance import both_services as both
from tests.waiting import until

SHARDS = both.SHARDS
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
NINE = academics.NINE
world, school = academics.world, academics.school
switch, pool, source, relaying, channel = both.switch, both.pool, both.source, both.relaying, both.channel


@pytest.fixture
def consuming(pool, channel, relaying, redis_url):
    """Runs academics' relay and attendance's consumer."""

    @asynccontextmanager
    async def start():
        async with relaying(), both.consuming_into(pool, channel, redis_url):
            yield

    return start


class Plan:
    """A course, its people and its rooms, as academics' REST door made them; `moments` are between the changes."""

    def __init__(self, school):
        self.school, self.moments = school, []
        self.students = [school.person("student") for _ in range(2)]

    async def make(self):
        self.room, self.other_room = [await self.school.make("/classrooms", name=n) for n in ("A1", "B2")]
        self.group = await self.school.a_group(self.students[0])
        links = {"group_ids": [self.group["id"]], "classroom_ids": [self.room["id"]]}
        self.course = await self.school.a_course(**links)
        await self.note()

    async def note(self):
        self.moments.append(await self.school.database_now())

    async def do(self, method, path, body=None):
        shown = await self.school.call(self.school.admin, "GET", path)
        seen = {"if_match": shown.headers["ETag"]} if method == "PATCH" else {}
        answer = await self.school.call(self.school.admin, method, path, body, **seen)
        assert answer.status in (200, 201, 204), answer.body
        await self.note()

    async def change_everything(self):
        course, group = f"/courses/{self.course['id']}", f"/groups/{self.group['id']}"
        await self.do("PATCH", course, {"is_online": True, "closing_delay_minutes": 25})
        await self.do("PUT", f"{group}/members/{self.students[1].id}")
        await self.do("PATCH", f"/schools/{self.school.school}/preferences", {"late_grace_minutes": 5})
        await self.do("DELETE", f"{group}/members/{self.students[0].id}")
        await self.do("PUT", f"{course}/classrooms/{self.other_room['id']}")
        await self.do("DELETE", f"{course}/classrooms/{self.room['id']}")
        self.school.clock.now = NINE + 5 * MINUTE
        await self.do("POST", f"{course}/signing", {"state": "closed"})
        self.school.clock.now = NINE + 10 * MINUTE
        until_ = academics.at(NINE + 40 * MINUTE)
        await self.do("POST", f"{course}/signing", {"state": "open", "until": until_})
        await self.do("DELETE", f"{course}/groups/{self.group['id']}")
        await self.do("DELETE", course)


@pytest.fixture
async def plan(school):
    plan = Plan(school)
    await plan.make()
    return plan


async def copied(pool, plan, at, student, room, course=None):
    asked = Question(
        course_id=UUID(course or plan.course["id"]),
        at=at,
        school_id=plan.school.school,
        student_id=student,
        classroom_id=room,
    )
    [found] = await academics_copy.look_up(pool, [asked], shard_count=SHARDS)
    return found


async def is_copied(pool, plan):
    """Return whether the copy is sure of everything up to the last moment noted."""
    found = await copied(pool, plan, plan.moments[-1], uuid4(), None)
    return found.state.as_of is not None and found.state.as_of > plan.moments[-1]


async def answer(directory, attempt):
    """Ask academics; None when a busy machine let its deadline pass."""
    try:
        return await directory.get_plan(attempt)
    except UnavailableError:
        return None


async def test_the_copy_answers_every_moment_as_academics_does(pool, channel, consuming, plan):
    async with consuming():
        await plan.change_everything()
        await until(lambda: is_copied(pool, plan), 15)

    directory = GrpcCourseDirectory(channel)
    rooms = [UUID(plan.room["id"]), UUID(plan.other_room["id"])]
    seen = set()
    for at in (plan.moments[0] - 60 * MINUTE, *plan.moments):
        for student, room in zip((plan.students[0].id, plan.students[1].id), rooms, strict=True):
            attempt = an_attempt(
                at,
                school_id=plan.school.school,
                course_id=UUID(plan.course["id"]),
                student_id=student,
                classroom_id=room,
            )
            told = (await copied(pool, plan, at, student, room)).plan
            assert replace(told, basis="rpc", place=None) == await until(lambda asked=attempt: answer(directory, asked))
            seen.add(repr(replace(told, place=None)))
    assert len(seen) > len(plan.moments), "the moments differ, or this would prove nothing"


async def test_the_copy_is_the_same_after_redis_lost_everything(pool, consuming, plan, redis_url):
    async with consuming():
        await until(lambda: is_copied(pool, plan), 15)
        async with redis.asyncio.Redis.from_url(redis_url) as stream:
            await stream.flushall()
        await plan.change_everything()

        await until(lambda: is_copied(pool, plan), 15)

    found = (await copied(pool, plan, plan.moments[-1], uuid4(), None)).plan
    assert found.course.is_cancelled


async def test_a_copy_that_is_made_anew_is_the_same(pool, consuming, plan):
    async with consuming():
        await plan.change_everything()
        await until(lambda: is_copied(pool, plan), 15)
    before = await pool.fetch("SELECT * FROM copy_course ORDER BY version")
    timers = await pool.fetch("SELECT * FROM course_closing")

    await pool.execute("UPDATE streams_checkpoint SET state = 'repair', as_of = NULL")
    async with consuming():
        await until(lambda: is_copied(pool, plan), 15)

    assert await pool.fetch("SELECT * FROM copy_course ORDER BY version") == before
    assert await pool.fetch("SELECT * FROM course_closing") == timers


async def test_signing_closes_by_itself_and_its_sheet_follows(pool, channel, consuming, plan):
    outbox = Outbox(SHARDS)
    clock = plan.school.clock
    job = ClosingJob(pool=pool, timers=closing, closer=GrpcCourseCloser(channel), now=clock)
    bearings = Bearings()
    bearings.note_clock(NINE, sent_at=NINE, heard_at=NINE)
    sheet_job = SheetJob(
        pool=pool,
        sheets=PostgresSheets(outbox),
        open_book=lambda: open_book(pool, outbox, lambda *_shards: None),
        bearings=bearings,
        now=clock,
    )

    async def has_sheet():
        await sheet_job.look()
        return await pool.fetchval("SELECT version FROM sheet")

    async def is_closed():
        return await pool.fetchval("SELECT state = 'done' FROM course_closing")

    async with consuming():
        await until(lambda: is_copied(pool, plan), 15)
        clock.now = NINE + 15 * MINUTE
        assert await job.fire() == 1
        await until(is_closed, 15)
        await until(has_sheet, 15)
        closed = await copied(pool, plan, await plan.school.database_now(), plan.students[0].id, None)

    assert closed.plan.course.closed_at == NINE + 15 * MINUTE
    [said] = await pool.fetch("SELECT type, agg_id FROM streams_pending")
    assert tuple(said) == ("attendance.sheet.closed.v1", UUID(plan.course["id"]))
    assert list(await pool.fetchval("SELECT absent_ids FROM sheet")) == [plan.students[0].id]
