"""The five queries answer what was recorded at a moment, through the gRPC door."""

from datetime import timedelta
from uuid import uuid4

import grpc
import pytest

from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from tests.integration.academics.conftest import NINE, at

MINUTE = timedelta(minutes=1)


async def fails(call, request):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call(request, timeout=5)
    return failed.value.code(), failed.value.details()


UNKNOWN = (grpc.StatusCode.NOT_FOUND, "course_unknown")


def requests_about(course_id, **more):
    """One request of each course query, by its method's name."""
    return {
        "GetCourse": pb.GetCourseRequest(course_id=course_id, **more),
        "ValidateTeacherCourse": pb.ValidateTeacherCourseRequest(course_id=course_id, teacher_id=str(uuid4()), **more),
        "ValidateStudentCourse": pb.ValidateStudentCourseRequest(course_id=course_id, student_id=str(uuid4()), **more),
        "ValidateClassroomCourse": pb.ValidateClassroomCourseRequest(
            course_id=course_id, classroom_id=str(uuid4()), **more
        ),
    }


async def test_a_client_of_the_seed_gets_the_course_as_it_is(school, stubs):
    course = await school.a_course(is_online=True)

    answer = (await stubs[0].GetCourse(pb.GetCourseRequest(course_id=course["id"]), timeout=5)).course

    assert (answer.id, answer.school_id, answer.name) == (course["id"], str(school.school), "Algebra")
    assert (answer.start_at.ToJsonString(), answer.end_at.ToJsonString()) == (course["start_at"], course["end_at"])
    assert (answer.is_online, answer.signature_closing_delay_minutes, answer.signature_closed) == (True, 15, False)
    assert (answer.version, answer.cancelled, answer.closing_delay_is_override) == (1, False, False)
    assert not answer.HasField("signature_closed_at")
    assert not answer.HasField("signing_open_until")


async def test_every_state_of_a_course_is_answered_as_of_its_time(school, stubs):
    course = await school.a_course()
    path = f"/courses/{course['id']}"
    moments = [await school.database_now()]
    await school.call(school.admin, "PATCH", path, {"name": "B", "closing_delay_minutes": 30}, if_match='"1"')
    moments.append(await school.database_now())
    await school.call(school.admin, "POST", f"{path}/signing", {"state": "closed"})
    moments.append(await school.database_now())
    school.clock.now = NINE + 40 * MINUTE
    await school.call(school.admin, "POST", f"{path}/signing", {"state": "open", "until": at(NINE + 50 * MINUTE)})
    moments.append(await school.database_now())
    await school.call(school.admin, "DELETE", path)
    moments.append(await school.database_now())

    seen = []
    for moment in moments:
        request = pb.GetCourseRequest(course_id=course["id"], at=moment)
        c = (await stubs[0].GetCourse(request, timeout=5)).course
        delay = (c.signature_closing_delay_minutes, c.closing_delay_is_override)
        seen.append((c.version, c.name, delay, c.signature_closed, c.HasField("signing_open_until"), c.cancelled))

    assert seen == [
        (1, "Algebra", (15, False), False, False, False),
        (2, "B", (30, True), False, False, False),
        (3, "B", (30, True), True, False, False),
        (4, "B", (30, True), False, True, False),
        (5, "B", (30, True), False, True, True),
    ]


async def test_the_schools_delay_counts_as_of_its_time(school, stubs):
    course = await school.a_course()
    before = await school.database_now()
    path = f"/schools/{school.school}/preferences"
    await school.call(
        school.admin, "PATCH", path, {"default_signature_closing_delay_minutes": 40, "enable_qr": False}, if_match='"1"'
    )

    async def delay(**more):
        request = pb.GetCourseRequest(course_id=course["id"], **more)
        return (await stubs[0].GetCourse(request, timeout=5)).course.signature_closing_delay_minutes

    async def preferences(**more):
        request = pb.GetSchoolPreferencesRequest(school_id=str(school.school), **more)
        return (await stubs[0].GetSchoolPreferences(request, timeout=5)).preferences

    assert (await delay(at=before), await delay()) == (15, 40)
    old, new = await preferences(at=before), await preferences()
    assert (old.version, old.enable_qr, old.default_signature_closing_delay_minutes) == (1, True, 15)
    assert (new.version, new.HasField("enable_qr"), new.enable_qr) == (2, True, False)
    assert (new.school_id, new.id) == (str(school.school), old.id)


async def test_memberships_and_links_are_answered_as_of_their_time(school, stubs):
    student, teacher = school.person("student"), school.person("teacher")
    group, room = await school.a_group(student), await school.make("/classrooms", name="B12")
    course = await school.a_course()
    links = [f"groups/{group['id']}", f"teachers/{teacher.id}", f"classrooms/{room['id']}"]
    moments = [await school.database_now()]
    for link in links:
        await school.call(school.admin, "PUT", f"/courses/{course['id']}/{link}")
    moments.append(await school.database_now())
    await school.call(school.admin, "DELETE", f"/groups/{group['id']}/members/{student.id}")
    for link in links[1:]:
        await school.call(school.admin, "DELETE", f"/courses/{course['id']}/{link}")
    moments.append(await school.database_now())

    async def seen(**more):
        about = {"course_id": course["id"], **more}
        student_request = pb.ValidateStudentCourseRequest(student_id=str(student.id), **about)
        teacher_request = pb.ValidateTeacherCourseRequest(teacher_id=str(teacher.id), **about)
        room_request = pb.ValidateClassroomCourseRequest(classroom_id=room["id"], **about)
        allowed = await stubs[0].ValidateStudentCourse(student_request, timeout=5)
        assert list(allowed.matched_group_ids) == ([group["id"]] if allowed.is_allowed else [])
        linked = await stubs[0].ValidateClassroomCourse(room_request, timeout=5)
        assigned = (await stubs[0].ValidateTeacherCourse(teacher_request, timeout=5)).is_assigned
        return allowed.is_allowed, assigned, linked.is_linked, linked.course_has_rooms

    assert [await seen(at=moment) for moment in moments] == [
        (False, False, False, False),
        (True, True, True, True),
        (False, False, False, False),
    ]
    assert await seen() == (False, False, False, False)


