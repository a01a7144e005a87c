"""Calendars by a signed URL, over the REST door: whoever has it sees one person's courses, until it is made void."""

from datetime import timedelta

from infra.icalendar import calendar_rows
from tests.integration.academics.conftest import NINE, ORIGIN, Person, at

HOUR = timedelta(hours=1)


async def url_of(school, who):
    shown = await school.call(who, "GET", "/courses/calendar")
    assert shown.status == 200, shown.body
    return shown.body["url"].removeprefix(ORIGIN)


async def look(school, url, **headers):
    """The status, the text and the tag of what a calendar program gets, which sends no token."""
    async with school.client.get(url, headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers.get("ETag")


async def seen(school, who):
    status, raw, _ = await look(school, await url_of(school, who))
    assert status == 200
    return {row.value.summary: row.value for row in calendar_rows(raw)}


async def test_a_calendar_shows_a_persons_own_courses_as_the_list_does(school):
    teacher, other = school.person("teacher"), school.person("teacher")
    student, stranger = school.person("student"), school.person("student")
    group, room = await school.a_group(student), await school.make("/classrooms", name="B12; left")
    links = {"group_ids": [group["id"]], "classroom_ids": [room["id"]]}
    made = await school.a_course(name="Algebra, I", teacher_ids=[str(teacher.id)], **links)
    gone = await school.a_course(name="Music", teacher_ids=[str(other.id)], **links)
    await school.call(school.admin, "DELETE", f"/courses/{gone['id']}")
    for days in (-61, -59, 339, 341):
        start = NINE + timedelta(days=days)
        await school.a_course(name=f"{days}", start_at=at(start), end_at=at(start + HOUR), **links)

    mine = await seen(school, student)
    _, raw, _ = await look(school, await url_of(school, student))

    assert mine.keys() == {"Algebra, I", "Music", "-59", "339"}
    assert (mine["Algebra, I"].uid, mine["Algebra, I"].starts_at) == (made["id"], NINE)
    assert {name: event.is_cancelled for name, event in mine.items()}["Music"]
    assert b"LOCATION:B12\\; left\r\n" in raw
    assert b"\r\nSEQUENCE:1\r\n" in raw
    assert (await seen(school, teacher)).keys() == {"Algebra, I"}
    assert (await seen(school, stranger)).keys() == set()


async def test_a_calendar_that_is_known_is_not_sent_again(school):
    teacher = school.person("teacher")
    course = await school.a_course(teacher_ids=[str(teacher.id)])
    url = await url_of(school, teacher)

    _, text, tag = await look(school, url)
    known = await look(school, url, **{"If-None-Match": f'"other", W/{tag}'})
    await school.call(school.admin, "PATCH", f"/courses/{course['id']}", {"name": "B"}, if_match='"1"')
    changed = await look(school, url, **{"If-None-Match": tag})

    assert known == (304, b"", tag)
    assert changed[0] == 200
    assert changed[2] != tag
    assert b"SUMMARY:B\r\n" in changed[1]
    assert text != changed[1]


async def test_a_url_is_good_until_its_owner_makes_it_void(school):
    teacher, other = school.person("teacher"), school.person("teacher")
    first, others = await url_of(school, teacher), await url_of(school, other)
    assert await url_of(school, teacher) == first

    for _ in range(2):
        assert (await school.call(teacher, "DELETE", "/courses/calendar")).status == 204

    second = await url_of(school, teacher)
    assert [(await look(school, url))[0] for url in (first, second, others)] == [404, 200, 200]


async def test_a_url_that_we_did_not_make_shows_nothing(school):
    url = await url_of(school, school.person("teacher"))

    for odd in (url[:-1] + ("A" if url[-1] != "A" else "B"), url + "x", url[:-1], url[:30] + "zzz"):
        assert (await look(school, odd))[0] == 404
    assert (await look(school, "/courses/calendar.ics"))[0] == 422


async def test_a_url_does_not_outlive_its_owners_account_and_an_outage_is_told_as_one(school):
    teacher = school.person("teacher")
    url = await url_of(school, teacher)

    school.people.is_down = True
    away = await look(school, url)
    school.people.is_down = False
    school.people.disabled.add(teacher.id)
    disabled = await look(school, url)
    school.people.disabled.clear()
    again = await look(school, url)
    del school.people.known[teacher.id]

    assert (away[0], disabled[0], again[0], (await look(school, url))[0]) == (503, 404, 200, 404)


async def test_only_who_attends_courses_has_a_calendar(school):
    for who in (school.admin, school.dev, Person("admin", school.school)):
        for method in ("GET", "DELETE"):
            assert (await school.call(who, method, "/courses/calendar")).code == "forbidden"
    assert (await school.call(None, "GET", "/courses/calendar")).status == 401
