"""Signing closes once, at the right time, however often that moves, whatever the clocks say, whoever is away."""

import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import aiohttp
import pytest
import redis.asyncio

from academics_svc import settings as academics_settings
from academics_svc import wiring as academics_wiring
from academics_svc.__main__ import process as academics
from attendance_svc import settings as attendance_settings
from attendance_svc import wiring as attendance_wiring
from attendance_svc.__main__ import process as attendance
from infra.clock import utc_now
from infra.process import running
from streams.names import shard_of, stream_key
from tests.integration.attendance.test_closing_process import a_developers
from tests.waiting import until

pytestmark = pytest.mark.slow
SECOND = timedelta(seconds=1)
DELAY = timedelta(minutes=15)  # from a course's start to the end of signing, as schools are set up
CLOSED = "academics.course.signature_closed.v1"
PATIENCE_S, TRIES = 40, 5


class Clock:
    """The machine's clock, some seconds ahead."""

    def __init__(self, ahead_s=0):
        self.ahead = ahead_s * SECOND

    def __call__(self):
        return utc_now() + self.ahead


class Stage:
    """A school whose courses end soon, and what academics' stream says of them."""

    def __init__(self, session, url, redis_url, settings):
        self.session, self.url, self.redis_url, self.settings = session, url, redis_url, settings
        self.school_id = None

    async def call(self, method, path, *, version=None, **body):
        headers = {"Idempotency-Key": str(uuid4())} if version is None else {"If-Match": version}
        query = {"school_id": self.school_id} if method in ("PATCH", "DELETE") else {}
        sent = {"json": body or None, "headers": headers, "params": query}
        for _ in range(TRIES):
            async with self.session.request(method, self.url + path, **sent) as answer:
                text = await answer.text()
            # A machine that is busy with three replicas may keep a request waiting for a connection too long.
            if answer.status != 503:
                break
        if answer.status == 412:
            return None
        assert answer.status < 300, text
        return answer.headers.get("ETag"), json.loads(text or "null")

    async def course(self, due_at):
        """Plan a course whose signing ends at `due_at`; return its id."""
        times = moments(due_at)
        _, made = await self.call("POST", "/courses", school_id=self.school_id, name="Algebra", **times)
        return made["id"]

    async def move(self, course_id, due_at):
        """Let signing end at `due_at`, also when the job was faster."""
        while True:
            version, _ = await self.call("GET", f"/courses/{course_id}")
            if await self.call("PATCH", f"/courses/{course_id}", version=version, **moments(due_at)):
                return

    async def events(self):
        """What was said of every course, each with its state after that."""
        async with redis.asyncio.Redis.from_url(self.redis_url, decode_responses=True) as client:
            entries = await client.xrange(stream_key("academics", shard_of(UUID(self.school_id), 4)))
        return [each for _, each in entries if each["type"].startswith("academics.course.")]

    async def said(self, course_id):
        return [each for each in await self.events() if each["subject"].endswith(course_id)]

    async def closed(self, course_id, due_at):
        """Whether signing is closed, and was not closed for the last time before `due_at`."""
        said = await self.said(course_id)
        return bool(said) and said[-1]["type"] == CLOSED and datetime.fromisoformat(said[-1]["time"]) >= due_at

    @asynccontextmanager
    async def attendance(self, replicas=1, clock=utc_now):
        """Run replicas of attendance."""
        process = replace(attendance, build=lambda settings: attendance_wiring.build(settings, now=clock))
        async with AsyncExitStack() as stack:
            for n in range(replicas):
                settings = self.settings.model_copy(update={"replica_name": f"attendance-{n}"})
                await stack.enter_async_context(running(process, settings))
            yield


def moments(due_at):
    start_at = due_at - DELAY
    return {
        name: moment.isoformat().replace("+00:00", "Z")
        for name, moment in (("start_at", start_at), ("end_at", start_at + 60 * timedelta(minutes=1)))
    }


