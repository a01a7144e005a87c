"""What could not be judged is judged later, as of its own time, and ends where it would have ended anyway."""

import asyncio
from uuid import uuid4

import pytest

from attendance_svc.commands.asking import ask
from attendance_svc.commands.pending import (
    resolve,
    resolve_pending,
    settle_course,
    settle_overdue,
)
from attendance_svc.ports import NfcReading
from contracts.ids import BeaconId, ClassroomId, new_id
from tests.fakes.attendance import HOUR, MINUTE, NINE, a_claim
from tests.integration.attendance.playing import sign

CLAIM = a_claim()
ON_TIME, LATE = ("ACCEPTED", "on_time"), ("LATE", "after_closing_delay")
WAITING = ("PENDING", "awaiting_validation")


async def resolved(school, room=None):
    return await resolve_pending(
        waiting_room=room or school.waiting_room,
        sources=school.sources,
        open_book=school.open_book,
        cause=school.cause(),
    )


async def sign_during_outage(school, student_id, at, **changes):
    school.directory.is_down = True
    answer = await sign(school, student_id, at, **changes)
    school.directory.is_down = False
    return answer


def judged(rows):
    return [row[:2] for row in rows]


async def test_what_waited_becomes_what_it_would_have_been(school):
    school.now = NINE + 30 * MINUTE
    for minute in (-1, 0, 20, 26):
        await sign_during_outage(school, uuid4(), NINE + minute * MINUTE)
    assert judged(await school.rows()) == [WAITING] * 4

    assert await resolved(school) == 4

    assert judged(await school.rows()) == [("REFUSED", "too_early"), ON_TIME, LATE, ("REFUSED", "signing_closed")]
    versions = [body["aggver"] for _, body in await school.events()]
    assert versions == [1, 1, 1, 1, 2, 2, 2, 2]


async def test_more_than_a_page_is_resolved_in_one_go(school, monkeypatch):
    monkeypatch.setattr("attendance_svc.commands.pending.PAGE", 2)
    for _ in range(4):
        await sign_during_outage(school, uuid4(), NINE)

    assert [await resolved(school), await resolved(school)] == [4, 0]


@pytest.mark.parametrize("page", [2, 100])
async def test_while_academics_is_away_it_is_asked_once(school, monkeypatch, page):
    monkeypatch.setattr("attendance_svc.commands.pending.PAGE", page)
    for _ in range(3):
        await sign_during_outage(school, uuid4(), NINE)
    asked = len(school.directory.asked)
    school.directory.is_down = True

    assert await resolved(school) == 0

    assert len(school.directory.asked) == asked + 1


async def test_while_identity_is_away_only_those_wait_who_need_it(school):
    school.phones.is_down = True
    school.codes.reading = NfcReading(beacon_id=BeaconId(new_id()), classroom_id=ClassroomId(new_id()), step=1)
    for minute in range(2):
        await sign(school, uuid4(), NINE + minute * MINUTE, claim=CLAIM)
    await sign_during_outage(school, uuid4(), NINE + 2 * MINUTE)

    assert await resolved(school) == 1
    assert judged(await school.rows()) == [WAITING, WAITING, ON_TIME]

    school.phones.is_down = False
    assert await resolved(school) == 2


async def test_of_two_that_waited_the_earlier_one_counts(school):
    student = uuid4()
    await sign_during_outage(school, student, NINE + 2 * MINUTE)
    await sign_during_outage(school, student, NINE + MINUTE)

    await resolved(school)

    assert await school.rows() == [("ACCEPTED", "on_time", False), ("ACCEPTED", "on_time", True)]
    assert (await school.news())[2:] == ["signature.accepted", "signature.superseded"]


async def test_an_earlier_proof_that_waited_wins_over_a_late_signature(school):
    student, school.now = uuid4(), NINE + 20 * MINUTE
    waiting = await sign_during_outage(school, student, NINE)
    late = await sign(school, student)

    assert (late.reason, waiting.signature.status) == ("after_closing_delay", "PENDING")
    await resolved(school)

    assert await school.rows() == [("ACCEPTED", "on_time", False), ("LATE", "after_closing_delay", True)]
    assert await school.news() == [
        "signature.pending",
        "signature.late",
        "signature.superseded",
        "signature.accepted",
    ]


async def test_an_earlier_proof_waits_beside_a_late_signature_and_a_later_one_does_not(school):
    student, school.now = uuid4(), NINE + 20 * MINUTE
    await sign(school, student)

    earlier = await sign_during_outage(school, student, NINE)
    later = await sign_during_outage(school, student, NINE + 20 * MINUTE)

    assert [earlier.reason, later.reason] == ["awaiting_validation", "already_signed"]
    await resolved(school)
    assert (await sign(school, student)).signature.status == "ACCEPTED"


