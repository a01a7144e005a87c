"""Who may have whom counted over REST, and what they take away."""

from uuid import uuid4

import pytest

from tests.fakes.attendance import HOUR, MINUTE, NINE
from tests.integration.attendance.academics_feed import DAY, Feed
from tests.integration.attendance.playing import sign

REPORT = "/signatures/report"
SPAN = {"from": "2026-09-01T00:00:00Z", "to": "2026-09-02T00:00:00Z"}


@pytest.fixture
async def told(school):
    """What the copy has heard: the course with a group of two, one of whom has signed, and another teacher's course."""
    await school.prove(NINE - DAY)
    feed, id_ = Feed(school.pool), school.course.school_id
    there, absent = sorted(uuid4() for _ in range(2))
    group = await feed.group(there, absent, school=id_)
    hours = {"start_at": NINE, "end_at": NINE + HOUR, "group_ids": [group], "school": id_}
    await feed.course(school.course.id, **hours, teacher_ids=school.directory.teachers)
    await feed.course(**hours)
    await sign(school, there)
    school.now = NINE + 2 * HOUR
    return group, there, absent


def counts(answer):
    return {line["student_id"]: (line["expected"], line["accepted"], line["absent"]) for line in answer.body["items"]}


async def test_an_admin_has_a_group_counted(admin, told):
    group, there, absent = told

    answer = await admin.get(REPORT, group_id=group, **SPAN)

    assert counts(answer) == {str(there): (2, 1, 1), str(absent): (2, 0, 2)}
    assert (answer.body["course_count"], answer.body["next_cursor"]) == (2, None)
    assert [line["courses"] for line in answer.body["items"]] == [None, None]


async def test_pages_are_read_on_by_their_cursors(admin, told):
    group, there, absent = told

    first = await admin.get(REPORT, group_id=group, limit=1, **SPAN)
    second = await admin.get(REPORT, group_id=group, limit=1, cursor=first.body["next_cursor"], **SPAN)

    assert [list(counts(each)) for each in (first, second)] == [[str(there)], [str(absent)]]
    assert second.body["next_cursor"] is None


async def test_one_student_is_followed_through_their_courses(admin, school, told):
    _, there, _ = told

    [line] = (await admin.get(REPORT, student_id=there, **SPAN)).body["items"]
    signed, missed = sorted(line["courses"], key=lambda course: course["status"] == "ABSENT")

    assert (signed["course_id"], signed["status"], signed["reason"]) == (str(school.course.id), "ACCEPTED", "on_time")
    assert (signed["start_at"], signed["signed_at"]) == ("2026-09-01T09:00:00Z", "2026-09-01T09:05:00Z")
    assert (missed["status"], missed["signature_id"]) == ("ABSENT", None)


async def test_a_report_can_be_taken_away_as_a_file(admin, school, told):
    group, there, absent = told

    of_group = await admin.get(REPORT, accept="text/csv", group_id=group, **SPAN)
    of_one = await admin.get(REPORT, accept="text/csv", student_id=there, course_id=school.course.id, **SPAN)
    of_a_part = await admin.get(REPORT, accept="text/csv", group_id=group, limit=1, **SPAN)

    assert of_group.headers["Content-Disposition"] == 'attachment; filename="report-2026-09-01-2026-09-02.csv"'
    assert of_group.body.split("\r\n") == [
        "student_id,expected,accepted,late,pending,refused,absent,awaited",
        f"{there},2,1,0,0,0,1,0",
        f"{absent},2,0,0,0,0,2,0",
        "",
    ]
    head, row, end = of_one.body.split("\r\n")
    assert head == "student_id,course_id,start_at,end_at,status,reason,method,signed_at,signature_id"
    assert row.rpartition(",")[0] == (
        f"{there},{school.course.id},2026-09-01T09:00:00Z,2026-09-01T10:00:00Z,ACCEPTED,on_time,FLASHLIGHT,"
        "2026-09-01T09:05:00Z"
    )
    assert end == ""
    assert (of_a_part.status, of_a_part.body["fields"]) == (422, ["cursor", "limit"])


