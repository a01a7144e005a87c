"""Opening and closing signing, by hand and by the job."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import grpc
import pytest

from academics_svc.commands.schools import change_preferences
from academics_svc.commands.signing import close_expired as close_due
from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from tests.integration.academics.conftest import NINE, at
from tests.waiting import until

MINUTE = timedelta(minutes=1)


async def close_expired(stubs, now=None):
    answer = await stubs[1].CloseExpiredCourses(pb.CloseExpiredCoursesRequest(now=now), timeout=5)
    return answer.closed_count


async def shown(school, course):
    return (await school.call(school.admin, "GET", f"/courses/{course['id']}")).body


async def kinds(school, course):
    return [event["type"].split(".")[2] for event in await school.events(course["id"])]


async def signing(school, course, who=None, **body):
    return await school.call(who or school.admin, "POST", f"/courses/{course['id']}/signing", body)


async def prefer(school, **changes):
    path = f"/schools/{school.school}/preferences"
    version = (await school.call(school.admin, "GET", path)).body["version"]
    return await school.call(school.admin, "PATCH", path, changes, if_match=f'"{version}"')


async def change(school, course, **changes):
    version = (await shown(school, course))["version"]
    path = f"/courses/{course['id']}"
    return (await school.call(school.admin, "PATCH", path, changes, if_match=f'"{version}"')).body


async def test_the_job_closes_what_is_due_at_its_nominal_time_and_once(school, stubs):
    course, later = await school.a_course(), await school.a_course(closing_delay_minutes=60)
    school.clock.now = NINE + 40 * MINUTE

    counts = [await close_expired(stubs) for _ in range(2)]

    assert counts == [1, 0]
    closed = await shown(school, course)
    assert (closed["signature_closed"], closed["closed_by"]) == (True, "job")
    assert closed["signature_closed_at"] == at(NINE + 15 * MINUTE)
    assert not (await shown(school, later))["signature_closed"]
    _, event = await school.events(course["id"])
    assert (event["type"], event["aggver"]) == ("academics.course.signature_closed.v1", 2)
    assert event["data"]["signature_closed_at"] == at(NINE + 15 * MINUTE)
    assert event["actor"] == {"type": "job"}


async def test_a_course_shorter_than_its_delay_closes_when_it_ends(school, stubs):
    course = await school.a_course(end_at=at(NINE + 10 * MINUTE), closing_delay_minutes=60)
    school.clock.now = NINE + 10 * MINUTE

    assert await close_expired(stubs) == 1
    assert (await shown(school, course))["signature_closed_at"] == course["end_at"]


async def test_a_caller_whose_clock_is_fast_closes_nothing_early(school, stubs):
    await school.a_course()
    school.clock.now = NINE + 15 * MINUTE - timedelta(milliseconds=1)

    early = await close_expired(stubs, now=NINE + 60 * MINUTE)
    school.clock.now = NINE + 15 * MINUTE
    slow_caller = await close_expired(stubs, now=NINE)
    in_time = await close_expired(stubs, now=NINE + 60 * MINUTE)

    assert (early, slow_caller, in_time) == (0, 0, 1)


async def test_many_replicas_at_once_close_each_course_once(school, stubs):
    for n in range(20):
        await school.a_course(name=f"Course {n}")
    school.clock.now = NINE + 20 * MINUTE

    counts = await asyncio.gather(*(close_expired(stubs) for _ in range(4)))

    assert sum(counts) == 20
    assert await school.pool.fetchval("SELECT count(*) FROM streams_pending WHERE type LIKE '%signature_closed%'") == 20


async def test_more_than_one_batch_is_closed_in_one_call(school, stubs):
    await school.pool.execute(
        """
        WITH made AS (
            INSERT INTO course (id, school_id, name, start_at, end_at, is_online, request_digest)
            SELECT uuidv7(), $1, 'C', $2, $3, false, '' FROM generate_series(1, 450) RETURNING *)
        INSERT INTO course_version
            (course_id, version, name, start_at, end_at, is_online, cancelled, recorded_from)
        SELECT id, version, name, start_at, end_at, is_online, cancelled, recorded_at FROM made
        """,
        school.school,
        NINE,
        NINE + 60 * MINUTE,
    )
    school.clock.now = NINE + 20 * MINUTE

    assert await close_expired(stubs) == 450


async def test_a_course_that_somebody_changes_right_now_is_left_for_the_next_time(school, stubs):
    course = await school.a_course()
    school.clock.now = NINE + 20 * MINUTE
    async with school.pool.acquire() as other, other.transaction():
        await other.fetch("SELECT FROM course FOR UPDATE")

        assert await close_expired(stubs) == 0

    assert await close_expired(stubs) == 1
    assert (await shown(school, course))["signature_closed"]


@pytest.mark.parametrize("changes", [{"closing_delay_minutes": 60}, {"start_at": at(NINE + 30 * MINUTE)}])
async def test_moving_the_due_time_past_now_opens_again_in_the_same_change(school, stubs, changes):
    course = await school.a_course()
    school.clock.now = NINE + 20 * MINUTE
    await close_expired(stubs)

    opened = await change(school, course, **changes)

    assert (opened["signature_closed"], opened["closed_by"], opened["version"]) == (False, None, 3)
    assert await kinds(school, course) == ["created", "signature_closed", "updated"]
    assert not (await school.events(course["id"]))[-1]["data"]["signature_closed"]


async def test_a_later_delay_of_the_school_opens_its_closed_courses_again(school, stubs):
    course, own = await school.a_course(), await school.a_course(closing_delay_minutes=10)
    by_hand = await school.a_course()
    await signing(school, by_hand, state="closed")
    school.clock.now = NINE + 20 * MINUTE
    await close_expired(stubs)

    await prefer(school, default_signature_closing_delay_minutes=30)

    assert not (await shown(school, course))["signature_closed"]
    assert (await shown(school, own))["signature_closed"]
    assert (await shown(school, by_hand))["signature_closed"]
    assert await kinds(school, course) == ["created", "signature_closed", "signature_reopened"]
    assert (await school.events(course["id"]))[-1]["aggver"] == 3
    await prefer(school, late_grace_minutes=60)
    assert not (await shown(school, own))["signature_closed"]


async def test_an_earlier_delay_opens_nothing(school, stubs):
    course = await school.a_course()
    school.clock.now = NINE + 20 * MINUTE
    await close_expired(stubs)

    await prefer(school, default_signature_closing_delay_minutes=5)

    assert (await shown(school, course))["signature_closed"]


async def test_the_job_waits_for_a_change_of_the_delay_that_is_not_committed_yet(school, stubs):
    course, cause = await school.a_course(), school.desk.cause(school.caller(school.admin))
    school.clock.now = NINE + 20 * MINUTE

    async with school.desk.open_books(cause) as books:
        changes = {"default_signature_closing_delay_minutes": 60}
        await change_preferences(school.school, changes, version_seen=1, now=school.clock(), books=books)
        closing = asyncio.create_task(close_expired(stubs))
        await until(lambda: school.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    assert await closing == 0
    assert not (await shown(school, course))["signature_closed"]


async def test_a_change_of_the_delay_waits_for_a_closing_that_is_not_committed_yet(school):
    course, cause = await school.a_course(), school.desk.cause(school.caller(school.admin))
    school.clock.now = NINE + 20 * MINUTE

    async with school.desk.open_books(cause) as books:
        assert await close_due(school.clock(), books=books) == 1
        changing = asyncio.create_task(prefer(school, default_signature_closing_delay_minutes=60))
        await until(lambda: school.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    assert (await changing).status == 200
    assert not (await shown(school, course))["signature_closed"]


async def test_closed_by_hand_stays_closed_until_opened_by_hand(school, stubs):
    course = await school.a_course()
    school.clock.now = NINE + 5 * MINUTE

    closed = await signing(school, course, state="closed")
    await change(school, course, closing_delay_minutes=60)
    school.clock.now = NINE + 30 * MINUTE
    await close_expired(stubs)
    still = await shown(school, course)
    opened = await signing(school, course, state="open")

    assert (closed.status, closed.body["closed_by"]) == (200, "hand")
    assert closed.body["signature_closed_at"] == at(NINE + 5 * MINUTE)
    assert (still["signature_closed"], still["closed_by"]) == (True, "hand")
    assert (opened.body["signature_closed"], opened.body["signing_open_until"]) == (False, None)
    assert await kinds(school, course) == ["created", "signature_closed", "updated", "signature_reopened"]


async def test_a_reopening_lasts_until_it_says_and_the_job_ends_it(school, stubs):
    course = await school.a_course()
    school.clock.now = NINE + 20 * MINUTE
    await close_expired(stubs)

    opened = await signing(school, course, state="open", until=at(NINE + 30 * MINUTE))
    school.clock.now = NINE + 40 * MINUTE
    await close_expired(stubs)

    assert opened.body["signing_open_until"] == at(NINE + 30 * MINUTE)
    closed = await shown(school, course)
    assert (closed["signature_closed_at"], closed["closed_by"]) == (at(NINE + 30 * MINUTE), "job")
    assert await kinds(school, course) == ["created", "signature_closed", "signature_reopened", "signature_closed"]


async def test_repeating_what_holds_already_announces_nothing(school):
    course = await school.a_course()

    answers = [await signing(school, course, state=state) for state in ("open", "closed", "closed", "open", "open")]

    assert [answer.status for answer in answers] == [200] * 5
    assert await kinds(school, course) == ["created", "signature_closed", "signature_reopened"]


async def test_signing_is_not_set_to_what_cannot_be(school):
    course = await school.a_course()

    for body, now, status, code in (
        ({"state": "open", "until": at(NINE + 121 * MINUTE)}, 20, 422, "until_out_of_range"),
        ({"state": "open", "until": at(NINE + 10 * MINUTE)}, 20, 422, "until_out_of_range"),
        ({"state": "open", "until": at(NINE + 60 * MINUTE)}, 5, 409, "signing_is_open"),
        ({"state": "open"}, 121, 409, "course_ended"),
        ({"state": "closed"}, 121, 409, "course_ended"),
        ({"state": "ajar"}, 5, 422, "malformed_body"),
    ):
        school.clock.now = NINE + now * MINUTE
        refused = await signing(school, course, **body)
        assert (refused.status, refused.code) == (status, code), body
    assert await kinds(school, course) == ["created"]


async def test_who_may_open_and_close(school):
    mine, other = school.person("teacher"), school.person("teacher")
    course = await school.a_course(teacher_ids=[str(mine.id)])

    allowed = [await signing(school, course, who, state="closed") for who in (mine, school.admin)]
    refused = [
        await signing(school, course, who, state="open") for who in (other, school.person("student"), school.dev)
    ]
    await prefer(school, teacher_can_modify_closing_delay=False)
    locked = await signing(school, course, mine, state="open")

    assert [answer.status for answer in allowed] == [200, 200]
    assert [(answer.status, answer.code) for answer in refused] == [(403, "forbidden")] * 3
    assert (locked.status, locked.code) == (403, "closing_delay_locked")


async def test_a_cancelled_course_is_not_closed(school, stubs):
    course = await school.a_course()
    await school.call(school.admin, "DELETE", f"/courses/{course['id']}")
    school.clock.now = NINE + 20 * MINUTE

    assert await close_expired(stubs) == 0


async def test_a_time_that_no_honest_caller_has_is_refused(school, stubs):
    request = pb.CloseExpiredCoursesRequest()
    request.now.seconds = 4_000_000_000_000
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs[1].CloseExpiredCourses(request, timeout=5)

    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "malformed_field")
    assert (await signing(school, {"id": uuid4()}, state="closed")).status == 404
