"""Planning many courses by a file, over the REST door."""

import asyncio
import io
import json
from datetime import timedelta
from uuid import uuid4

import asyncpg

from academics_svc.http_api.imports import CHUNK_COUNT
from tests.integration.academics.conftest import NINE, Person, at

CSV, CALENDAR = "text/csv", "text/calendar"
HEAD = "external_id,name,start_at,end_at,is_online,signature_closing_delay_minutes,teachers,groups,classrooms"
FIELDS = HEAD.split(",")
HOUR = timedelta(hours=1)


def a_row(n, **changes):
    start = NINE + n * HOUR
    usual = {"external_id": f"c{n}", "name": f"Course {n}", "start_at": at(start), "end_at": at(start + HOUR)}
    fields = usual | changes
    return ",".join(f'"{fields[name]}"' if name in fields else "" for name in FIELDS)


def a_file(*rows):
    return "\r\n".join([HEAD, *rows]).encode()


def a_calendar(*uids, more=""):
    event = (
        "BEGIN:VEVENT\nUID:{}\nSUMMARY:Maths\\, II\nDTSTART;TZID=Europe/Paris:20260302T100000\nDTEND:20260302T110000Z\n"
    )
    events = [event.format(uid) + more + "END:VEVENT" for uid in uids]
    return "\n".join(["BEGIN:VCALENDAR", *events, "END:VCALENDAR"]).encode()


async def send(world, who, raw, *, kind=CSV, path="/courses/import"):
    """The status, and the lines of the answer or the code of the problem."""
    headers = {"Authorization": f"Bearer {world.token(who)}", "Content-Type": kind}
    async with world.client.post(path, data=io.BytesIO(raw), headers=headers) as answer:
        text = await answer.text()
        if answer.status != 200:
            return answer.status, json.loads(text)["code"]
        return answer.status, [json.loads(line) for line in text.splitlines()]


def words(answered):
    return [line.get("code", line["status"]) for line in answered[1]]


async def count(world):
    return await world.pool.fetchval("SELECT count(*) FROM course")


async def test_a_course_of_a_file_has_all_that_its_row_says(school):
    teachers, group, room = (
        [school.person("teacher") for _ in range(2)],
        await school.a_group(),
        await school.make("/classrooms", name="B12"),
    )
    row = a_row(
        1,
        is_online="TRUE",
        signature_closing_delay_minutes="20",
        teachers=" ".join(str(teacher.id) for teacher in teachers),
        groups=group["id"],
        classrooms=room["id"],
    )

    _, [told] = await send(school, school.admin, a_file(row))

    shown = (await school.call(school.admin, "GET", f"/courses/{told['id']}")).body
    assert (told["row"], told["status"]) == (1, "created")
    assert (shown["name"], shown["start_at"], shown["is_online"]) == ("Course 1", at(NINE + HOUR), True)
    assert (shown["closing_delay_minutes"], shown["version"]) == (20, 1)
    assert shown["teacher_ids"] == sorted(str(teacher.id) for teacher in teachers)
    assert (shown["group_ids"], shown["classroom_ids"]) == ([group["id"]], [room["id"]])
    [event] = await school.events(told["id"])
    assert (event["type"], event["actor"]["id"]) == ("academics.course.created.v1", str(school.admin.id))


async def test_a_bad_row_is_refused_with_its_reason_and_harms_no_other(school):
    student = school.person("student")
    rows = {
        a_row(0): "created",
        a_row(1, end_at=at(NINE + HOUR)): "end_not_after_start",
        a_row(2, signature_closing_delay_minutes="-1"): "minutes_out_of_range",
        a_row(3, signature_closing_delay_minutes="1441"): "minutes_out_of_range",
        a_row(4, signature_closing_delay_minutes="soon"): "malformed_body",
        a_row(5, signature_closing_delay_minutes="9" * 5000): "malformed_body",
        a_row(6, is_online="maybe"): "malformed_body",
        a_row(7, start_at="2026-03-02T09:00:00"): "malformed_body",
        a_row(8, teachers=str(uuid4())): "user_unknown",
        a_row(9, teachers=str(student.id)): "not_a_teacher",
        a_row(10, groups=str(uuid4())): "not_found",
        a_row(11, classrooms="B12"): "malformed_body",
        a_row(12, teachers=" ".join(str(uuid4()) for _ in range(101))): "malformed_body",
        a_row(13, external_id="x" * 501): "malformed_body",
        a_row(14) + ",": "malformed_row",
        a_row(15, signature_closing_delay_minutes="1440"): "created",
    }

    told = await send(school, school.admin, a_file(*rows))

    assert words(told) == list(rows.values())
    assert [line["row"] for line in told[1]] == list(range(1, len(rows) + 1))
    assert told[1][4]["fields"] == ["signature_closing_delay_minutes"]
    assert await count(school) == 2


