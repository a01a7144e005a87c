"""A teacher signs, and settles the students who wait for one."""

import asyncio
from uuid import uuid4

import pytest

from attendance_svc.commands.pending import settle_course, settle_overdue
from contracts.ids import new_id
from tests.fakes.attendance import HOUR, MINUTE, MS, NINE
from tests.integration.attendance.playing import sign


async def test_a_teacher_signs_and_opens_the_course(teacher, school):
    answer = await teacher.post(course_id=school.course.id)

    assert (answer.status, answer.body["status"], answer.body["method"]) == (201, "ACCEPTED", "TEACHER")
    assert (answer.body["teacher_id"], answer.body["student_id"]) == (str(teacher.id), None)
    assert await school.news() == ["signature.accepted", "teacher.signed"]
    assert [body["aggver"] for _, body in await school.events()] == [1, 2]
    assert [await school.count(table) for table in ("teacher_signature", "student_signature")] == [1, 0]


async def test_a_teacher_signs_once_and_a_second_one_does_not_open_it_again(door, teacher, school):
    first, again = await teacher.post(course_id=school.course.id), await teacher.post(course_id=school.course.id)
    second = await door.a_teacher().post(course_id=school.course.id)

    assert [first.status, again.status, second.status] == [201, 200, 201]
    assert again.body["id"] == first.body["id"]
    assert await school.news() == ["signature.accepted", "teacher.signed", "signature.accepted"]


async def test_a_teacher_of_another_course_may_not_sign(door, school):
    answer = await door.someone("teacher").post(course_id=school.course.id)

    assert (answer.status, answer.body["code"]) == (403, "forbidden")


async def test_a_course_of_another_school_is_not_there(door, school):
    stranger = door.someone("teacher", school_id=uuid4())

    foreign = await stranger.post(course_id=school.course.id)
    random = await stranger.post(course_id=new_id())

    assert (foreign.status, random.status) == (404, 404)
    assert foreign.body | {"request_id": ""} == random.body | {"request_id": ""}


@pytest.mark.parametrize(
    ("now", "status", "code"),
    [
        (NINE - 15 * MINUTE - MS, 409, "too_early"),
        (NINE - 15 * MINUTE, 201, None),
        (NINE + HOUR, 201, None),
        (NINE + HOUR + MS, 409, "course_ended"),
    ],
)
async def test_a_teacher_signs_around_the_course(teacher, school, now, status, code):
    school.now = now

    answer = await teacher.post(course_id=school.course.id)

    assert (answer.status, answer.body.get("code")) == (status, code)


async def test_without_academics_a_teacher_is_asked_to_come_back(teacher, school):
    school.directory.is_down = True

    answer = await teacher.post(course_id=school.course.id)

    assert (answer.status, answer.body["code"]) == (503, "academics_down")


async def test_the_teacher_settles_who_waited_as_of_each_ones_own_time(teacher, school):
    school.prefer(students_can_sign_before_teacher=False)
    on_time, late = uuid4(), uuid4()
    await sign(school, on_time, NINE + MINUTE)
    school.now = NINE + 40 * MINUTE
    await sign(school, late, NINE + 20 * MINUTE)

    assert [reason for _, reason, _ in await school.rows()] == ["awaiting_teacher"] * 2
    school.directory.is_down = False
    await teacher.post(course_id=school.course.id)

    rows = await school.pool.fetch("SELECT subject_id, status, reason, version FROM signature WHERE kind = 'student'")
    assert {(row["subject_id"], row["status"], row["reason"], row["version"]) for row in rows} == {
        (on_time, "ACCEPTED", "on_time", 2),
        (late, "LATE", "after_closing_delay", 2),
    }


async def test_settling_needs_nobody_asked(teacher, school):
    school.prefer(students_can_sign_before_teacher=False)
    for _ in range(3):
        await sign(school, uuid4())
    asked = len(school.directory.asked)

    decided = await settle_course(school.course.id, at=school.now, open_book=school.open_book, cause=school.cause())

    assert decided == 3
    assert len(school.directory.asked) == asked
    assert {row[:2] for row in await school.rows()} == {("REFUSED", "teacher_absent")}


async def test_a_proof_that_comes_after_settling_is_settled_at_once(school):
    school.prefer(students_can_sign_before_teacher=False)
    await settle_course(school.course.id, at=school.now, open_book=school.open_book, cause=school.cause())

    answer = await sign(school, uuid4())

    assert answer.reason == "teacher_absent"


async def test_of_two_waiting_attempts_of_a_student_the_earlier_one_counts(teacher, school):
    school.prefer(students_can_sign_before_teacher=False)
    student = uuid4()
    await sign(school, student, NINE + 2 * MINUTE)
    await sign(school, student, NINE + MINUTE)

    await teacher.post(course_id=school.course.id)

    assert [row for row in await school.rows() if row[1] != "teacher_present"] == [
        ("ACCEPTED", "on_time", False),
        ("ACCEPTED", "on_time", True),
    ]
    assert (await school.news())[-2:] == ["signature.accepted", "signature.superseded"]


async def test_a_sweep_finds_who_was_left_waiting(teacher, school):
    school.prefer(students_can_sign_before_teacher=False)
    await sign(school, uuid4())
    await school.pool.execute("INSERT INTO course_settled VALUES ($1, now())", school.course.id)

    swept = [
        await settle_overdue(waiting_room=school.waiting_room, open_book=school.open_book, cause=school.cause())
        for _ in range(2)
    ]

    assert swept == [1, 0]


async def test_students_and_their_teacher_at_the_same_moment_leave_nobody_waiting(teacher, school):
    school.prefer(students_can_sign_before_teacher=False)

    await asyncio.gather(*(sign(school, uuid4()) for _ in range(6)), teacher.post(course_id=school.course.id))

    assert {row[0] for row in await school.rows()} == {"ACCEPTED"}


async def test_a_presence_may_be_repeated_with_its_key(teacher, school):
    key = {"Idempotency-Key": "k1"}

    first, again = [await teacher.post(course_id=school.course.id, headers=key) for _ in range(2)]

    assert [first.status, again.status] == [201, 201]
    assert first.body == again.body