async def test_teachers_have_their_own_courses_counted(door, school, told):
    group, there, absent = told
    feed, own = Feed(school.pool), door.a_teacher()
    await feed.course(
        start_at=NINE,
        end_at=NINE + HOUR,
        group_ids=[group],
        teacher_ids=[own.id],
        school=school.course.school_id,
    )

    mine = await own.get(REPORT, **SPAN)
    named = await own.get(REPORT, course_id=school.course.id, **SPAN)
    strange = await door.someone("teacher").get(REPORT, course_id=school.course.id, **SPAN)
    nobodys = await door.someone("teacher").get(REPORT, group_id=group, **SPAN)
    abroad = await door.someone("teacher", uuid4()).get(REPORT, course_id=school.course.id, **SPAN)

    assert counts(mine) == {str(there): (1, 0, 1), str(absent): (1, 0, 1)}
    assert counts(named) == {str(there): (1, 1, 0), str(absent): (1, 0, 1)}
    assert (strange.status, nobodys.body["items"], abroad.status) == (403, [], 404)


async def test_other_schools_are_as_if_they_were_not_there(door, school, told):
    group, there, _ = told
    foreign, dev = door.someone("admin", uuid4()), door.someone("dev")
    id_ = school.course.school_id
    named = [{"group_id": group}, {"student_id": there}, {"course_id": school.course.id}]

    answers = [await foreign.get(REPORT, **each, **SPAN) for each in named]
    claimed = await foreign.get(REPORT, group_id=group, school_id=id_, **SPAN)
    allowed = await dev.get(REPORT, group_id=group, school_id=id_, **SPAN)

    assert [(answer.status, answer.body["items"]) for answer in answers] == [(200, [])] * 3
    assert (claimed.status, len(allowed.body["items"])) == (404, 2)


async def test_who_asks_badly_is_told_what_is_wrong(door, admin, school, told):
    group, there, _ = told
    dev, some = door.someone("dev"), {"group_id": group}
    longest = {"from": "2026-01-01T00:00:00Z", "to": "2027-02-05T00:00:00Z"}
    faults = [
        (admin, SPAN, ["course_id", "group_id", "student_id"]),
        (dev, SPAN | some, ["school_id"]),
        (dev, SPAN | {"school_id": school.course.school_id}, ["course_id", "group_id", "student_id"]),
        (admin, some | {"from": SPAN["from"]}, ["to"]),
        (admin, some | {"to": SPAN["to"]}, ["from"]),
        (admin, some | SPAN | {"to": SPAN["from"]}, ["from", "to"]),
        (admin, some | {"from": SPAN["to"], "to": SPAN["from"]}, ["from", "to"]),
        (admin, some | longest | {"to": "2027-02-05T00:00:00.000001Z"}, ["from", "to"]),
        (admin, some | SPAN | {"from": "2026-09-01"}, ["from"]),
        (admin, some | SPAN | {"from": "2026-02-30T00:00:00Z"}, ["from"]),
        (admin, some | SPAN | {"to": "9999-12-31T23:59:59-23:59"}, ["to"]),
        (admin, SPAN | {"group_id": str(group).upper()}, ["group_id"]),
        (admin, SPAN | {"student_id": "1"}, ["student_id"]),
        (admin, some | SPAN | {"teacher_id": there}, ["teacher_id"]),
        (admin, some | SPAN | {"limit": 0}, ["limit"]),
        (admin, some | SPAN | {"limit": 201}, ["limit"]),
    ]

    for person, query, fields in faults:
        answer = await person.get(REPORT, **query)
        assert (answer.status, answer.body["code"], answer.body["fields"]) == (422, "malformed_query", fields), query

    cursor = await admin.get(REPORT, **some, **SPAN, cursor="x")
    assert (cursor.status, cursor.body["code"]) == (400, "malformed_cursor")
    assert (await admin.get(REPORT, **some, **longest)).status == 200
    assert (await door.someone("student").get(REPORT, student_id=there, **SPAN)).status == 403
    assert (await admin.get(REPORT, accept="application/pdf", **some, **SPAN)).status == 406


async def test_while_the_copy_is_made_anew_there_is_no_report(admin, school, told):
    await school.prove(NINE - MINUTE, state="repair")

    answer = await admin.get(REPORT, group_id=told[0], **SPAN)

    assert (answer.status, answer.body["code"]) == (503, "academics_down")
