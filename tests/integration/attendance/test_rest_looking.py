"""Who may see which signatures, and what a sheet says."""

from dataclasses import replace
from uuid import uuid4

from tests.fakes.attendance import MINUTE, NINE
from tests.integration.attendance.academics_feed import DAY, Feed
from tests.integration.attendance.playing import sign

PARTS = ("students", "others", "teachers")


async def test_a_list_is_filtered_and_paged_in_a_stable_order(admin, school):
    for minute in range(5):
        await sign(school, uuid4(), NINE + minute * MINUTE)
    await sign(school, uuid4(), NINE - MINUTE)
    course = school.course.id

    first = await admin.get("/signatures", course_id=course, limit=4)
    second = await admin.get("/signatures", course_id=course, limit=4, cursor=first.body["next_cursor"])
    refused = await admin.get("/signatures", status="REFUSED")
    span = await admin.get("/signatures", **{"from": "2026-09-01T09:01:00Z", "to": "2026-09-01T09:03:00Z"})

    ids = [each["id"] for each in (*first.body["items"], *second.body["items"])]
    assert (len(ids), len(set(ids)), ids, second.body["next_cursor"]) == (6, 6, sorted(ids), None)
    assert [each["reason"] for each in refused.body["items"]] == ["too_early"]
    assert [each["signed_at"] for each in span.body["items"]] == ["2026-09-01T09:01:00Z", "2026-09-01T09:02:00Z"]


async def test_who_lists_must_say_what(door, teacher, admin, school):
    dev = door.someone("dev")
    school_id = school.course.school_id

    answers = [
        await admin.get("/signatures"),
        await teacher.get("/signatures"),
        await dev.get("/signatures", course_id=school.course.id),
        await admin.get("/signatures", **{"from": "2024-09-01T09:00:00Z", "to": "2026-09-01T09:00:00Z"}),
        await dev.get("/signatures", school_id=school_id),
        await teacher.get("/signatures", course_id=school.course.id),
        await door.someone("teacher").get("/signatures", course_id=school.course.id),
        await admin.get("/signatures", school_id=uuid4()),
    ]

    assert [answer.status for answer in answers] == [422, 422, 422, 422, 200, 200, 403, 404]


async def test_admins_of_another_school_see_nothing(door, school):
    kept = await sign(school, uuid4())
    foreign = door.someone("admin", school_id=uuid4())

    answers = [
        await foreign.get(f"/signatures/{kept.signature.id}"),
        await foreign.get(f"/signatures/{kept.signature.id}/transitions"),
        await foreign.get("/signatures/sheet", course_id=school.course.id),
    ]
    listed = await foreign.get("/signatures", course_id=school.course.id)

    assert [answer.status for answer in answers] == [404, 404, 404]
    assert listed.body["items"] == []


async def test_the_sheet_says_what_became_of_everybody_expected(door, teacher, school):
    on_time, late, waiting, early, nobody, walk_in = sorted(uuid4() for _ in range(6))
    school.timetable.expected = [on_time, late, waiting, early, nobody]
    school.now = NINE + 20 * MINUTE
    await sign(school, on_time, NINE)
    await sign(school, late)
    await sign(school, waiting, flags=frozenset({"chain_gap"}))
    await sign(school, early, NINE - MINUTE)
    await sign(school, walk_in)
    await teacher.post(course_id=school.course.id)

    answer = await teacher.get("/signatures/sheet", course_id=school.course.id)

    counts = {name: answer.body[name] for name in ("expected", "accepted", "late", "pending", "refused", "absent")}
    assert counts == {"expected": 5, "accepted": 1, "late": 1, "pending": 1, "refused": 1, "absent": 2}
    assert [(line["student_id"], line["status"]) for line in answer.body["students"]] == [
        (str(on_time), "ACCEPTED"),
        (str(late), "LATE"),
        (str(waiting), "PENDING"),
        (str(early), "ABSENT"),
        (str(nobody), "ABSENT"),
    ]
    assert answer.body["students"][3]["reason"] == "too_early"
    assert [(line["student_id"], line["status"]) for line in answer.body["others"]] == [(str(walk_in), "LATE")]
    assert [line["teacher_id"] for line in answer.body["teachers"]] == [str(teacher.id)]


async def test_the_sheet_can_be_taken_away_as_a_file(door, teacher, school):
    there, nobody, walk_in = sorted(uuid4() for _ in range(3))
    school.timetable.expected = [there, nobody]
    await sign(school, there)
    await sign(school, walk_in)
    await teacher.post(course_id=school.course.id)
    course = school.course.id

    shown = await teacher.get("/signatures/sheet", course_id=course)
    file = await teacher.get("/signatures/sheet", accept="text/csv, application/json;q=0.9", course_id=course)
    unmade = await teacher.get("/signatures/sheet", accept="application/pdf", course_id=course)

    ids = {
        line.get("student_id") or line["teacher_id"]: line["signature_id"]
        for part in PARTS
        for line in shown.body[part]
    }
    at = "2026-09-01T09:05:00Z"
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert file.headers["Content-Disposition"] == f'attachment; filename="sheet-{course}.csv"'
    assert file.body.split("\r\n") == [
        "course_id,kind,person_id,is_expected,status,reason,method,signed_at,signature_id",
        f"{course},student,{there},true,ACCEPTED,on_time,FLASHLIGHT,{at},{ids[str(there)]}",
        f"{course},student,{nobody},true,ABSENT,,,,",
        f"{course},student,{walk_in},false,ACCEPTED,on_time,FLASHLIGHT,{at},{ids[str(walk_in)]}",
        f"{course},teacher,{teacher.id},,ACCEPTED,teacher_present,TEACHER,{at},{ids[str(teacher.id)]}",
        "",
    ]
    assert (unmade.status, unmade.body["code"]) == (406, "not_acceptable")


async def test_nobody_is_absent_from_a_cancelled_course(teacher, school):
    school.timetable.expected = [uuid4()]
    plan = school.directory.plan
    school.directory.plan = replace(plan, course=replace(plan.course, is_cancelled=True))

    shown = (await teacher.get("/signatures/sheet", course_id=school.course.id)).body

    assert (shown["expected"], shown["absent"], shown["students"]) == (0, 0, [])


async def test_every_step_can_be_checked_against_the_log(teacher, school):
    kept = await sign(school, uuid4())
    await teacher.patch(kept.signature.id, 1, status="LATE", reason="x")

    rows = await school.pool.fetch("SELECT digest FROM signature_transition ORDER BY n")
    told = [body["data"]["transition_digest"] for _, body in await school.events()]

    assert told == [row["digest"].hex() for row in rows]


async def test_while_academics_is_away_the_sheet_is_shown_by_what_was_last_heard(door, teacher, school):
    school.directory.is_down = True
    unknown = await teacher.get("/signatures/sheet", course_id=school.course.id)
    feed = Feed(school.pool)
    await feed.preferences(school=school.course.school_id)
    await feed.course(school.course.id, school=school.course.school_id, teacher_ids=[teacher.id])
    await school.prove(NINE - DAY)

    shown = [
        await person.get("/signatures/sheet", course_id=school.course.id)
        for person in (teacher, door.someone("teacher"), door.someone("admin"), door.someone("admin", uuid4()))
    ]

    assert (unknown.status, unknown.body["code"]) == (503, "academics_down")
    assert [answer.status for answer in shown] == [200, 403, 200, 404]
