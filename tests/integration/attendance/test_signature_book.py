"""The book of signatures keeps what it is given, all or nothing, and guards what must be single."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest

from attendance_svc.commands.pending import settle_course
from attendance_svc.commands.steps import judged_step, new_step, news_of
from attendance_svc.domain.evidence import evidence_of, plan_from
from attendance_svc.domain.signatures import Signature
from attendance_svc.store.rows import evidence_from
from attendance_svc.store.transitions import transition_of
from contracts.ids import SignatureId, new_id
from contracts.problems import ConflictError, PreconditionFailedError
from tests.fakes.attendance import MINUTE, NINE, an_attempt, some_facts
from tests.integration.attendance.playing import sign


def a_signature(school, **changes):
    usual = {
        "id": SignatureId(new_id()),
        "school_id": school.course.school_id,
        "course_id": school.course.id,
        "kind": "student",
        "subject_id": uuid4(),
        "status": "ACCEPTED",
        "reason": "on_time",
        "method": "NFC",
        "t": NINE,
        "received_at": NINE,
        "rule_version": 1,
    }
    signature = Signature(**(usual | changes))
    attempt = an_attempt(student_id=signature.subject_id, course_id=signature.course_id, method="NFC")
    return replace(signature, attempt=replace(attempt, idempotency_key=signature.idempotency_key))


async def keep(school, *steps):
    async with school.open_book() as book:
        await book.keep(steps, news_of(steps, school.cause()))


def first_step(school, signature):
    return new_step(signature, cause=school.cause(), evidence={})


async def test_what_was_kept_is_found_as_it_was(school):
    signature = a_signature(school, idempotency_key="k", beacon_id=new_id(), classroom_id=new_id(), digest=b"x" * 32)
    attempt = replace(
        signature.attempt,
        school_id=signature.school_id,
        beacon_id=signature.beacon_id,
        classroom_id=signature.classroom_id,
        proof_digest=signature.digest,
        uncertainty=MINUTE,
        flags=frozenset({"chain_gap", "two_rooms"}),
        has_device=False,
    )
    signature = replace(signature, attempt=attempt)
    await keep(school, first_step(school, signature))

    async with school.open_book() as book:
        found = await book.find(signature.id)
        repeats = await book.find_repeats(["k", "another"])

    assert found == replace(signature, announced=1)
    assert repeats == {"k": (found, found)}


async def test_a_key_is_single_for_ever(school):
    await keep(school, first_step(school, a_signature(school, idempotency_key="k")))

    with pytest.raises(ConflictError, match="idempotency_key_reused"):
        await keep(school, first_step(school, a_signature(school, idempotency_key="k")))

    assert await school.news() == ["signature.accepted"]


async def test_nobody_stands_twice(school):
    first = a_signature(school)
    await keep(school, first_step(school, first))

    with pytest.raises(asyncpg.UniqueViolationError):
        await keep(school, first_step(school, a_signature(school, subject_id=first.subject_id)))


async def test_a_step_follows_the_version_that_was_read(school):
    signature = a_signature(school)
    step = first_step(school, signature)
    await keep(school, step)
    late = judged_step(
        step.after, replace(step.after, status="LATE", reason="after_closing_delay"), cause=school.cause(), evidence={}
    )
    await keep(school, late)

    with pytest.raises(PreconditionFailedError, match="version_stale"):
        await keep(school, late)

    assert await school.count("signature_transition") == 2


async def test_when_the_caller_fails_nothing_is_kept(school):
    step = first_step(school, a_signature(school))

    with pytest.raises(ZeroDivisionError):
        async with school.open_book() as book:
            await book.keep([step], news_of([step], school.cause()))
            raise ZeroDivisionError

    assert [await school.count(table) for table in ("signature", "signature_transition", "streams_pending")] == [0] * 3


async def test_whoever_holds_a_course_alone_is_alone(school):
    entered = asyncio.Event()

    async def attempt():
        async with school.open_book() as book:
            await book.lock(school.course.id, uuid4())
            entered.set()

    async with school.open_book() as book:
        await book.lock(school.course.id, uuid4(), alone=True)
        waiting = asyncio.create_task(attempt())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(entered.wait(), 0.2)
    await waiting

    assert entered.is_set()


async def test_two_students_of_a_course_do_not_wait_for_each_other(school):
    async with school.open_book() as one, school.open_book() as other:
        await one.lock(school.course.id, uuid4())
        await asyncio.wait_for(other.lock(school.course.id, uuid4()), 2)


async def test_what_academics_said_can_be_read_back_from_the_evidence(school):
    school.directory.plan = replace(
        school.directory.plan,
        course=replace(school.course, open_until=NINE + 50 * MINUTE, is_closed=True, closed_at=NINE + 55 * MINUTE),
    )
    await sign(school, uuid4())
    text = await school.pool.fetchval("SELECT evidence FROM signature_transition")

    assert plan_from(evidence_from(text)) == school.directory.plan


async def test_evidence_of_what_was_not_known_says_so(school):
    attempt = an_attempt()
    unknown = evidence_of(replace(some_facts(), plan=None, proof=None), attempt)
    no_course = evidence_of(replace(some_facts(), plan=replace(some_facts().plan, course=None)), attempt)

    assert plan_from(unknown) is None
    assert plan_from(no_course).course is None


async def test_a_transition_read_back_has_the_digest_that_was_told(school):
    await sign(school, uuid4(), flags=frozenset({"chain_gap"}))
    row = await school.pool.fetchrow("SELECT * FROM signature_transition")

    transition = transition_of(row, evidence_from(row["evidence"]))

    assert transition.digest() == row["digest"].hex()
    assert replace(transition, reason="on_time").digest() != row["digest"].hex()


async def test_a_large_class_that_waits_is_settled_within_the_limit_of_a_request(school):
    school.prefer(students_can_sign_before_teacher=False)
    one = await sign(school, uuid4())
    text = await school.pool.fetchval("SELECT evidence FROM signature_transition")
    steps = [
        new_step(
            replace(
                a_signature(school, status="PENDING", reason="awaiting_teacher"),
                attempt=an_attempt(course_id=school.course.id),
            ),
            cause=school.cause(),
            evidence=evidence_from(text),
        )
        for _ in range(499)
    ]
    await keep(school, *steps)

    settled = await settle_course(school.course.id, at=school.now, open_book=school.open_book, cause=school.cause())

    assert (one.reason, settled) == ("awaiting_teacher", 500)