@pytest.fixture
async def open_stage(settings_of, key, redis_url):
    """Makes a stage with academics running by the clock that is given."""
    async with AsyncExitStack() as stack:

        async def make(clock=utc_now):
            source = await settings_of("academics", academics_settings.Settings)
            await academics_wiring.migrate(source)
            process = replace(academics, build=lambda settings: academics_wiring.build(settings, now=clock))
            ports = await stack.enter_async_context(running(process, source))
            peer = f"127.0.0.1:{ports['grpc_port']}"
            settings = await settings_of("attendance", attendance_settings.Settings, academics_grpc=peer)
            await attendance_wiring.migrate(settings)
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=a_developers(key)))
            stage = Stage(session, f"http://127.0.0.1:{ports['http_port']}", redis_url, settings)
            _, school = await stage.call("POST", "/schools", name="Lycée")
            stage.school_id = school["id"]
            return stage

        yield make


def judge(figures, said, due_at):
    """Count what academics said of one course against when its signing had to end, the last time."""
    closings = [each for each in said if each["type"] == CLOSED]
    states = [json.loads(each["data"])["signature_closed"] for each in said]
    again = [each for before, each in zip(states, said[1:], strict=False) if before and each["type"] == CLOSED]
    figures.committed += 1
    figures.applied += bool(closings)
    figures.doubled += len(again)
    figures.lost += not closings
    figures.out_of_order += bool(closings) and datetime.fromisoformat(closings[-1]["time"]) < due_at
    assert figures.is_clean, figures


@pytest.mark.fault(21)
async def test_courses_that_move_at_the_last_second_close_once_by_three_replicas(open_stage, figures):
    stage = await open_stage()
    async with stage.attendance(replicas=3):
        first = utc_now() + 4 * SECOND
        extended, shortened = await stage.course(first), await stage.course(first + 600 * SECOND)
        cancelled, reopened = await stage.course(first), await stage.course(first - 2 * SECOND)
        await stage.call("DELETE", f"/courses/{cancelled}")
        await until(lambda: utc_now() >= first - SECOND, 10)
        await stage.move(extended, first + 4 * SECOND)
        await stage.move(shortened, past := utc_now() - 60 * SECOND)
        await until(lambda: stage.closed(reopened, first - 2 * SECOND), PATIENCE_S)
        await stage.move(reopened, again := utc_now() + 4 * SECOND)
        figures.injected += 4

        await until(lambda: stage.closed(extended, first + 4 * SECOND), PATIENCE_S)
        await until(lambda: stage.closed(shortened, past), PATIENCE_S)
        await until(lambda: stage.closed(reopened, again), PATIENCE_S)

    judge(figures, await stage.said(extended), first + 4 * SECOND)
    judge(figures, await stage.said(shortened), past)
    judge(figures, await stage.said(reopened), again)
    assert CLOSED not in [each["type"] for each in await stage.said(cancelled)]


@pytest.mark.fault(21)
async def test_what_was_due_while_attendance_was_away_is_closed_when_it_is_back(open_stage, figures):
    stage = await open_stage()
    async with stage.attendance():
        course = await stage.course(due := utc_now() + 4 * SECOND)
        gone_by = await stage.course(due)
    await until(lambda: utc_now() > due + SECOND, 10)
    assert CLOSED not in [each["type"] for each in await stage.events()]
    figures.injected += 1

    async with stage.attendance(replicas=2):
        await until(lambda: stage.closed(course, due), PATIENCE_S)
        await until(lambda: stage.closed(gone_by, due), PATIENCE_S)

    for each in (course, gone_by):
        judge(figures, await stage.said(each), due)


@pytest.mark.fault(16)
@pytest.mark.parametrize("ahead_s", [2, -2])
@pytest.mark.parametrize("whose", ["academics", "attendance"])
async def test_a_clock_that_is_off_closes_nothing_early_by_academics_clock(open_stage, figures, whose, ahead_s):
    off = Clock(ahead_s)
    stage = await open_stage(off if whose == "academics" else utc_now)
    figures.injected += 1
    async with stage.attendance(clock=off if whose == "attendance" else utc_now):
        course = await stage.course(due := utc_now() + 5 * SECOND)
        await until(lambda: stage.closed(course, due), PATIENCE_S)

    judge(figures, await stage.said(course), due)


@pytest.mark.fault(16)
async def test_a_clock_that_goes_back_ten_seconds_closes_late_and_once(open_stage, figures):
    clock = Clock()
    stage = await open_stage()
    async with stage.attendance(clock=clock):
        course = await stage.course(due := utc_now() + 4 * SECOND)
        clock.ahead = -10 * SECOND
        figures.injected += 1
        await until(lambda: stage.closed(course, due), PATIENCE_S)

    judge(figures, await stage.said(course), due)
