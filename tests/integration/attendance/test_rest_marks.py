"""Teachers and administrators mark who was there."""

from uuid import uuid4

import pytest

from tests.fakes.attendance import HOUR, MS, NINE
from tests.integration.attendance.playing import mark, sign


@pytest.mark.parametrize("status", ["ACCEPTED", "LATE", "REFUSED"])
async def test_a_teacher_marks_a_student(teacher, school, status):
    student = uuid4()

    answer = await mark(teacher, school, student, status)

    assert (answer.status, answer.body["status"], answer.body["method"]) == (201, status, "TEACHER")
    assert answer.body["reason"] == "marked_by_teacher"
    [(type_, body)] = await school.events()
    assert type_ == f"signature.{status.lower()}"
    assert "saw it" not in str(body)


async def test_a_mark_takes_the_place_of_what_stands_and_ends_what_is_pending(teacher, school):
    student = uuid4()
    standing = await sign(school, student)
    school.directory.is_down = True
    await sign(school, student)
    school.directory.is_down = False

    marked = await mark(teacher, school, student, "REFUSED", "left at once")

    shown = await teacher.get(f"/signatures/{standing.signature.id}")
    assert shown.body["superseded_by"] == marked.body["id"]
    assert [row[2] for row in await school.rows()].count(False) == 1
    assert await school.news() == ["signature.accepted", "signature.superseded", "signature.refused"]


async def test_after_a_humans_refusal_a_proof_waits_for_a_human(teacher, school):
    student = uuid4()
    await mark(teacher, school, student, "REFUSED", "it was somebody else")

    refused = await sign(school, student)
    await mark(teacher, school, student, "ACCEPTED", "my mistake")
    accepted = await sign(school, student)

    assert [refused.reason, accepted.reason] == ["under_review", "already_signed"]


async def test_what_a_human_marked_no_proof_replaces(teacher, school):
    student = uuid4()
    marked = await mark(teacher, school, student, "LATE", "came at ten past")

    answer = await sign(school, student, NINE)

    assert (str(answer.signature.id), answer.reason) == (marked.body["id"], "already_signed")


async def test_only_those_who_are_expected_can_be_marked(teacher, admin, school):
    student = uuid4()
    school.directory.strangers.add(student)

    answers = [await mark(person, school, student) for person in (teacher, admin)]

    assert [(answer.status, answer.body["code"]) for answer in answers] == [(409, "not_enrolled")] * 2


async def test_a_teacher_corrects_for_a_day_and_an_admin_for_ever(teacher, admin, school):
    school.now = NINE + 25 * HOUR + MS

    by_teacher, by_admin = [await mark(person, school, uuid4()) for person in (teacher, admin)]

    assert (by_teacher.status, by_teacher.body["code"]) == (409, "course_ended")
    assert (by_admin.status, by_admin.body["method"], by_admin.body["reason"]) == (201, "ADMIN", "marked_by_admin")


async def test_a_teacher_does_not_undo_an_admin(teacher, admin, school):
    student = uuid4()
    marked = await mark(admin, school, student, "REFUSED", "fraud")

    again = await mark(teacher, school, student)
    patched = await teacher.patch(marked.body["id"], 1, status="ACCEPTED", reason="no")
    by_admin = await mark(admin, school, student, "ACCEPTED", "cleared")

    assert [(answer.status, answer.body["code"]) for answer in (again, patched)] == [(403, "decided_by_admin")] * 2
    assert by_admin.status == 201


async def test_an_admin_marks_a_teacher_and_the_waiting_students_are_settled(door, teacher, admin, school):
    school.prefer(students_can_sign_before_teacher=False)
    await sign(school, uuid4())

    answer = await admin.post(
        course_id=school.course.id, teacher_id=teacher.id, status="ACCEPTED", reason="forgot to sign"
    )
    by_teacher = await teacher.post(
        course_id=school.course.id, teacher_id=teacher.id, status="ACCEPTED", reason="I was there"
    )

    assert (answer.status, answer.body["teacher_id"]) == (201, str(teacher.id))
    assert by_teacher.status == 403
    assert {row[0] for row in await school.rows()} == {"ACCEPTED"}


async def test_a_mark_may_be_repeated_with_its_key(teacher, school):
    student, key = uuid4(), {"headers": {"Idempotency-Key": "k1"}}

    first, again = [await mark(teacher, school, student, **key) for _ in range(2)]
    other = await mark(teacher, school, student, "LATE", **key)

    assert [first.status, again.status] == [201, 201]
    assert first.body == again.body
    assert (other.status, other.body["code"]) == (409, "idempotency_key_reused")
    assert await school.count("signature") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"student_id": str(uuid4())},
        {"student_id": str(uuid4()), "status": "ACCEPTED"},
        {"student_id": str(uuid4()), "status": "PENDING", "reason": "x"},
        {"student_id": str(uuid4()), "status": "ACCEPTED", "reason": ""},
        {"student_id": str(uuid4()), "status": "ACCEPTED", "reason": "x", "method": "nfc"},
        {"status": "ACCEPTED", "reason": "x"},
    ],
)
async def test_a_mark_says_who_what_and_why(teacher, school, body):
    answer = await teacher.post(course_id=school.course.id, **body)

    assert (answer.status, answer.body["code"]) == (422, "malformed_body")


async def test_developers_do_not_write_attendance(door, school):
    dev = door.someone("dev")
    kept = await sign(school, uuid4())

    answers = [
        await dev.post(course_id=school.course.id),
        await dev.patch(kept.signature.id, 1, status="REFUSED", reason="x"),
        await dev.delete(kept.signature.id, reason="x"),
    ]

    assert [answer.status for answer in answers] == [403, 403, 403]
