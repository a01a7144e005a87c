"""Who watches a course hears of every signature, once and within a second, and loses nothing by coming back."""

import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from attendance_svc.http_api import live, watching
from attendance_svc.http_api.live import LiveRoutes
from attendance_svc.http_api.watching import Watching
from contracts.ids import new_id
from streams.broadcast import BroadcastConsumer
from streams.codec import Delivered
from streams.log_postgres import PostgresEventLog
from streams.names import shard_of
from streams.redis_client import writer_client
from streams.relay import Relay
from tests.event_streams import Board, EventReader
from tests.integration.attendance.playing import mark, sign
from tests.streams_running import running
from tests.waiting import until

PATH = "/signatures/live"
NOWHERE = "redis://127.0.0.1:9"


@pytest.fixture
def watched(school):
    """Who watches in this process."""
    return Watching(range(4))


@pytest.fixture
def routes(routes, desk, school, watched):
    return [*LiveRoutes(desk, watched, PostgresEventLog(school.pool)).routes(), *routes]


@pytest.fixture
async def hearing(school, watched):
    """`async with hearing(redis_url)`: what is kept is carried to the log and to Redis, and heard from there."""

    @asynccontextmanager
    async def start(url):
        consumer = BroadcastConsumer(
            name="attendance.live",
            source="attendance",
            shards=range(4),
            redis_url=url,
            log=PostgresEventLog(school.pool),
            listeners=watched.listeners(),
            reset=watched.start_anew,
        )
        async with (
            writer_client(url) as redis,
            running(Relay(source="attendance", pool=school.pool, redis=redis, shards=range(4))),
            running(SimpleNamespace(run=partial(watched.run, consumer.run))),
        ):
            yield

    return start


@pytest.fixture
async def live_redis(hearing, redis_url):
    async with hearing(redis_url):
        yield