async def test_the_repeat_of_what_was_superseded_is_answered_with_what_counts_now(school):
    student, school.now, key = uuid4(), NINE + 20 * MINUTE, str(uuid4())
    first = await sign(school, student, idempotency_key=key)
    better = await sign(school, student, NINE)

    again = await sign(school, student, idempotency_key=key)

    assert first.reason == "after_closing_delay"
    assert (again.signature.id, again.reason, again.is_new) == (better.signature.id, "already_signed", False)


async def test_what_a_human_decided_meanwhile_is_left_alone(school):
    waiting = await sign_during_outage(school, uuid4(), NINE)
    await school.pool.execute(
        "UPDATE signature SET version = 2, status = 'REFUSED' WHERE id = $1", waiting.signature.id
    )

    asked = await ask(waiting.signature.attempt, sources=school.sources)
    decided = await resolve(waiting.signature, asked, open_book=school.open_book, cause=school.cause())

    assert not decided
    assert judged(await school.rows()) == [("REFUSED", "awaiting_validation")]


async def test_two_resolvers_at_once_decide_once(school):
    for _ in range(3):
        await sign_during_outage(school, uuid4(), NINE)

    decided = await asyncio.gather(resolved(school), resolved(school))

    assert sum(decided) == 3
    assert [news for news in await school.news() if news != "signature.pending"] == ["signature.accepted"] * 3


async def test_an_attempt_without_a_school_is_told_once_its_school_is_known(school):
    await sign_during_outage(school, uuid4(), NINE, school_id=None)
    assert await school.news() == []

    await resolved(school)

    [(type_, body)] = await school.events()
    assert (type_, body["aggver"], body["partitionkey"]) == ("signature.accepted", 1, str(school.course.school_id))
    assert body["data"]["previous_status"] == "PENDING"


async def test_a_room_that_the_copy_could_not_place_is_placed_later(school):
    school.timetable.courses = None
    await sign(school, uuid4(), NINE, course_id=None, classroom_id=ClassroomId(new_id()))
    school.timetable.courses = [school.course.id]

    await resolved(school)

    row = await school.pool.fetchrow("SELECT course_id, status FROM signature")
    assert tuple(row) == (school.course.id, "ACCEPTED")


async def test_who_waits_for_validation_may_then_wait_for_the_teacher(school):
    school.prefer(students_can_sign_before_teacher=False)
    await sign_during_outage(school, uuid4(), NINE)

    await resolved(school)
    assert judged(await school.rows()) == [("PENDING", "awaiting_teacher")]

    await settle_course(school.course.id, at=school.now, open_book=school.open_book, cause=school.cause())
    assert judged(await school.rows()) == [("REFUSED", "teacher_absent")]


async def test_who_waits_for_the_teacher_goes_on_waiting_until_something_changes(school):
    school.prefer(students_can_sign_before_teacher=False)
    await sign(school, uuid4())
    await school.pool.execute("DELETE FROM course_settled")

    class Everyone:
        async def list_overdue(self, *, limit):
            return [school.course.id]

    assert await settle_overdue(waiting_room=Everyone(), open_book=school.open_book, cause=school.cause()) == 0


MOMENTS = [-1, 3, 14, 16, 24, 27]


@pytest.mark.parametrize("outages", ["none", "all", "every other", "first", "last"])
@pytest.mark.parametrize("order", ["in order", "backwards", "mixed"])
async def test_outages_and_the_order_of_arrival_cost_nobody_anything(school, outages, order):
    student, school.now = uuid4(), NINE + HOUR
    moments = {"in order": MOMENTS, "backwards": MOMENTS[::-1], "mixed": MOMENTS[1::2] + MOMENTS[::2]}[order]
    away = {
        "none": set(),
        "all": set(range(6)),
        "every other": {0, 2, 4},
        "first": {0},
        "last": {5},
    }[outages]

    for place, minute in enumerate(moments):
        play = sign_during_outage if place in away else sign
        await play(school, student, NINE + minute * MINUTE)
    await resolved(school)

    standing = await school.pool.fetch(
        "SELECT status, t FROM signature WHERE superseded_by IS NULL AND status IN ('ACCEPTED', 'LATE', 'PENDING')"
    )
    assert [row["status"] for row in standing] == ["ACCEPTED"]
    assert await school.count("signature") == 6
