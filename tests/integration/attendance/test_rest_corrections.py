"""People correct signatures and take them back."""

import asyncio
from uuid import uuid4

from tests.fakes.attendance import MINUTE, NINE
from tests.integration.attendance.playing import mark, sign


async def test_a_teacher_corrects_a_status_with_a_reason(teacher, school):
    kept = await sign(school, uuid4())

    answer = await teacher.patch(kept.signature.id, 1, status="LATE", reason="came with the others")

    assert (answer.status, answer.body["status"], answer.body["version"]) == (200, "LATE", 2)
    assert answer.headers["ETag"] == '"2"'
    row = await school.pool.fetchrow("SELECT * FROM signature_transition WHERE n = 2")
    assert (row["from_status"], row["to_status"], row["note"], row["actor_type"], row["actor_id"]) == (
        "ACCEPTED",
        "LATE",
        "came with the others",
        "teacher",
        teacher.id,
    )
    assert await school.news() == ["signature.accepted", "signature.late"]


async def test_who_corrects_must_have_seen_the_newest_version(teacher, school):
    kept = await sign(school, uuid4())
    await teacher.patch(kept.signature.id, 1, status="LATE", reason="first")

    stale = await teacher.patch(kept.signature.id, 1, status="REFUSED", reason="second")
    blind = await teacher.patch(kept.signature.id, status="REFUSED", reason="third")

    assert (stale.status, stale.body["code"]) == (412, "version_stale")
    assert (blind.status, blind.body["code"]) == (428, "version_required")


async def test_of_two_corrections_at_once_one_is_told_to_look_again(teacher, school):
    kept = await sign(school, uuid4())

    answers = await asyncio.gather(
        *(teacher.patch(kept.signature.id, 1, status="LATE", reason=str(n)) for n in range(3))
    )

    assert sorted(answer.status for answer in answers) == [200, 412, 412]


async def test_a_pending_attempt_is_decided_by_a_human(teacher, school):
    student = uuid4()
    pending = await sign(school, student, flags=frozenset({"chain_gap"}))
    other = await sign(school, student, flags=frozenset({"two_rooms"}))

    answer = await teacher.patch(pending.signature.id, 1, status="ACCEPTED", reason="was here")

    assert answer.body["status"] == "ACCEPTED"
    shown = await teacher.get(f"/signatures/{other.signature.id}")
    assert shown.body["superseded_by"] == str(pending.signature.id)


async def test_a_refusal_cannot_be_accepted_while_another_signature_stands(teacher, school):
    student = uuid4()
    refused = await sign(school, student, NINE - MINUTE)
    standing = await sign(school, student)

    answer = await teacher.patch(refused.signature.id, 1, status="ACCEPTED", reason="why not")

    assert (answer.status, answer.body["code"]) == (409, "already_signed")
    assert answer.body["signature_id"] == str(standing.signature.id)


async def test_a_refusal_is_accepted_when_nothing_stands(teacher, school):
    refused = await sign(school, uuid4(), NINE - MINUTE)

    answer = await teacher.patch(refused.signature.id, 1, status="ACCEPTED", reason="sat here early")

    assert (answer.status, answer.body["status"]) == (200, "ACCEPTED")


async def test_what_was_replaced_or_taken_back_is_not_corrected(teacher, admin, school):
    student = uuid4()
    replaced = await sign(school, student)
    marked = await mark(teacher, school, student, "REFUSED", "no")
    await admin.delete(marked.body["id"], reason="neither")

    answers = [
        await admin.patch(replaced.signature.id, 2, status="ACCEPTED", reason="x"),
        await admin.patch(marked.body["id"], 2, status="ACCEPTED", reason="x"),
    ]

    assert [answer.body["code"] for answer in answers] == ["signature_superseded", "signature_voided"]


async def test_a_teacher_corrects_students_of_their_courses_only(door, teacher, school):
    kept = await sign(school, uuid4())
    presence = await teacher.post(course_id=school.course.id)
    colleague = door.someone("teacher")
    foreign = door.someone("admin", school_id=uuid4())

    answers = [
        await colleague.patch(kept.signature.id, 1, status="LATE", reason="x"),
        await teacher.patch(presence.body["id"], 1, status="LATE", reason="x"),
        await foreign.patch(kept.signature.id, 1, status="LATE", reason="x"),
        await foreign.delete(kept.signature.id, reason="x"),
    ]

    assert [answer.status for answer in answers] == [403, 403, 404, 404]


async def test_a_signature_taken_back_keeps_its_history_and_puts_the_student_under_review(admin, school):
    student = uuid4()
    kept = await sign(school, student)

    first = await admin.delete(kept.signature.id, reason="wrong person")
    again = await admin.delete(kept.signature.id, reason="wrong person")

    assert [first.status, again.status] == [204, 204]
    shown = await admin.get(f"/signatures/{kept.signature.id}")
    assert shown.body["voided_at"] is not None
    assert await school.count("signature_transition") == 2
    assert await school.news() == ["signature.accepted", "signature.voided"]
    assert (await sign(school, student)).reason == "under_review"


async def test_only_admins_take_back_and_they_say_why(door, teacher, admin, school):
    kept = await sign(school, uuid4())

    answers = [await teacher.delete(kept.signature.id, reason="x"), await admin.delete(kept.signature.id)]

    assert [answer.status for answer in answers] == [403, 422]


async def test_what_stands_for_another_is_taken_back_itself(admin, school):
    student = uuid4()
    standing = await sign(school, student)
    await sign(school, student, NINE)
    behind = await school.pool.fetchval("SELECT id FROM signature WHERE superseded_by IS NOT NULL")

    answer = await admin.delete(behind, reason="x")

    assert (answer.status, answer.body["code"]) == (409, "signature_superseded")
    assert answer.body["signature_id"] == str(standing.signature.id)


async def test_a_teacher_whose_presence_an_admin_took_back_cannot_sign_again(teacher, admin, school):
    presence = await teacher.post(course_id=school.course.id)
    await admin.delete(presence.body["id"], reason="was ill that day")

    answer = await teacher.post(course_id=school.course.id)

    assert (answer.status, answer.body["code"]) == (403, "decided_by_admin")


async def test_the_repeat_of_what_was_taken_back_says_so(admin, school):
    student, key = uuid4(), str(uuid4())
    kept = await sign(school, student, idempotency_key=key)
    await admin.delete(kept.signature.id, reason="wrong person")

    assert (await sign(school, student, idempotency_key=key)).reason == "voided"


async def test_an_attempt_without_a_course_cannot_be_accepted_by_hand(admin, school):
    refused = await sign(school, uuid4(), course_id=None)

    answer = await admin.patch(refused.signature.id, 1, status="ACCEPTED", reason="was in some room")

    assert (refused.reason, answer.status, answer.body["code"]) == ("course_unknown", 409, "course_unknown")
