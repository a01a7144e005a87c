"""Which school a caller may reach, and what it may change in a course."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from academics_svc.commands.authority import (
    check_course_change,
    check_planning,
    check_signing_change,
    school_to_read,
    school_to_write,
)
from academics_svc.domain import Course, Preferences
from contracts.ids import CourseId, SchoolId
from contracts.problems import ForbiddenError, InvalidInputError, NotFoundError
from infra.tokens import Caller

HERE, ELSEWHERE = SchoolId(uuid4()), SchoolId(uuid4())
ME = uuid4()
NINE, TEN = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)


def a_caller(type_, school_id: UUID | None = HERE):
    return Caller(
        id=ME,
        type=type_,
        school_id=None if type_ == "dev" else school_id,
        admin_role=None,
        session_id=uuid4(),
        expires_at=TEN,
    )


def a_course(*teacher_ids):
    return Course(
        id=CourseId(uuid4()),
        school_id=HERE,
        name="Algebra",
        start_at=NINE,
        end_at=TEN,
        teacher_ids=frozenset(teacher_ids),
    )


def rules(**changes):
    return Preferences(id=uuid4(), school_id=HERE, **changes)


def test_people_write_in_their_own_school_named_or_not():
    assert school_to_write(a_caller("admin"), None) == HERE
    assert school_to_write(a_caller("admin"), HERE) == HERE


def test_another_school_is_not_there():
    for reach in (school_to_write, school_to_read):
        with pytest.raises(NotFoundError, match="not_found"):
            reach(a_caller("admin"), ELSEWHERE)


def test_a_developer_names_the_school_to_write_and_may_to_read():
    with pytest.raises(InvalidInputError, match="school_id_required"):
        school_to_write(a_caller("dev"), None)
    assert school_to_write(a_caller("dev"), ELSEWHERE) == ELSEWHERE
    assert school_to_read(a_caller("dev")) is None
    assert school_to_read(a_caller("dev"), HERE) == HERE


@pytest.mark.parametrize(
    ("type_", "teachers", "preferences", "fields", "code"),
    [
        ("teacher", [ME], {}, ["closing_delay_minutes"], None),
        ("teacher", [], {}, ["closing_delay_minutes"], "forbidden"),
        ("teacher", [ME], {}, ["closing_delay_minutes", "name"], "forbidden"),
        (
            "teacher",
            [ME],
            {"teacher_can_modify_closing_delay": False},
            ["closing_delay_minutes"],
            "closing_delay_locked",
        ),
        ("admin", [], {}, ["name", "start_at"], None),
        ("admin", [], {"disable_course_modification_from_ui": True}, ["name"], "course_modification_disabled"),
        ("admin", [], {"disable_course_modification_from_ui": True}, ["closing_delay_minutes"], None),
        ("dev", [], {"disable_course_modification_from_ui": True}, ["name"], None),
    ],
)
def test_who_may_change_what_in_a_course(type_, teachers, preferences, fields, code):
    arguments = (a_caller(type_), a_course(*teachers), rules(**preferences), fields)
    if code is None:
        check_course_change(*arguments)
    else:
        with pytest.raises(ForbiddenError, match=code):
            check_course_change(*arguments)


def test_planning_by_hand_can_be_switched_off():
    check_planning(a_caller("admin"), rules())
    with pytest.raises(ForbiddenError, match="course_modification_disabled"):
        check_planning(a_caller("admin"), rules(disable_course_modification_from_ui=True))


def test_an_admin_opens_and_closes_signing_and_a_teacher_of_the_course_if_the_school_lets_it():
    locked = rules(teacher_can_modify_closing_delay=False)
    check_signing_change(a_caller("admin"), a_course(), locked)
    check_signing_change(a_caller("teacher"), a_course(ME), rules())
    with pytest.raises(ForbiddenError, match="closing_delay_locked"):
        check_signing_change(a_caller("teacher"), a_course(ME), locked)
    with pytest.raises(ForbiddenError, match="forbidden"):
        check_signing_change(a_caller("teacher"), a_course(), rules())
