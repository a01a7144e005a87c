"""Schools and their preferences, through the REST door."""

from uuid import uuid4

from tests.integration.academics.conftest import Person


async def test_a_developer_makes_a_school_with_its_preferences(world):
    made = await world.call(world.dev, "POST", "/schools", {"name": "Lycée", "preferences": {"late_grace_minutes": 5}})

    assert (made.status, made.body["name"], made.body["version"]) == (201, "Lycée", 1)
    school_id = made.body["id"]
    assert made.headers["Location"] == f"/schools/{school_id}"
    assert made.headers["x-consistency-token"].endswith(f"/school:{school_id}@1")
    shown = await world.call(Person("student", school_id), "GET", f"/schools/{school_id}/preferences")
    assert (shown.status, shown.body["late_grace_minutes"], shown.body["enable_qr"]) == (200, 5, True)
    created, preferences = await world.events()
    assert (created["type"], created["aggver"]) == ("academics.school.created.v1", 1)
    assert preferences["type"] == "academics.preferences.updated.v1"
    assert preferences["data"]["late_grace_minutes"] == 5
    assert preferences["partitionkey"] == school_id


async def test_only_developers_make_retire_and_list_schools(school):
    for method, path in (("POST", "/schools"), ("GET", "/schools"), ("DELETE", f"/schools/{school.school}")):
        answer = await school.call(school.admin, method, path, {"name": "Mine"} if method == "POST" else None)
        assert (answer.status, answer.code) == (403, "forbidden")


async def test_schools_are_listed_in_parts(world):
    made = [(await world.make("/schools", name=f"School {n}"))["id"] for n in range(3)]

    first = (await world.call(world.dev, "GET", "/schools?limit=2")).body
    second = (await world.call(world.dev, "GET", f"/schools?limit=2&cursor={first['next_cursor']}")).body

    assert [shown["id"] for shown in (*first["items"], *second["items"])] == sorted(made)
    assert second["next_cursor"] is None


async def test_a_repeat_with_the_same_key_makes_one_school(world):
    first = await world.call(world.dev, "POST", "/schools", {"name": "Lycée"}, key="k1")
    again = await world.call(world.dev, "POST", "/schools", {"name": "Lycée"}, key="k1")
    other = await world.call(world.dev, "POST", "/schools", {"name": "Collège"}, key="k1")

    assert (again.status, again.body) == (201, first.body)
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert len(await world.events()) == 2


async def test_another_school_is_as_absent_as_none(school):
    stranger = Person("admin", uuid4())
    for path in (f"/schools/{school.school}", f"/schools/{school.school}/preferences"):
        foreign = await school.call(stranger, "GET", path)
        random = await school.call(stranger, "GET", path.replace(str(school.school), str(uuid4())))
        foreign.body.pop("request_id"), random.body.pop("request_id")
        assert foreign.status == 404
        assert foreign.body == random.body


async def test_a_school_is_renamed_by_who_saw_its_version(school):
    path = f"/schools/{school.school}"

    blind = await school.call(school.admin, "PATCH", path, {"name": "New"})
    renamed = await school.call(school.admin, "PATCH", path, {"name": "New"}, if_match='"1"')
    stale = await school.call(school.admin, "PATCH", path, {"name": "Newer"}, if_match='"1"')
    same = await school.call(school.admin, "PATCH", path, {"name": "New"}, if_match='"2"')

    assert (blind.status, blind.code) == (428, "version_required")
    assert (renamed.status, renamed.body["name"], renamed.headers["ETag"]) == (200, "New", '"2"')
    assert (stale.status, stale.code) == (412, "version_stale")
    assert same.body == renamed.body


async def test_preferences_outside_a_day_are_refused_by_name(school):
    path = f"/schools/{school.school}/preferences"
    for wrong in ({"default_signature_closing_delay_minutes": -1}, {"late_grace_minutes": 1441}):
        answer = await school.call(school.admin, "PATCH", path, wrong, if_match='"1"')
        assert (answer.status, answer.code, answer.body["fields"]) == (422, "minutes_out_of_range", list(wrong))
    refused = await school.call(
        school.dev, "POST", "/schools", {"name": "X", "preferences": {"early_open_minutes": 10**30}}
    )
    assert (refused.status, refused.code) == (422, "minutes_out_of_range")
    assert len(await school.events()) == 2


async def test_preferences_that_stay_as_they_are_announce_nothing(school):
    path = f"/schools/{school.school}/preferences"

    same = await school.call(school.admin, "PATCH", path, {"enable_nfc": True}, if_match='"1"')
    changed = await school.call(school.admin, "PATCH", path, {"enable_nfc": False}, if_match='"1"')

    assert same.body["version"] == 1
    assert (changed.body["enable_nfc"], changed.body["enable_flash"], changed.body["version"]) == (False, True, 2)
    assert [event["aggver"] for event in await school.events(changed.body["id"])] == [1, 2]


async def test_a_school_with_something_in_it_is_still_needed(school):
    room = await school.make("/classrooms", name="B12")
    path = f"/schools/{school.school}"

    needed = await school.call(school.dev, "DELETE", path)
    await school.call(school.admin, "DELETE", f"/classrooms/{room['id']}")
    retired = [await school.call(school.dev, "DELETE", path) for _ in range(2)]

    assert (needed.status, needed.code) == (409, "still_needed")
    assert [answer.status for answer in retired] == [204, 204]
    assert (await school.call(school.admin, "PATCH", path, {"name": "X"}, if_match='"2"')).status == 404
    for gone in (path, f"{path}/preferences"):
        assert (await school.call(school.admin, "GET", gone)).status == 404
    assert (await school.call(school.admin, "POST", "/groups", {"name": "1A"})).status == 404