@asynccontextmanager
async def watch(person, *, last_id=None, **query):
    """Somebody who watches the course."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    params = {"course_id": str(person.door.school.course.id)} | {name: str(value) for name, value in query.items()}
    async with person.door.knock("GET", PATH, person, params=params, headers=headers) as response:
        assert response.status == 200, await response.text()
        yield EventReader(response)


async def settle(school):
    """Wait until everything that was kept has its position."""
    await until(lambda: school.pool.fetchval("SELECT count(*) = 0 FROM streams_pending"))


@pytest.mark.usefixtures("live_redis")
async def test_a_board_kept_by_what_is_heard_says_what_the_sheet_says(teacher, admin, school):
    students = [uuid4() for _ in range(6)]
    school.timetable.expected = students
    school.prefer(students_can_sign_before_teacher=False)
    await sign(school, students[0])
    await sign(school, students[5])
    await mark(admin, school, students[5], "REFUSED")
    async with watch(teacher) as reader:
        board = Board().take(await reader.next())
        assert board.states() == dict.fromkeys(map(str, students), "ABSENT") | {str(students[0]): "PENDING"}

        await sign(school, students[1])
        await sign(school, uuid4(), school.course.start_at - timedelta(hours=2))
        await teacher.post(course_id=school.course.id)
        await sign(school, students[2])
        marked = await mark(admin, school, students[3], "REFUSED")
        await admin.patch(marked.body["id"], 1, status="ACCEPTED", reason="was there")
        await mark(admin, school, students[2], "LATE")
        voided = await mark(admin, school, students[4], "ACCEPTED")
        await admin.delete(voided.body["id"], reason="a mistake")

        sheet = (await teacher.get("/signatures/sheet", course_id=school.course.id)).body
        lines = {each["student_id"]: each["status"] for each in (*sheet["students"], *sheet["others"])}
        while board.states() != lines:
            board.take(await reader.next())

    assert len(board.changes) == len(set(board.changes))


@pytest.mark.usefixtures("live_redis")
async def test_a_signature_is_heard_within_a_second(teacher, school):
    student, late_s = uuid4(), []
    async with watch(teacher) as reader:
        sheet = await reader.next()
        kept = await sign(school, student)
        heard = await reader.next()
        for _ in range(3):
            await sign(school, uuid4())
            kept_at_s = time.monotonic()
            await reader.next()
            late_s.append(time.monotonic() - kept_at_s)

    assert min(late_s) < 1
    assert (sheet.name, sheet.data["signatures"]) == ("sheet", [])
    assert heard.data == {
        "signature_id": str(kept.signature.id),
        "student_id": str(student),
        "teacher_id": None,
        "status": "ACCEPTED",
        "previous_status": None,
        "reason": "on_time",
        "method": "FLASHLIGHT",
        "at": "2026-09-01T09:05:00Z",
        "signed_at": "2026-09-01T09:05:00Z",
        "change": 1,
    }


@pytest.mark.usefixtures("live_redis")
async def test_only_those_who_may_see_the_sheet_watch(door, teacher, admin, school):
    foreign = uuid4()
    course = {"course_id": school.course.id}

    answers = [
        await door.someone("teacher", school_id=foreign).get(PATH, **course),
        await door.someone("admin", school_id=foreign).get(PATH, **course),
        await admin.get(PATH, course_id=new_id()),
        await admin.get(PATH, school_id=foreign, **course),
        await door.someone("teacher").get(PATH, **course),
        await door.someone("student").get(PATH, **course),
        await admin.get(PATH),
        await door.someone("dev").get(PATH, **course),
        await door.someone("dev").get(PATH, school_id=foreign, **course),
    ]

    assert [answer.status for answer in answers] == [404, 404, 404, 404, 403, 403, 422, 422, 404]
    async with watch(admin) as one, watch(door.someone("dev"), school_id=school.course.school_id) as other:
        assert {(await one.next()).name, (await other.next()).name} == {"sheet"}


@pytest.mark.usefixtures("live_redis")
async def test_a_course_is_heard_by_its_own_watchers_alone(teacher, admin, school):
    async with watch(teacher) as reader:
        await reader.next()

        await sign(school, uuid4(), course_id=new_id())
        kept = await sign(school, uuid4())

        assert (await reader.next()).data["signature_id"] == str(kept.signature.id)


@pytest.mark.usefixtures("live_redis")
async def test_who_comes_back_hears_what_was_missed_and_nothing_twice(teacher, school):
    async with watch(teacher) as reader:
        board = Board().take(await reader.next())
        await sign(school, uuid4())
        board.take(await reader.next())
    missed = [await sign(school, uuid4()) for _ in range(3)]
    await settle(school)

    async with watch(teacher, last_id=reader.last_id) as again:
        resumed = await again.next()
        heard = [await again.next() for _ in missed]
        new = await sign(school, uuid4())
        heard.append(await again.next())

    assert (resumed.name, resumed.data["missed"], resumed.id) == ("resumed", 3, reader.last_id)
    assert [each.data["signature_id"] for each in heard] == [str(each.signature.id) for each in (*missed, new)]
    for each in heard:
        board.take(each)
    assert (len(board.states()), len(set(board.changes))) == (5, 5)


async def place_of(school, pos):
    shard = shard_of(school.course.school_id, 4)
    incarnation = await school.pool.fetchval("SELECT incarnation FROM streams_shard WHERE shard = $1", shard)
    return incarnation, shard, pos


@pytest.mark.usefixtures("live_redis")
async def test_who_names_a_place_that_cannot_be_continued_gets_the_sheet(teacher, school, monkeypatch):
    monkeypatch.setattr(live, "MOST_MISSED", 2)
    for _ in range(3):
        await sign(school, uuid4())
    await settle(school)
    incarnation, shard, _ = await place_of(school, 0)
    unknown = {
        "too long ago": f"{incarnation}/{shard}/0",
        "the future": f"{incarnation}/{shard}/4",
        "another shard": f"{incarnation}/{(shard + 1) % 4}/3",
        "another log": f"{uuid4()}/{shard}/3",
        "no place": "x",
        "no log": f"{'-' * 36}/{shard}/3",
    }

    found = {}
    for why, last_id in unknown.items():
        async with watch(teacher, last_id=last_id) as reader:
            found[why] = (await reader.next()).name
    async with watch(teacher, last_id=f"{incarnation}/{shard}/1") as reader:
        continued = (await reader.next()).data["missed"]

    assert (set(found.values()), continued) == ({"sheet"}, 2)


async def test_what_a_sheet_has_or_was_heard_is_not_told_again(teacher, school, watched):
    shard = shard_of(school.course.school_id, 4)
    await watched.start_anew(shard)
    kept = (await sign(school, uuid4())).signature
    [(_, event)] = await school.events()

    async def say(pos, change, **more):
        said = heard_as(event, shard=shard, pos=pos, aggver=change)
        await watched.on_change(replace(said, data=said.data | more))

    async with watch(teacher) as reader:
        sheet = await reader.next()
        await say(1, 1)
        await say(2, 2, status="LATE")
        await say(2, 2, status="LATE")
        await say(1, 3, status="REFUSED")
        await say(3, 3, status="ACCEPTED")
        heard = [await reader.next() for _ in range(2)]

    assert [(each["signature_id"], each["change"]) for each in sheet.data["signatures"]] == [(str(kept.id), 1)]
    assert [(each.data["status"], each.data["change"]) for each in heard] == [("LATE", 2), ("ACCEPTED", 3)]
    assert [each.id.rpartition("/")[2] for each in (sheet, *heard)] == ["0", "2", "3"]


def heard_as(event, **places):
    """An event of the outbox as a listener gets it."""
    return Delivered(
        id=UUID(event["id"]), type=event["type"], subject=event["subject"], recorded_at=None, actor={},
        time=datetime.fromisoformat(event["time"]), school_id=None, data=event["data"], correlation_id=None,
        causation_id=None, request_id=None, traceparent=None, ms=1, **places,
    )  # fmt: skip


@pytest.mark.usefixtures("live_redis")
async def test_who_may_have_missed_something_gets_a_fresh_sheet(teacher, school, watched, monkeypatch):
    async with watch(teacher) as reader:
        await reader.next()
        shard = shard_of(school.course.school_id, 4)
        await watched.start_anew((shard + 1) % 4)
        await sign(school, uuid4())
        assert (await reader.next()).name == "signature"
        await watched.start_anew(shard)
        assert (await reader.next()).name == "sheet"

        monkeypatch.setattr(watching, "MOST_UNHEARD", 0)
        kept = await sign(school, uuid4())
        fresh = await reader.next()

    assert fresh.name == "sheet"
    assert str(kept.signature.id) in {each["signature_id"] for each in fresh.data["signatures"]}


async def test_without_redis_the_log_is_heard(teacher, school, hearing):
    async with hearing(NOWHERE), watch(teacher) as reader:
        await reader.next()

        kept = await sign(school, uuid4())

        assert (await reader.next()).data["signature_id"] == str(kept.signature.id)


async def test_while_nothing_is_heard_nobody_is_told_that_all_is_well(teacher, school, monkeypatch):
    monkeypatch.setattr(watching, "HEARD_WITHIN_S", 0.01)

    answer = await teacher.get(PATH, course_id=school.course.id)

    assert (answer.status, answer.body["code"]) == (503, "log_down")


@pytest.mark.usefixtures("live_redis")
async def test_watching_ends_with_the_token(teacher, school, watched):
    async with watch(teacher) as reader:
        await reader.next()

        school.now += timedelta(seconds=331)

        assert (await reader.next()).data == {"reason": "token_expired"}
        assert await reader.next() is None
    assert not watched._watchers