async def test_a_room_that_is_not_linked_is_told_from_a_course_without_rooms(school, stubs):
    room = await school.make("/classrooms", name="B12")
    course = await school.a_course(classroom_ids=[room["id"]])

    request = pb.ValidateClassroomCourseRequest(course_id=course["id"], classroom_id=str(uuid4()))
    answer = await stubs[0].ValidateClassroomCourse(request, timeout=5)

    assert (answer.is_linked, answer.course_has_rooms) == (False, True)


async def test_an_unknown_a_foreign_and_a_not_yet_recorded_course_are_all_unknown(school, stubs):
    before = await school.database_now()
    course = await school.a_course()

    for method, request in requests_about(str(uuid4())).items():
        assert await fails(getattr(stubs[0], method), request) == UNKNOWN
    for method, request in requests_about(course["id"], acting_school_id=str(uuid4())).items():
        assert await fails(getattr(stubs[0], method), request) == UNKNOWN
    for method, request in requests_about(course["id"], at=before).items():
        assert await fails(getattr(stubs[0], method), request) == UNKNOWN
    for method, request in requests_about(course["id"], acting_school_id=str(school.school)).items():
        await getattr(stubs[0], method)(request, timeout=5)
    unknown = (grpc.StatusCode.NOT_FOUND, "school_unknown")
    foreign = pb.GetSchoolPreferencesRequest(school_id=str(school.school), acting_school_id=str(uuid4()))
    for request in (foreign, pb.GetSchoolPreferencesRequest(school_id=str(uuid4()))):
        assert await fails(stubs[0].GetSchoolPreferences, request) == unknown


async def test_malformed_requests_are_refused(stubs):
    for request in (
        pb.GetCourseRequest(),
        pb.GetCourseRequest(course_id="{00000000-0000-0000-0000-000000000000}"),
        pb.GetCourseRequest(course_id=str(uuid4()), acting_school_id="x"),
        pb.GetCourseRequest(course_id=str(uuid4()), at=NINE.replace(year=2019)),
        pb.GetCourseRequest(course_id=str(uuid4()), at=NINE.replace(year=2036, month=4)),
    ):
        assert await fails(stubs[0].GetCourse, request) == (grpc.StatusCode.INVALID_ARGUMENT, "malformed_field")


async def test_a_change_counts_from_its_recorded_moment_on_and_not_before(school, stubs):
    course, teacher = await school.a_course(), school.person("teacher")
    await school.call(school.admin, "PUT", f"/courses/{course['id']}/teachers/{teacher.id}")
    changed_at = await school.pool.fetchval("SELECT recorded_at FROM course")

    seen = []
    for moment in (changed_at - timedelta(microseconds=1), changed_at):
        about = {"course_id": course["id"], "at": moment}
        request = pb.ValidateTeacherCourseRequest(teacher_id=str(teacher.id), **about)
        version = (await stubs[0].GetCourse(pb.GetCourseRequest(**about), timeout=5)).course.version
        seen.append((version, (await stubs[0].ValidateTeacherCourse(request, timeout=5)).is_assigned))

    assert seen == [(1, False), (2, True)]
    rows = await school.pool.fetch("SELECT recorded_from, recorded_to FROM course_version ORDER BY version")
    assert rows[0]["recorded_to"] == rows[1]["recorded_from"] == changed_at


async def test_recorded_time_is_the_databases_and_travels_with_the_event(school, stubs):
    await school.shift_database_clock(hours=5)
    before = await school.database_now()
    course = await school.a_course()

    [event] = await school.events(course["id"])
    recorded = await school.pool.fetchval("SELECT recorded_from FROM course_version")

    assert at(recorded) == event["recordedtime"]
    assert before < recorded < before + MINUTE
    assert event["time"] == at(NINE)


async def test_history_goes_forward_when_the_databases_clock_is_set_back(school, stubs):
    course = await school.a_course()
    await school.shift_database_clock(hours=-5)

    changed = await school.call(school.admin, "PATCH", f"/courses/{course['id']}", {"name": "Geometry"}, if_match='"1"')
    now = await stubs[0].GetCourse(pb.GetCourseRequest(course_id=course["id"]), timeout=5)

    assert changed.status == 200
    assert now.course.name == "Geometry"
    rows = await school.pool.fetch("SELECT * FROM course_version ORDER BY version")
    assert rows[0]["recorded_to"] == rows[1]["recorded_from"]


async def test_who_was_in_a_retired_group_still_was(school, stubs):
    student = school.person("student")
    group = await school.a_group(student)
    course = await school.a_course(group_ids=[group["id"]])
    school.clock.advance(hours=3)
    assert (await school.call(school.admin, "DELETE", f"/groups/{group['id']}")).status == 204

    request = pb.ValidateStudentCourseRequest(course_id=course["id"], student_id=str(student.id))

    assert (await stubs[0].ValidateStudentCourse(request, timeout=5)).is_allowed
