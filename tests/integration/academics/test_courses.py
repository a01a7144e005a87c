"""Planning courses and linking them, through the REST door."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.integration.academics.conftest import NINE, Person, at

HOUR = timedelta(hours=1)


async def test_a_course_is_planned_with_all_its_links(school):
    teacher, student = school.person("teacher"), school.person("student")
    group, room = await school.a_group(student), await school.make("/classrooms", name="B12")

    made = await school.call(
        school.admin,
        "POST",
        "/courses",
        {
            "name": "Algebra",
            "start_at": at(NINE),
            "end_at": "2026-03-02T12:00:00+01:00",
            "closing_delay_minutes": 20,
            "teacher_ids": [str(teacher.id)],
            "group_ids": [group["id"]],
            "classroom_ids": [room["id"]],
        },
    )

    assert (made.status, made.headers["ETag"]) == (201, '"1"')
    assert made.headers["x-consistency-token"].endswith(f"/course:{made.body['id']}@1")
    assert made.body["end_at"] == "2026-03-02T11:00:00Z"
    assert (made.body["closing_delay_minutes"], made.body["signature_closing_delay_minutes"]) == (20, 20)
    assert made.body["teacher_ids"] == [str(teacher.id)]
    assert (await school.call(student, "GET", made.headers["Location"])).body == made.body
    [event] = await school.events(made.body["id"])
    assert (event["type"], event["aggver"], event["partitionkey"]) == (
        "academics.course.created.v1",
        1,
        str(school.school),
    )
    assert event["recordedtime"] is not None
    assert event["actor"] == {"type": "admin", "id": str(school.admin.id)}
    assert event["data"].items() >= {"group_ids": [group["id"]], "classroom_ids": [room["id"]]}.items()
    assert "name" not in event["data"]


IMPOSSIBLE = [
    ({"end_at": at(NINE)}, 422, "end_not_after_start"),
    ({"closing_delay_minutes": -1}, 422, "minutes_out_of_range"),
    ({"closing_delay_minutes": 1441}, 422, "minutes_out_of_range"),
    ({"closing_delay_minutes": 10**30}, 422, "minutes_out_of_range"),
    ({"closing_delay_minutes": True}, 422, "malformed_body"),
    ({"name": " "}, 422, "malformed_body"),
    ({"start_at": "2026-03-02T09:00:00"}, 422, "malformed_body"),
    ({"group_ids": [str(uuid4())]}, 404, "not_found"),
    ({"classroom_ids": [str(uuid4())]}, 404, "not_found"),
    ({"teacher_ids": [str(uuid4())]}, 404, "user_unknown"),
    ({"school_id": str(uuid4())}, 404, "not_found"),
    ({"cancelled": True}, 422, "malformed_body"),
]


async def test_a_plan_that_cannot_be_is_refused_and_nothing_is_kept(school):
    for changes, status, code in IMPOSSIBLE:
        body = {"name": "Algebra", "start_at": at(NINE), "end_at": at(NINE + HOUR)} | changes

        refused = await school.call(school.admin, "POST", "/courses", body)

        assert (refused.status, refused.code) == (status, code), changes
    assert await school.pool.fetchval("SELECT count(*) FROM course") == 0


async def test_another_schools_people_rooms_and_groups_cannot_be_linked(school):
    foreign_room, foreign_group = await school.make("/classrooms", name="B12"), await school.a_group()
    foreign_teacher = school.person("teacher")
    await school.open_school()
    student = school.person("student")
    course = await school.a_course()

    for path, status, code in (
        (f"classrooms/{foreign_room['id']}", 404, "not_found"),
        (f"groups/{foreign_group['id']}", 404, "not_found"),
        (f"teachers/{foreign_teacher.id}", 404, "user_unknown"),
        (f"teachers/{student.id}", 422, "not_a_teacher"),
    ):
        answer = await school.call(school.admin, "PUT", f"/courses/{course['id']}/{path}")
        assert (answer.status, answer.code) == (status, code)
    assert len(await school.events(course["id"])) == 1


async def test_a_repeat_with_the_same_key_makes_one_course(school):
    body = {"name": "Algebra", "start_at": at(NINE), "end_at": at(NINE + HOUR)}

    answers = await asyncio.gather(*(school.call(school.admin, "POST", "/courses", body, key="k1") for _ in range(3)))
    other = await school.call(school.admin, "POST", "/courses", body | {"name": "B"}, key="k1")

    assert {(answer.status, answer.body["id"]) for answer in answers} == {(201, answers[0].body["id"])}
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert len(await school.events(answers[0].body["id"])) == 1


@pytest.mark.parametrize("kind", ["teacher", "group", "classroom"])
async def test_linking_is_a_change_of_the_course_and_repeating_it_is_none(school, kind):
    course = await school.a_course()
    target = school.person("teacher").id if kind == "teacher" else (await school.make(f"/{kind}s", name="X"))["id"]
    path = f"/courses/{course['id']}/{kind}s/{target}"

    linked = [await school.call(school.admin, "PUT", path) for _ in range(2)]
    unlinked = [await school.call(school.admin, "DELETE", path) for _ in range(2)]

    assert [answer.status for answer in (*linked, *unlinked)] == [204] * 4
    _, came, went = await school.events(course["id"])
    assert (came["type"], came["aggver"]) == ("academics.course.updated.v1", 2)
    assert came["data"][f"{kind}_ids"] == [str(target)]
    assert (went["aggver"], went["data"][f"{kind}_ids"]) == (3, [])


async def test_two_links_at_once_are_both_kept(school):
    course = await school.a_course()
    teachers = [school.person("teacher") for _ in range(6)]

    answers = await asyncio.gather(
        *(school.call(school.admin, "PUT", f"/courses/{course['id']}/teachers/{t.id}") for t in teachers)
    )

    assert [answer.status for answer in answers] == [204] * 6
    shown = await school.call(school.admin, "GET", f"/courses/{course['id']}")
    assert shown.body["teacher_ids"] == sorted(str(teacher.id) for teacher in teachers)
    assert [event["aggver"] for event in await school.events(course["id"])] == [1, 2, 3, 4, 5, 6, 7]


async def test_some_fields_change_and_null_gives_the_delay_back_to_the_school(school):
    course = await school.a_course(closing_delay_minutes=30)
    path = f"/courses/{course['id']}"

    renamed = await school.call(school.admin, "PATCH", path, {"name": "Geometry"}, if_match='"1"')
    default = await school.call(school.admin, "PATCH", path, {"closing_delay_minutes": None}, if_match='"2"')
    same = await school.call(school.admin, "PATCH", path, {"name": "Geometry"}, if_match='"3"')

    assert (renamed.body["name"], renamed.body["closing_delay_minutes"]) == ("Geometry", 30)
    assert (default.body["closing_delay_minutes"], default.body["signature_closing_delay_minutes"]) == (None, 15)
    assert same.body["version"] == 3
    assert len(await school.events(course["id"])) == 3


async def test_a_change_that_cannot_be_is_refused(school):
    course = await school.a_course()
    path = f"/courses/{course['id']}"

    for changes, version, status, code in (
        ({"end_at": at(NINE)}, 1, 422, "end_not_after_start"),
        ({"name": None}, 1, 422, "malformed_body"),
        ({"start_at": None}, 1, 422, "malformed_body"),
        ({"name": "X"}, 2, 412, "version_stale"),
        ({"school_id": str(uuid4())}, 1, 422, "malformed_body"),
    ):
        refused = await school.call(school.admin, "PATCH", path, changes, if_match=f'"{version}"')
        assert (refused.status, refused.code) == (status, code), changes
    assert len(await school.events(course["id"])) == 1


async def test_a_cancelled_course_stays_readable_and_changes_no_more(school):
    course, teacher = await school.a_course(), school.person("teacher")
    path = f"/courses/{course['id']}"

    cancelled = [await school.call(school.admin, "DELETE", path) for _ in range(2)]
    shown = await school.call(school.admin, "GET", path)

    assert [answer.status for answer in cancelled] == [204, 204]
    assert (shown.body["cancelled"], shown.body["version"]) == (True, 2)
    assert (await school.events(course["id"]))[-1]["type"] == "academics.course.cancelled.v1"
    for method, tail, body, headers in (
        ("PATCH", "", {"name": "X"}, {"if_match": '"2"'}),
        ("PUT", f"/teachers/{teacher.id}", None, {}),
        ("POST", "/signing", {"state": "closed"}, {}),
    ):
        refused = await school.call(school.admin, method, path + tail, body, **headers)
        assert (refused.status, refused.code) == (409, "course_cancelled")


async def test_a_school_can_switch_planning_by_hand_off(school):
    course, teacher = await school.a_course(), school.person("teacher")
    path = f"/courses/{course['id']}"
    await school.call(
        school.admin,
        "PATCH",
        f"/schools/{school.school}/preferences",
        {"disable_course_modification_from_ui": True},
        if_match='"1"',
    )

    body = {"name": "B", "start_at": at(NINE), "end_at": at(NINE + HOUR)}
    refused = [
        await school.call(school.admin, "POST", "/courses", body),
        await school.call(school.admin, "PATCH", path, {"name": "X"}, if_match='"1"'),
        await school.call(school.admin, "DELETE", path),
    ]
    delay = await school.call(school.admin, "PATCH", path, {"closing_delay_minutes": 5}, if_match='"1"')
    linked = await school.call(school.admin, "PUT", f"{path}/teachers/{teacher.id}")
    developer = await school.call(
        school.dev, "PATCH", f"{path}?school_id={school.school}", {"name": "X"}, if_match='"3"'
    )

    assert [(answer.status, answer.code) for answer in refused] == [(403, "course_modification_disabled")] * 3
    assert (delay.status, linked.status, developer.status) == (200, 204, 200)


async def test_a_teacher_of_the_course_sets_its_delay_while_the_school_allows_it(school):
    mine, other = school.person("teacher"), school.person("teacher")
    course = await school.a_course(teacher_ids=[str(mine.id)])
    path = f"/courses/{course['id']}"

    changed = await school.call(mine, "PATCH", path, {"closing_delay_minutes": 40}, if_match='"1"')
    renamed = await school.call(mine, "PATCH", path, {"name": "X"}, if_match='"2"')
    stranger = await school.call(other, "PATCH", path, {"closing_delay_minutes": 1}, if_match='"2"')
    await school.call(
        school.admin,
        "PATCH",
        f"/schools/{school.school}/preferences",
        {"teacher_can_modify_closing_delay": False},
        if_match='"1"',
    )
    locked = await school.call(mine, "PATCH", path, {"closing_delay_minutes": 1}, if_match='"2"')

    assert (changed.status, changed.body["signature_closing_delay_minutes"]) == (200, 40)
    assert (renamed.status, renamed.code) == (403, "forbidden")
    assert (stranger.status, stranger.code) == (403, "forbidden")
    assert (locked.status, locked.code) == (403, "closing_delay_locked")


async def test_students_and_teachers_see_their_own_courses(school):
    student, teacher = school.person("student"), school.person("teacher")
    group = await school.a_group(student)
    attended = await school.a_course(name="Attended", group_ids=[group["id"]])
    taught = await school.a_course(name="Taught", teacher_ids=[str(teacher.id)])

    async def listed_by(who, query=""):
        return [shown["name"] for shown in (await school.call(who, "GET", f"/courses{query}")).body["items"]]

    assert await listed_by(student) == ["Attended"]
    assert await listed_by(student, f"?student_id={uuid4()}") == ["Attended"]
    assert await listed_by(teacher) == ["Taught"]
    assert await listed_by(teacher, f"?teacher_id={uuid4()}") == ["Taught"]
    assert sorted(await listed_by(school.admin)) == ["Attended", "Taught"]
    for who, path in ((student, taught["id"]), (teacher, attended["id"])):
        hidden = await school.call(who, "GET", f"/courses/{path}")
        assert (hidden.status, hidden.code) == (403, "forbidden")
    assert (await school.call(student, "GET", f"/courses/{attended['id']}")).status == 200
    assert (await school.call(teacher, "GET", f"/courses/{taught['id']}")).status == 200


async def test_courses_are_found_by_every_filter(school):
    student, teacher = school.person("student"), school.person("teacher")
    group, room = await school.a_group(student), await school.make("/classrooms", name="B12")
    wanted = await school.a_course(teacher_ids=[str(teacher.id)], group_ids=[group["id"]], classroom_ids=[room["id"]])
    await school.a_course(name="Later", start_at=at(NINE + 24 * HOUR), end_at=at(NINE + 25 * HOUR))

    for query in (
        f"teacher_id={teacher.id}",
        f"student_id={student.id}",
        f"group_id={group['id']}",
        f"classroom_id={room['id']}",
        f"to={at(NINE + HOUR)}",
        f"from={at(NINE - HOUR)}&to={at(NINE + HOUR)}",
        f"from={at(NINE)}&to={at(NINE + 24 * HOUR)}",
        f"school_id={school.school}&limit=1&to={at(NINE + HOUR)}",
    ):
        found = await school.call(school.admin, "GET", f"/courses?{query}")
        assert [shown["id"] for shown in found.body["items"]] == [wanted["id"]], query
    nothing = await school.call(school.admin, "GET", f"/courses?teacher_id={teacher.id}&from={at(NINE + 3 * HOUR)}")
    assert nothing.body["items"] == []
    for query in ("limit=0", "cursor=%00", "from=yesterday", "colour=red"):
        assert (await school.call(school.admin, "GET", f"/courses?{query}")).status in (400, 422), query


async def test_another_schools_course_is_as_absent_as_none(school):
    course = await school.a_course()
    path = f"/courses/{course['id']}"
    await school.open_school()
    stranger = school.admin

    answers = [
        await school.call(stranger, method, path + tail, body, **headers)
        for method, tail, body, headers in (
            ("GET", "", None, {}),
            ("PATCH", "", {"name": "Mine"}, {"if_match": '"1"'}),
            ("DELETE", "", None, {}),
            ("PUT", f"/teachers/{school.person('teacher').id}", None, {}),
            ("PUT", f"/groups/{(await school.a_group())['id']}", None, {}),
            ("POST", "/signing", {"state": "closed"}, {}),
        )
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 6
    assert (await school.call(stranger, "GET", f"/courses?school_id={course['school_id']}")).status == 404
    assert len(await school.events(course["id"])) == 1


async def test_a_developer_who_names_a_school_that_is_not_there_finds_nothing(school):
    path = f"/courses/{(await school.a_course())['id']}"

    named = await school.call(school.dev, "DELETE", f"{path}?school_id={uuid4()}")
    blind = await school.call(school.dev, "DELETE", path)

    assert (named.status, named.code) == (404, "not_found")
    assert (blind.status, blind.code) == (422, "school_id_required")


async def test_nobody_plans_courses_but_admins(school):
    student, teacher = school.person("student"), school.person("teacher")
    course = await school.a_course(teacher_ids=[str(teacher.id)])
    for who in (student, teacher):
        for method, tail, body in (
            ("POST", "", {"name": "X"}),
            ("DELETE", f"/{course['id']}", None),
            ("PUT", f"/{course['id']}/teachers/{teacher.id}", None),
        ):
            assert (await school.call(who, method, "/courses" + tail, body)).status == 403
    assert (await school.call(Person("student", school.school), "PATCH", f"/courses/{course['id']}")).status == 403


async def test_when_identity_is_away_nothing_is_kept(school):
    school.people.is_down = True
    body = {"name": "A", "start_at": at(NINE), "end_at": at(NINE + HOUR), "teacher_ids": [str(uuid4())]}

    down = await school.call(school.admin, "POST", "/courses", body)

    assert (down.status, down.code) == (503, "identity_down")
    assert await school.pool.fetchval("SELECT count(*) FROM course") == 0