async def test_what_a_file_names_again_is_there_already_and_stays_as_it_is(school):
    rows = [a_row(1), a_row(2, external_id=""), a_row(1, name="Again"), a_row(2, external_id="")]

    first = await send(school, school.admin, a_file(*rows))
    again = await send(school, school.admin, a_file(*rows))

    assert words(first) == ["created", "created", "exists", "exists"]
    assert words(again) == ["exists"] * 4
    assert [line["id"] for line in again[1]] == [line["id"] for line in first[1]]
    assert (await school.call(school.admin, "GET", f"/courses/{first[1][0]['id']}")).body["name"] == "Course 1"
    await school.open_school()
    assert words(await send(school, school.admin, a_file(*rows))) == words(first)
    assert await count(school) == 4


async def test_a_calendar_is_a_timetable_too(school):
    _, told = await send(school, school.admin, a_calendar("a", "b", "a"), kind=CALENDAR)
    cancelled = await send(school, school.admin, a_calendar("c", more="STATUS:CANCELLED\n"), kind=CALENDAR)
    weekly = await send(school, school.admin, a_calendar("d", more="RRULE:FREQ=WEEKLY\n"), kind=CALENDAR)
    by_name = await send(school, school.admin, a_file(a_row(1, external_id="a")))

    assert [line["status"] for line in told] == ["created", "created", "exists"]
    assert (words(cancelled), words(weekly)) == (["course_cancelled"], ["event_recurs"])
    assert by_name[1][0] == {"row": 1, "status": "exists", "id": told[0]["id"]}
    shown = (await school.call(school.admin, "GET", f"/courses/{told[0]['id']}")).body
    assert (shown["name"], shown["start_at"], shown["end_at"]) == (
        "Maths, II",
        "2026-03-02T09:00:00Z",
        "2026-03-02T11:00:00Z",
    )


async def test_identity_is_asked_once_for_a_chunk_and_while_it_is_away_nothing_is_refused(school):
    teachers = [school.person("teacher") for _ in range(3)]
    rows = [a_row(n, teachers=str(teachers[n % 3].id)) for n in range(CHUNK_COUNT + 1)]

    school.people.is_down = True
    away = await send(school, school.admin, a_file(*rows))
    asked = school.people.asked
    school.people.is_down = False
    there = await send(school, school.admin, a_file(*rows))

    assert asked == 1
    assert words(away) == ["identity_down"] * len(rows)
    assert {line["status"] for line in away[1]} == {"unanswered"}
    assert school.people.asked - asked == 2
    assert words(there) == ["created"] * len(rows)


async def test_two_who_send_the_same_file_at_once_plan_each_course_once(school):
    there, back = [a_row(n) for n in range(5)], [a_row(n) for n in reversed(range(5))]

    one, other = await asyncio.gather(*(send(school, school.admin, a_file(*rows)) for rows in (there, back)))

    assert set(words(one) + words(other)) <= {"created", "exists"}
    assert {line["id"] for line in one[1]} == {line["id"] for line in other[1]}
    assert await count(school) == 5


async def test_a_chunk_that_fails_is_done_row_by_row(school):
    owner = await asyncpg.connect(school._url.admin_url)
    await owner.execute("""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE division_by_zero; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON course FOR EACH ROW WHEN (NEW.name = 'Course 2') EXECUTE FUNCTION fail()
    """)
    await owner.close()

    told = await send(school, school.admin, a_file(*(a_row(n) for n in range(4))))

    assert words(told) == ["created", "created", "internal", "created"]
    assert told[1][2]["status"] == "unanswered"
    assert await count(school) == 3


UNREADABLE = [
    (CSV, HEAD.replace("name", "title").encode(), 422, "malformed_columns"),
    (CSV, a_file(a_row(1), '"open'), 400, "malformed_file"),
    (CALENDAR, a_calendar("a")[:-3], 400, "malformed_file"),
    (CALENDAR, b"", 400, "malformed_file"),
    ("application/x-ndjson", b"{}", 415, "unsupported_media_type"),
    (CSV, HEAD.encode() + b"\nx" * 10_001, 413, "too_many_rows"),
]


async def test_a_file_that_cannot_be_read_is_refused_whole(school):
    for kind, raw, status, code in UNREADABLE:
        assert await send(school, school.admin, raw, kind=kind) == (status, code)
    assert await count(school) == 0


async def test_who_may_import_for_whom(school):
    file, own = a_file(a_row(1)), f"/courses/import?school_id={school.school}"
    teacher, stranger = school.person("teacher"), Person("admin", uuid4())

    assert await send(school, teacher, file) == (403, "forbidden")
    assert await send(school, stranger, file, path=own) == (404, "not_found")
    assert await send(school, school.dev, file) == (422, "school_id_required")
    assert words(await send(school, school.dev, file, path=own)) == ["created"]


async def test_a_school_whose_plan_is_not_made_by_hand_takes_no_file_of_an_administrator(world):
    await world.open_school(disable_course_modification_from_ui=True)

    assert words(await send(world, world.admin, a_file(a_row(1)))) == ["course_modification_disabled"]
