"""Classrooms, groups and who belongs to them, through the REST door."""

import asyncio
from uuid import UUID, uuid4

import pytest

from academics_svc.commands.news import news_of_course
from academics_svc.commands.parts import change_members
from academics_svc.domain import linked
from contracts.events.academics import CourseUpdated
from tests.waiting import until

KINDS = ["classroom", "group"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_part_is_made_shown_renamed_listed_and_retired(school, kind):
    made = await school.call(school.admin, "POST", f"/{kind}s", {"name": "B12"})
    path = made.headers["Location"]
    renamed = await school.call(school.admin, "PATCH", path, {"name": "C3"}, if_match='"1"')
    same = await school.call(school.admin, "PATCH", path, {"name": "C3"}, if_match='"2"')
    listed = await school.call(school.admin, "GET", f"/{kind}s")
    retired = [await school.call(school.admin, "DELETE", path) for _ in range(2)]

    assert (made.status, made.body["school_id"], made.headers["ETag"]) == (201, str(school.school), '"1"')
    assert (renamed.status, renamed.body["name"], renamed.body["version"]) == (200, "C3", 2)
    assert same.body == renamed.body
    assert listed.body == {"items": [renamed.body], "next_cursor": None}
    assert [answer.status for answer in retired] == [204, 204]
    assert retired[0].headers["x-consistency-token"].endswith(f"/{kind}:{made.body['id']}@3")
    assert (await school.call(school.admin, "GET", path)).status == 404
    for body in ({}, {"name": "D4"}):
        assert (await school.call(school.admin, "PATCH", path, body, if_match='"3"')).status == 404
    assert (await school.call(school.admin, "GET", f"/{kind}s")).body["items"] == []
    events = await school.events(made.body["id"])
    assert [(event["type"].split(".")[2], event["aggver"], event["data"]["retired"]) for event in events] == [
        ("created", 1, False),
        ("updated", 2, False),
        ("deleted", 3, True),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_is_taken_until_its_holder_retires(school, kind):
    first = await school.make(f"/{kind}s", name="B12")
    other = await school.make(f"/{kind}s", name="B13")

    taken = await school.call(school.admin, "POST", f"/{kind}s", {"name": "b12"})
    renamed = await school.call(school.admin, "PATCH", f"/{kind}s/{other['id']}", {"name": "B12"}, if_match='"1"')
    await school.call(school.admin, "DELETE", f"/{kind}s/{first['id']}")
    free = await school.call(school.admin, "POST", f"/{kind}s", {"name": "B12"})

    assert (taken.status, taken.code) == (409, "name_taken")
    assert (renamed.status, renamed.code) == (409, "name_taken")
    assert free.status == 201


@pytest.mark.parametrize("kind", KINDS)
async def test_a_repeat_with_the_same_key_makes_one_part(school, kind):
    first = await school.call(school.admin, "POST", f"/{kind}s", {"name": "B12"}, key="k1")
    again = await school.call(school.admin, "POST", f"/{kind}s", {"name": "B12"}, key="k1")
    other = await school.call(school.admin, "POST", f"/{kind}s", {"name": "B13"}, key="k1")

    assert (again.status, again.body) == (201, first.body)
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert len(await school.events(first.body["id"])) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_coming_course_needs_stays_and_what_a_past_one_had_may_go(school, kind):
    part = await school.make(f"/{kind}s", name="B12")
    await school.a_course(**{f"{kind}_ids": [part["id"]]})
    path = f"/{kind}s/{part['id']}"

    needed = await school.call(school.admin, "DELETE", path)
    school.clock.advance(hours=3)
    gone = await school.call(school.admin, "DELETE", path)

    assert (needed.status, needed.code) == (409, "still_needed")
    assert gone.status == 204


async def test_a_room_with_a_beacon_in_it_stays_and_an_outage_is_said(school):
    room = await school.make("/classrooms", name="B12")
    path = f"/classrooms/{room['id']}"
    school.beacons.known[UUID(room["id"])] = school.school

    needed = await school.call(school.admin, "DELETE", path)
    school.beacons.is_down = True
    down = await school.call(school.admin, "DELETE", path)

    assert (needed.status, needed.code) == (409, "still_needed")
    assert (down.status, down.code) == (503, "beacon_down")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_developer_names_the_school_on_every_change(school, kind):
    blind = await school.call(school.dev, "POST", f"/{kind}s", {"name": "B12"})
    named = await school.call(school.dev, "POST", f"/{kind}s", {"name": "B12", "school_id": str(school.school)})
    path = f"/{kind}s/{named.body['id']}"

    assert (blind.status, blind.code) == (422, "school_id_required")
    assert named.status == 201
    assert (await school.call(school.dev, "DELETE", path)).code == "school_id_required"
    assert (await school.call(school.dev, "DELETE", f"{path}?school_id={uuid4()}")).status == 404
    assert (await school.call(school.dev, "DELETE", f"{path}?school_id={school.school}")).status == 204


@pytest.mark.parametrize("kind", KINDS)
async def test_another_schools_part_is_as_absent_as_none(school, kind):
    part = await school.make(f"/{kind}s", name="B12")
    home = school.school
    await school.open_school()
    stranger = school.admin

    foreign = [
        await school.call(stranger, method, f"/{kind}s/{part['id']}", body, **headers)
        for method, body, headers in (
            ("GET", None, {}),
            ("PATCH", {"name": "Mine"}, {"if_match": '"1"'}),
            ("DELETE", None, {}),
        )
    ]
    smuggled = await school.call(stranger, "POST", f"/{kind}s", {"name": "X", "school_id": str(home)})

    assert [(answer.status, answer.code) for answer in (*foreign, smuggled)] == [(404, "not_found")] * 4
    assert (await school.call(stranger, "GET", f"/{kind}s")).body["items"] == []


async def test_students_join_and_leave_once(school):
    student, group = school.person("student"), await school.a_group()
    path = f"/groups/{group['id']}/members/{student.id}"

    joined = [await school.call(school.admin, "PUT", path) for _ in range(2)]
    members = await school.call(school.admin, "GET", f"/groups/{group['id']}/members")
    left = [await school.call(school.admin, "DELETE", path) for _ in range(2)]
    nobody = await school.call(school.admin, "GET", f"/groups/{group['id']}/members")

    assert [answer.status for answer in (*joined, *left)] == [204] * 4
    assert [item["student_id"] for item in members.body["items"]] == [str(student.id)]
    assert nobody.body["items"] == []
    _, came, went = await school.events(group["id"])
    assert (came["type"], came["aggver"]) == ("academics.group.membership_changed.v1", 2)
    assert (came["data"]["added"], came["data"]["removed"]) == ([str(student.id)], [])
    assert (went["aggver"], went["data"]["removed"]) == (3, [str(student.id)])
    assert joined[1].headers["x-consistency-token"].endswith(f"/group:{group['id']}@2")


async def test_many_join_and_leave_in_one_change(school):
    one, two, three = (school.person("student") for _ in range(3))
    group = await school.a_group(one, two)
    path = f"/groups/{group['id']}/members/batch"

    changed = await school.call(
        school.admin, "POST", path, {"add": [str(two.id), str(three.id)], "remove": [str(one.id)]}
    )
    contradiction = await school.call(school.admin, "POST", path, {"add": [str(one.id)], "remove": [str(one.id)]})

    assert changed.body == {"added": [str(three.id)], "removed": [str(one.id)], "version": 3}
    assert (contradiction.status, contradiction.code) == (422, "malformed_body")


async def test_only_students_of_the_school_join(school):
    group = await school.a_group()
    teacher, foreign = school.person("teacher"), school.person("student", uuid4())
    path = f"/groups/{group['id']}/members"

    for who, status, code in (
        (teacher.id, 422, "not_a_student"),
        (foreign.id, 404, "user_unknown"),
        (uuid4(), 404, "user_unknown"),
    ):
        answer = await school.call(school.admin, "PUT", f"{path}/{who}")
        assert (answer.status, answer.code) == (status, code)
    school.people.is_down = True
    down = await school.call(school.admin, "PUT", f"{path}/{uuid4()}")
    assert (down.status, down.code) == (503, "identity_down")
    assert len(await school.events(group["id"])) == 1


async def test_two_batches_at_once_both_count(school):
    students = [school.person("student") for _ in range(6)]
    group = await school.a_group()

    answers = await asyncio.gather(
        *(school.call(school.admin, "PUT", f"/groups/{group['id']}/members/{s.id}") for s in students)
    )

    assert [answer.status for answer in answers] == [204] * 6
    assert [event["aggver"] for event in await school.events(group["id"])] == [1, 2, 3, 4, 5, 6, 7]
    members = await school.call(school.admin, "GET", f"/groups/{group['id']}/members?limit=4")
    assert len(members.body["items"]) == 4
    assert members.body["next_cursor"]


async def test_a_student_who_joins_twice_at_once_joins_once(school):
    student, group = school.person("student"), await school.a_group()
    group_id, cause = UUID(group["id"]), school.desk.cause(school.caller(school.admin))

    async with school.desk.open_books(cause) as books:
        await change_members(group_id, add=[student.id], school_id=school.school, books=books)
        joining = asyncio.create_task(school.call(school.admin, "PUT", f"/groups/{group_id}/members/{student.id}"))
        await until(lambda: school.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    assert (await joining).status == 204
    assert [event["aggver"] for event in await school.events(group["id"])] == [1, 2]


async def test_who_sees_rooms_and_groups(school):
    student, teacher = school.person("student"), school.person("teacher")
    group, room = await school.a_group(student), await school.make("/classrooms", name="B12")
    paths = [f"/classrooms/{room['id']}", "/classrooms", f"/groups/{group['id']}", f"/groups/{group['id']}/members"]

    async def seen_by(who):
        return [(await school.call(who, "GET", path)).status for path in (*paths, "/groups")]

    before = [await seen_by(who) for who in (student, teacher)]
    await school.a_course(teacher_ids=[str(teacher.id)], group_ids=[group["id"]], classroom_ids=[room["id"]])

    assert before == [[403, 403, 403, 403, 403], [200, 200, 403, 403, 403]]
    assert await seen_by(student) == [200, 403, 403, 403, 403]
    assert await seen_by(teacher) == [200, 200, 200, 200, 403]
    assert await seen_by(school.admin) == [200] * 5
    assert await seen_by(school.dev) == [200] * 5


async def test_nobody_changes_parts_but_admins(school):
    student, room = school.person("student"), await school.make("/classrooms", name="B12")
    for who in (student, school.person("teacher")):
        for method, path, body in (
            ("POST", "/classrooms", {"name": "X"}),
            ("DELETE", f"/classrooms/{room['id']}", None),
            ("POST", "/groups", {"name": "X"}),
        ):
            assert (await school.call(who, method, path, body)).status == 403
    anonymous = await school.call(None, "GET", "/classrooms")
    assert (anonymous.status, anonymous.code) == (401, "token_missing")


async def test_a_room_may_not_retire_while_it_is_being_linked(school):
    room, course = await school.make("/classrooms", name="B12"), await school.a_course()
    room_id, cause = UUID(room["id"]), school.desk.cause(school.caller(school.admin))

    async with school.desk.open_books(cause) as books:
        before = await books.courses.lock(UUID(course["id"]), school_id=school.school)
        await books.classrooms.hold([room_id], school_id=school.school)
        retiring = asyncio.create_task(school.call(school.admin, "DELETE", f"/classrooms/{room['id']}"))
        await until(lambda: school.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        after = linked(before, "classroom", room_id)
        await books.courses.change(before, after, news_of_course(after, CourseUpdated))

    refused = await retiring
    assert (refused.status, refused.code) == (409, "still_needed")
