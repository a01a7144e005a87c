"""Making, showing, changing and retiring accounts, over the REST door."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest

from contracts.events.identity import UserDeleted
from tests.integration.identity.conftest import PASSWORD


def a_user(**changes):
    usual = {
        "user_type": "student",
        "email": f"{uuid4().hex[:12]}@school.example",
        "firstname": "Grace",
        "lastname": "Hopper",
    }
    return usual | changes


async def get_version(world, token, user_id):
    async with world.client.get(f"/users/{user_id}", headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.headers["ETag"]


async def patch(world, token, user_id, body, *, version=None):
    version = version or await get_version(world, token, user_id)
    return await world.call("PATCH", f"/users/{user_id}", token, body, headers={"If-Match": version})


async def test_an_administrator_makes_a_student_of_their_school(world):
    _, admin = await world.enter("admin")

    status, made = await world.call("POST", "/users", admin, a_user(student_number="S-1", password=PASSWORD))

    assert status == 201
    assert (made["school_id"], made["student_number"], made["version"]) == (str(world.school_id), "S-1", 1)
    assert "password" not in str(made)
    login, _ = await world.call("POST", "/auth/login", body={"email": made["email"], "password": PASSWORD})
    assert login == 200


async def test_the_event_of_a_new_account_names_nobody(world):
    _, admin = await world.enter("admin")

    _, made = await world.call("POST", "/users", admin, a_user())

    [(type_, version, data)] = [e for e in await world.announced() if e[2].get("user_id") == made["id"]]
    assert (type_, version) == ("identity.user.created.v1", 1)
    assert data == {
        "user_id": made["id"],
        "school_id": str(world.school_id),
        "user_type": "student",
        "disabled": False,
    }


MAKERS = [
    ("student", None, "student", 403),
    ("teacher", None, "student", 403),
    ("admin", "absence", "student", 201),
    ("admin", "planning", "teacher", 201),
    ("admin", "planning", "admin", 403),
    ("admin", "manager", "admin", 201),
    ("admin", None, "admin", 201),
    ("admin", None, "dev", 403),
    ("dev", None, "admin", 201),
    ("dev", None, "dev", 403),
]


async def test_who_may_make_whom(world):
    for maker, role, made, status in MAKERS:
        _, token = await world.enter(maker, **({"admin_role": role} if role else {}))
        school = {"school_id": str(world.school_id)} if maker == "dev" else {}

        answer = await world.call("POST", "/users", token, a_user(user_type=made, **school))

        assert answer[0] == status, (maker, role, made)


async def test_a_developer_must_name_the_school(world):
    _, dev = await world.enter("dev")

    status, answer = await world.call("POST", "/users", dev, a_user())

    assert (status, answer["code"]) == (422, "school_id_required")


async def test_nobody_makes_an_account_in_another_school(world):
    _, admin = await world.enter("admin")

    status, answer = await world.call("POST", "/users", admin, a_user(school_id=str(uuid4())))

    assert (status, answer["code"]) == (404, "not_found")


MALFORMED = [
    ({"email": "ada@localhost"}, "email_malformed"),
    ({"firstname": "A\u202eda"}, "name_malformed"),
    ({"firstname": ""}, "malformed_body"),
    ({"admin_role": "manager"}, "field_not_for_type"),
    ({"user_type": "teacher", "student_number": "1"}, "field_not_for_type"),
    ({"user_type": "root"}, "malformed_body"),
    ({"password_hash": "x"}, "malformed_body"),
    ({"password": "elevenchars"}, "password_too_short"),
    ({"password": "x1y2" * 33}, "password_too_long"),
    ({"password": "Password1234!"}, "password_too_common"),
    ({"user_type": "admin", "password": "zebra tulip 14"}, "password_too_short"),
]


async def test_a_malformed_account_is_refused_with_a_reason_and_not_kept(world):
    _, admin = await world.enter("admin")

    for fields, code in MALFORMED:
        status, answer = await world.call("POST", "/users", admin, a_user(**fields))
        assert (status, answer["code"]) == (422, code)

    assert await world.database.fetchval("SELECT count(*) FROM app_user") == 1


async def test_an_address_belongs_to_one_account_in_whatever_letter_case(world):
    _, admin = await world.enter("admin")
    await world.call("POST", "/users", admin, a_user(email="ada@school.example"))

    status, answer = await world.call("POST", "/users", admin, a_user(email="ADA@School.example"))

    assert (status, answer["code"]) == (409, "email_taken")


async def test_a_number_belongs_to_one_student_of_a_school(world):
    _, admin = await world.enter("admin")
    await world.add("student", school_id=uuid4(), student_number="S-1")
    await world.call("POST", "/users", admin, a_user(student_number="S-1"))

    status, answer = await world.call("POST", "/users", admin, a_user(student_number="S-1"))

    assert (status, answer["code"]) == (409, "student_number_taken")


async def test_the_same_request_again_makes_the_same_account(world):
    _, admin = await world.enter("admin")
    key, body = {"Idempotency-Key": "key-1"}, a_user(password=PASSWORD)

    first = await world.call("POST", "/users", admin, body, headers=key)
    again = await world.call("POST", "/users", admin, body, headers=key)
    other = await world.call("POST", "/users", admin, body | {"firstname": "Mary"}, headers=key)

    assert first == again
    assert (other[0], other[1]["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("first", "second"), [(PASSWORD, PASSWORD + "!"), (PASSWORD, None), (None, PASSWORD)], ids=["other", "none", "one"]
)
async def test_the_same_request_with_another_password_is_another_request(world, first, second):
    _, admin = await world.enter("admin")
    key, body = {"Idempotency-Key": "key-1"}, a_user(email="ada@school.example")
    made, _ = await world.call("POST", "/users", admin, body | {"password": first}, headers=key)

    status, answer = await world.call("POST", "/users", admin, body | {"password": second}, headers=key)

    assert (made, status, answer["code"]) == (201, 409, "idempotency_key_reused")


async def test_a_late_repeat_is_answered_although_the_owner_has_another_password_by_now(world):
    _, admin = await world.enter("admin")
    key, body = {"Idempotency-Key": "key-1"}, a_user(password=PASSWORD)
    first = await world.call("POST", "/users", admin, body, headers=key)
    _, answer = await world.call("POST", "/auth/login", body={"email": body["email"], "password": PASSWORD})
    world.pass_time(seconds=1)
    changes = {"current_password": PASSWORD, "new_password": "another horse 8 stable"}
    changed, _ = await world.call("POST", "/auth/password", answer["access_token"], changes)

    assert changed == 204
    assert await world.call("POST", "/users", admin, body, headers=key) == first


READERS = [
    ("student", "own", 200),
    ("teacher", "own", 200),
    ("student", "same school", 403),
    ("teacher", "same school", 403),
    ("admin", "same school", 200),
    ("dev", "same school", 200),
    ("student", "another school", 404),
    ("teacher", "another school", 404),
    ("admin", "another school", 404),
    ("dev", "another school", 200),
    ("admin", "nobody", 404),
    ("admin", "a developer", 404),
]


async def test_who_may_see_whom(world):
    targets = {
        "same school": (await world.add("student")).id,
        "another school": (await world.add("student", school_id=uuid4())).id,
        "a developer": (await world.add("dev")).id,
        "nobody": uuid4(),
    }
    for who, whose, status in READERS:
        person, token = await world.enter(who)
        target = targets.get(whose, person.id)

        assert (await world.call("GET", f"/users/{target}", token))[0] == status, (who, whose)


async def test_another_schools_account_looks_like_none_at_all(world):
    _, admin = await world.enter("admin")
    foreign = await world.add("student", school_id=uuid4())
    calls = [("GET", None), ("DELETE", None), ("PATCH", {"firstname": "Eve"})]

    for method, body in calls:
        answers = [
            (await world.call(method, f"/users/{user_id}", admin, body, headers={"If-Match": '"1"'}))[1]
            for user_id in (foreign.id, uuid4())
        ]
        assert answers[0].pop("request_id") != answers[1].pop("request_id")
        assert answers[0] == answers[1]
        assert answers[0]["code"] == "not_found"


async def test_a_list_shows_the_own_school_in_parts(world):
    _, admin = await world.enter("admin")
    ids = {str((await world.add("student")).id) for _ in range(5)}
    await world.add("student", school_id=uuid4())
    seen, cursor = [], ""

    while cursor is not None:
        _, page = await world.call("GET", f"/users?user_type=student&limit=2{cursor}", admin)
        seen += [user["id"] for user in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None

    assert seen == sorted(ids)


async def test_a_list_finds_names_addresses_and_numbers(world):
    _, admin = await world.enter("admin")
    ada = await world.add("student", firstname="Ada", lastname="Byron", email="ab@x.example", student_number="77%1")
    await world.add("student", firstname="Alan", lastname="Turing")

    for text in ("ada byr", "AB@X", "77%251", "%25"):
        _, page = await world.call("GET", f"/users?q={text}", admin)
        assert [user["id"] for user in page["items"]] == [str(ada.id)], text


LISTERS = [
    ("student", "", 403),
    ("teacher", "", 403),
    ("admin", f"?school_id={uuid4()}", 404),
    ("dev", f"?school_id={uuid4()}", 200),
    ("admin", "?limit=0", 422),
    ("admin", "?limit=201", 422),
    ("admin", "?colour=red", 422),
    ("admin", "?cursor=***", 400),
]


async def test_who_may_list_what(world):
    for who, query, status in LISTERS:
        _, token = await world.enter(who)

        assert (await world.call("GET", f"/users{query}", token))[0] == status, (who, query)


async def test_a_developer_lists_every_school_or_one(world):
    _, dev = await world.enter("dev")
    await world.add("student")
    there = await world.add("student", school_id=uuid4())

    _, everybody = await world.call("GET", "/users?user_type=student", dev)
    _, one = await world.call("GET", f"/users?user_type=student&school_id={world.school_id}", dev)

    assert len(everybody["items"]) == 2
    assert str(there.id) not in str(one)


async def test_a_classmates_name_is_all_that_a_batch_shows(world):
    _, token = await world.enter("student")
    mate, stranger = await world.add("teacher", firstname="Mary"), await world.add("student", school_id=uuid4())

    status, answer = await world.call("GET", f"/users/batch?id={mate.id},{stranger.id},{uuid4()}", token)

    assert status == 200
    assert answer["items"] == [
        {"id": str(mate.id), "firstname": "Mary", "lastname": "Lovelace", "user_type": "teacher"}
    ]


async def test_a_batch_takes_up_to_a_hundred_ids(world):
    _, token = await world.enter("student")

    for ids in ("x" * 36, ",".join(["0" * 36] * 2), ",".join(str(uuid4()) for _ in range(101))):
        assert (await world.call("GET", f"/users/batch?id={ids}", token))[0] == 422


async def test_a_change_needs_the_version_and_raises_it(world):
    _, admin = await world.enter("admin")
    student = await world.add("student")

    without, _ = await world.call("PATCH", f"/users/{student.id}", admin, {"firstname": "Mary"})
    status, changed = await patch(world, admin, student.id, {"firstname": "Mary"}, version='"1"')
    stale = await patch(world, admin, student.id, {"firstname": "Eve"}, version='"1"')

    assert without == 428
    assert (status, changed["firstname"], changed["version"]) == (200, "Mary", 2)
    assert (stale[0], stale[1]["code"]) == (412, "version_stale")
    events = await world.announced(about=student.id)
    assert [(type_, version) for type_, version, _ in events] == [
        ("identity.user.created.v1", 1),
        ("identity.user.updated.v1", 2),
    ]


async def test_a_change_that_changes_nothing_is_no_news(world):
    _, admin = await world.enter("admin")
    student = await world.add("student")

    status, same = await patch(world, admin, student.id, {"firstname": "Ada"})

    assert (status, same["version"]) == (200, 1)
    assert len(await world.announced(about=student.id)) == 1


async def test_null_takes_a_number_away_and_is_refused_where_a_value_is_needed(world):
    _, admin = await world.enter("admin")
    student = await world.add("student", student_number="S-1")

    status, changed = await patch(world, admin, student.id, {"student_number": None})
    refused, _ = await patch(world, admin, student.id, {"firstname": None})

    assert (status, changed["student_number"]) == (200, None)
    assert refused == 422


async def test_what_makes_an_account_what_it_is_cannot_be_changed(world):
    _, admin = await world.enter("admin")
    student = await world.add("student")

    for field in ("user_type", "school_id", "password", "id", "version"):
        assert (await patch(world, admin, student.id, {field: "x"}))[0] == 422


async def test_an_administrator_moves_an_address_only_shortly_after_giving_the_password(world):
    person = await world.add("admin")
    first = await world.log_in(person)
    student = await world.add("student")
    world.pass_time(minutes=5, seconds=1)

    late = await patch(world, first["access_token"], student.id, {"email": "new@school.example"})
    token = (await world.log_in(person))["access_token"]
    status, changed = await patch(world, token, student.id, {"email": "new@school.example"})

    assert (late[0], late[1]["code"]) == (403, "login_too_old")
    assert (status, changed["email"]) == (200, "new@school.example")


async def test_lesser_administrators_do_not_touch_leading_ones(world):
    await world.add("admin")
    for role, target_role, may in [
        ("planning", "absence", True),
        ("planning", "manager", False),
        ("absence", None, False),
        (None, "manager", True),
    ]:
        _, admin = await world.enter("admin", admin_role=role)
        target = await world.add("admin", admin_role=target_role)

        changed, _ = await patch(world, admin, target.id, {"firstname": "Eve"})
        reset, _ = await world.call("POST", f"/users/{target.id}/password-reset", admin)
        gone, _ = await world.call("DELETE", f"/users/{target.id}", admin)

        assert (changed, reset, gone) == ((200, 201, 204) if may else (403, 403, 403)), (role, target_role)


async def test_a_changed_role_ends_the_sessions_of_its_holder(world):
    _, manager = await world.enter("admin")
    other, token = await world.enter("admin", admin_role="absence")

    status, changed = await patch(world, manager, other.id, {"admin_role": "planning"})

    assert (status, changed["admin_role"]) == (200, "planning")
    assert (await world.call("GET", "/auth/me", token))[0] == 401


async def test_nobody_raises_or_shuts_out_themselves(world):
    me, token = await world.enter("admin")
    await world.add("admin")

    answers = [
        await patch(world, token, me.id, {"admin_role": "absence"}),
        await patch(world, token, me.id, {"disabled": True}),
        await world.call("DELETE", f"/users/{me.id}", token),
        await world.call("POST", f"/users/{me.id}/password-reset", token),
    ]

    assert {(status, answer["code"]) for status, answer in answers} == {(403, "own_account")}


async def test_a_school_keeps_an_administrator_with_all_rights(world):
    _, dev = await world.enter("dev")
    last = await world.add("admin", admin_role="manager")
    await world.add("admin", admin_role="absence")
    await world.add("admin", school_id=uuid4())

    answers = [
        await patch(world, dev, last.id, {"admin_role": "absence"}),
        await patch(world, dev, last.id, {"disabled": True}),
        await world.call("DELETE", f"/users/{last.id}", dev),
    ]

    assert {(status, answer["code"]) for status, answer in answers} == {(409, "last_manager")}
    await world.add("admin")
    assert (await world.call("DELETE", f"/users/{last.id}", dev))[0] == 204


async def test_of_two_administrators_who_remove_each_other_at_once_one_stays(world):
    one, other = await world.add("admin"), await world.add("admin")
    both_are_held = asyncio.Barrier(2)

    async def remove(someone):
        async with world.books() as books:
            account = await books.accounts.lock(someone.id)
            await both_are_held.wait()
            if not await books.accounts.has_other_leader(account):
                return "last_manager"
            await books.accounts.save(replace(account, retired_at=world.now), UserDeleted)
            return "removed"

    assert sorted(await asyncio.gather(remove(one), remove(other))) == ["last_manager", "removed"]


async def test_a_disabled_account_is_out_at_once_and_in_again_when_enabled(world):
    _, admin = await world.enter("admin")
    student, token = await world.enter("student")

    _, shut = await patch(world, admin, student.id, {"disabled": True})
    out, _ = await world.call("GET", "/auth/me", token)
    login = {"email": student.email, "password": student.password}
    refused, _ = await world.call("POST", "/auth/login", body=login)
    await patch(world, admin, student.id, {"disabled": False})

    assert (shut["disabled"], out, refused) == (True, 401, 401)
    assert (await world.call("POST", "/auth/login", body=login))[0] == 200
    types = [type_ for type_, _, _ in await world.announced(about=student.id)]
    assert types == ["identity.user.created.v1", "identity.user.disabled.v1", "identity.user.updated.v1"]


async def test_a_retired_account_is_gone_for_everybody_and_its_address_free(world):
    _, admin = await world.enter("admin")
    student, token = await world.enter("student", student_number="S-1")

    statuses = [(await world.call("DELETE", f"/users/{student.id}", admin))[0] for _ in range(2)]

    assert statuses == [204, 204]
    assert (await world.call("GET", "/auth/me", token))[0] == 401
    assert (await world.call("GET", f"/users/{student.id}", admin))[0] == 404
    assert (await world.call("GET", "/users?user_type=student", admin))[1]["items"] == []
    assert await world.database.fetchval("SELECT password_hash FROM credential WHERE user_id = $1", student.id) is None
    again = a_user(email=student.email, student_number="S-1")
    assert (await world.call("POST", "/users", admin, again))[0] == 201
    types = [type_ for type_, _, _ in await world.announced(about=student.id)]
    assert types == ["identity.user.created.v1", "identity.user.deleted.v1"]


async def test_an_administrator_logs_somebody_out_everywhere(world):
    _, admin = await world.enter("admin")
    student, token = await world.enter("student")
    _, teacher = await world.enter("teacher")

    refused, _ = await world.call("DELETE", f"/users/{student.id}/sessions", teacher)
    done, _ = await world.call("DELETE", f"/users/{student.id}/sessions", admin)

    assert (refused, done) == (403, 204)
    assert (await world.call("GET", "/auth/me", token))[0] == 401


async def test_what_administrators_do_is_kept_for_good(world):
    admin, token = await world.enter("admin")
    student = await world.add("student")
    await patch(world, token, student.id, {"firstname": "Mary"})
    await world.call("DELETE", f"/users/{student.id}", token)

    rows = await world.database.fetch("SELECT deed, actor_type, actor_id, user_id FROM trail_entry ORDER BY id")

    assert [tuple(row) for row in rows] == [
        ("user_changed", "admin", admin.id, student.id),
        ("user_deleted", "admin", admin.id, student.id),
    ]


async def test_what_is_wrong_with_a_body_says_nothing_about_whom_it_was_for(world):
    _, admin = await world.enter("admin")
    own, foreign = await world.add("student"), await world.add("student", school_id=uuid4())
    ids = (own.id, foreign.id, uuid4())

    answers = [await patch(world, admin, id_, {"firstname": 5}, version='"1"') for id_ in ids]

    for _, body in answers:
        del body["request_id"]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 422
