"""Every CourseDirectory keeps the same promises, real or fake."""

from dataclasses import replace
from uuid import uuid4

import grpc
import pytest

from attendance_svc.domain.attempts import PlanFacts, Preferences
from contracts.ids import ClassroomId, CourseId, SchoolId, StudentId, TeacherId, new_id
from contracts.problems import UnavailableError
from tests.fakes.attendance import MINUTE, NINE, an_attempt


def attempt(school, **changes):
    usual = {"course_id": school.plan.course.id, "classroom_id": ClassroomId(new_id())}
    return an_attempt(**(usual | changes))


async def test_everything_that_decides_is_told(school):
    school.know(
        course={
            "version": 7,
            "is_online": True,
            "is_cancelled": True,
            "is_closed": True,
            "closed_at": NINE + 20 * MINUTE,
            "open_until": NINE + 30 * MINUTE,
        },
        preferences=Preferences(
            students_can_sign_before_teacher=False,
            enable_flash=False,
            enable_nfc=False,
            enable_qr=False,
            early_open=5 * MINUTE,
            late_grace=10 * MINUTE,
            version=3,
        ),
    )

    assert await school.directory.get_plan(attempt(school)) == school.plan


@pytest.mark.parametrize("acts", [True, False])
async def test_with_or_without_a_school_the_same_is_told(school, acts):
    acting = school.plan.course.school_id if acts else None

    assert await school.directory.get_plan(attempt(school, school_id=acting)) == school.plan


async def test_a_stranger_is_not_enrolled(school):
    stranger = StudentId(uuid4())
    school.there.strangers.add(stranger)

    plan = await school.directory.get_plan(attempt(school, student_id=stranger))

    assert plan == replace(school.plan, is_enrolled=False)


async def test_an_unknown_course_is_an_answer(school):
    assert await school.directory.get_plan(attempt(school, course_id=CourseId(new_id()))) == PlanFacts(course=None)


async def test_an_outage_is_said(school):
    await school.stop()

    with pytest.raises(UnavailableError) as outage:
        await school.directory.get_plan(attempt(school))
    assert outage.value.code == "academics_down"


async def test_a_course_is_found_by_its_own_school(school):
    course = school.plan.course
    find = school.directory.find_course

    assert await find(course.id, school_id=course.school_id, at=NINE) == course
    assert await find(course.id, school_id=None, at=NINE) == course
    assert await find(course.id, school_id=SchoolId(new_id()), at=NINE) is None
    assert await find(CourseId(new_id()), school_id=course.school_id, at=NINE) is None


async def test_who_and_what_belongs_to_a_course(school):
    teacher, stranger, elsewhere = TeacherId(uuid4()), StudentId(uuid4()), ClassroomId(new_id())
    school.there.teachers.add(teacher)
    school.there.strangers.add(stranger)
    school.there.elsewhere.add(elsewhere)
    course = school.plan.course

    assert await school.directory.is_teacher(teacher, course, at=NINE)
    assert not await school.directory.is_teacher(TeacherId(uuid4()), course, at=NINE)
    assert await school.directory.is_student(StudentId(uuid4()), course, at=NINE)
    assert not await school.directory.is_student(stranger, course, at=NINE)
    assert await school.directory.is_room(ClassroomId(new_id()), course, at=NINE)
    assert not await school.directory.is_room(elsewhere, course, at=NINE)


async def test_all_is_asked_as_of_the_time_that_counts_and_for_the_students_school(others):
    course = others.academics.plan.course
    asking = an_attempt(
        NINE + MINUTE, course_id=course.id, school_id=course.school_id, classroom_id=ClassroomId(new_id())
    )

    await others.directory.get_plan(asking)

    assert len(others.academics.asked) == 4
    assert {request.at.seconds for request in others.academics.asked} == {int((NINE + MINUTE).timestamp())}
    assert {request.acting_school_id for request in others.academics.asked} == {str(course.school_id)}


async def test_an_academics_of_the_seed_is_understood(others):
    others.academics.speaks_seed = True
    course = others.academics.plan.course

    plan = await others.directory.get_plan(an_attempt(course_id=course.id, classroom_id=ClassroomId(new_id())))

    assert plan.course == course
    assert plan.preferences == Preferences()
    assert (plan.is_enrolled, plan.is_room_linked, plan.has_rooms) == (True, True, True)


@pytest.mark.parametrize(
    "refusal",
    [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL],
)
async def test_whatever_else_academics_says_is_an_outage_and_never_a_refusal(others, refusal):
    others.academics.refuses = refusal

    with pytest.raises(UnavailableError) as outage:
        await others.directory.get_plan(an_attempt(course_id=others.academics.plan.course.id))
    assert outage.value.code == "academics_down"
