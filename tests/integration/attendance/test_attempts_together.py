"""Attempts of many requests are kept together, and each stands or falls by itself."""

import asyncio
from collections import Counter
from uuid import uuid4

import asyncpg
import pytest

from attendance_svc.commands.attempts import create_signature_attempts
from attendance_svc.domain.signatures import Answer
from contracts.ids import StudentId
from contracts.problems import ConflictError
from tests.fakes.attendance import MINUTE, an_attempt
from tests.integration.attendance.playing import submitted
from tests.integration.attendance.test_freshness import Copied
from tests.waiting import until

COUNT_TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM signature"


def attempt(school, student_id=None, at=None, **changes):
    fields = {
        "course_id": school.course.id,
        "school_id": school.course.school_id,
        "student_id": StudentId(student_id or uuid4()),
        "received_at": school.now,
    }
    return an_attempt(at or school.now, **(fields | changes))


async def hand_in(school, *attempts):
    """Attempts of one request."""
    submissions = [submitted(school, each) for each in attempts]
    return await create_signature_attempts(submissions, sources=school.sources, keep=school.keep)


def reasons(outcomes):
    return [each.reason if isinstance(each, Answer) else type(each) for each in outcomes]


async def test_requests_that_come_together_share_a_transaction(school):
    async with school.open_book() as book:
        await book.lock(school.course.id, uuid4(), alone=True)
        # While one transaction waits for the course, the others gather.
        requests = [asyncio.ensure_future(hand_in(school, attempt(school))) for _ in range(20)]
        await until(lambda: len(school.directory.asked) == len(requests))

    outcomes = await asyncio.gather(*requests)

    assert Counter(reasons(each for [each] in outcomes)) == {"on_time": 20}
    assert await school.pool.fetchval(COUNT_TRANSACTIONS) <= 2


async def test_one_that_cannot_be_kept_fails_alone_in_a_batch_of_256(school):
    good = [attempt(school) for _ in range(255)]
    poison = attempt(school, proof_digest=b"too short for the database")

    outcomes = await hand_in(school, *good[:100], poison, *good[100:])

    assert Counter(reasons(outcomes)) == {"on_time": 255, asyncpg.CheckViolationError: 1}
    assert isinstance(outcomes[100], asyncpg.CheckViolationError)
    assert await school.rows() == [("ACCEPTED", "on_time", False)] * 255
    assert len(await school.news()) == 255


async def test_a_student_who_comes_twice_in_a_batch_has_signed_once(school):
    student = uuid4()

    outcomes = await hand_in(school, attempt(school, student), attempt(school), attempt(school, student))

    assert reasons(outcomes) == ["on_time", "on_time", "already_signed"]
    assert outcomes[2].signature == outcomes[0].signature


async def test_the_earlier_proof_counts_in_whichever_order_a_batch_has_them(school):
    student, late = uuid4(), school.course.start_at + 20 * MINUTE
    school.now = late

    outcomes = await hand_in(school, attempt(school, student, late), attempt(school, student, late - 10 * MINUTE))

    assert reasons(outcomes) == ["after_closing_delay", "on_time"]
    assert await school.rows() == [("ACCEPTED", "on_time", False), ("LATE", "after_closing_delay", True)]


async def test_a_request_that_is_repeated_in_its_own_batch_is_answered_alike(school):
    once = attempt(school)

    first, again = await hand_in(school, once, once)

    assert first == again
    assert len(await school.rows()) == 1


async def test_a_key_that_serves_two_is_refused_to_the_second_alone(school):
    key = str(uuid4())

    outcomes = await hand_in(
        school, attempt(school, idempotency_key=key), attempt(school, idempotency_key=key), attempt(school)
    )

    assert reasons(outcomes) == ["on_time", ConflictError, "on_time"]


async def test_a_caller_who_goes_away_disturbs_nobody(school):
    async with school.open_book() as book:
        await book.lock(school.course.id, uuid4(), alone=True)
        requests = [asyncio.ensure_future(hand_in(school, attempt(school))) for _ in range(5)]
        await until(lambda: len(school.directory.asked) == len(requests))
        requests[2].cancel()
        with pytest.raises(asyncio.CancelledError):
            await requests[2]

    outcomes = await asyncio.gather(*requests, return_exceptions=True)

    assert [isinstance(each, BaseException) for each in outcomes] == [False, False, True, False, False]
    assert set(await school.rows()) == {("ACCEPTED", "on_time", False)}


async def test_who_must_be_asked_about_does_not_hold_up_who_is_known(school):
    """The copy is certain of the one, and too old for the other."""
    copied = Copied(school)
    await copied.plan()
    await copied.is_sure_of(school.now)
    school.directory.may_answer = asyncio.Event()
    unknown = attempt(school, at=school.now + MINUTE, received_at=school.now + MINUTE)

    request = asyncio.ensure_future(hand_in(school, unknown, attempt(school, copied.member)))
    await until(school.rows)
    kept_first = await school.rows()
    school.directory.may_answer.set()
    outcomes = await request

    assert kept_first == [("ACCEPTED", "on_time", False)]
    assert reasons(outcomes) == ["on_time", "on_time"]
