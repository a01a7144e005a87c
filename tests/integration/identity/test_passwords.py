"""Choosing a new password, over the REST door."""

import asyncio
from uuid import uuid4

from tests.integration.identity.conftest import PASSWORD

NEW = "another horse 8 stable"


async def change(world, token, *, current=PASSWORD, new=NEW):
    return await world.call("POST", "/auth/password", token, {"current_password": current, "new_password": new})


async def use_reset(world, token, *, new=NEW):
    return await world.call("POST", "/auth/password-reset", body={"reset_token": token, "new_password": new})


async def can_log_in(world, person, password):
    status, _ = await world.call("POST", "/auth/login", body={"email": person.email, "password": password})
    return status == 200


async def issue(world, person, *, admin=None):
    admin = admin or (await world.enter("admin"))[1]
    return (await world.call("POST", f"/users/{person.id}/password-reset", admin))[1]["reset_token"]


async def test_a_changed_password_ends_the_other_sessions(world):
    person, here = await world.enter("teacher")
    there = (await world.log_in(person))["access_token"]

    status, _ = await change(world, here)

    assert status == 204
    assert (await world.call("GET", "/auth/me", here))[0] == 200
    assert (await world.call("GET", "/auth/me", there))[0] == 401
    assert not await can_log_in(world, person, PASSWORD)
    assert await can_log_in(world, person, NEW)


async def test_the_current_password_cannot_be_guessed_with_a_stolen_token(world):
    person, token = await world.enter("teacher")

    answers = [await change(world, token, current="wrong password 1") for _ in range(5)]
    blocked = await change(world, token)

    assert {(status, answer["code"]) for status, answer in answers} == {(403, "password_wrong")}
    assert (blocked[0], blocked[1]["code"]) == (429, "login_throttled")
    assert await can_log_in(world, person, PASSWORD)


async def test_a_weak_new_password_is_refused(world):
    _, token = await world.enter("admin")

    status, answer = await change(world, token, new="fourteen chars")

    assert (status, answer["code"], answer["min_chars"]) == (422, "password_too_short", 15)


async def test_bytes_count_as_typed_to_the_last_one(world):
    person, token = await world.enter("student")
    long = "çà et là, " * 8

    await change(world, token, new=long + "x")

    assert not await can_log_in(world, person, long + "y")
    assert not await can_log_in(world, person, long)
    assert await can_log_in(world, person, long + "x")


async def test_a_new_account_without_a_password_gets_one_by_a_reset_token(world):
    person = await world.add("student", password=None)
    token = await issue(world, person)

    status, _ = await use_reset(world, token)

    assert status == 204
    assert await can_log_in(world, person, NEW)


async def test_a_reset_token_works_once_and_ends_the_sessions(world):
    person, session = await world.enter("student")
    token = await issue(world, person)
    still_in, _ = await world.call("GET", "/auth/me", session)

    first, _ = await use_reset(world, token)
    second = await use_reset(world, token, new=NEW + "!")

    assert (still_in, first) == (200, 204)
    assert (second[0], second[1]["code"]) == (401, "reset_token_invalid")
    assert (await world.call("GET", "/auth/me", session))[0] == 401
    assert await can_log_in(world, person, NEW)


async def test_of_two_who_use_a_reset_token_at_once_one_sets_the_password(world):
    person = await world.add("student")
    token = await issue(world, person)

    answers = await asyncio.gather(*(use_reset(world, token, new=f"another horse {n} stable") for n in range(4)))

    assert sorted(status for status, _ in answers) == [204, 401, 401, 401]


async def test_a_reset_token_ends_after_a_day_or_when_another_is_issued(world):
    person = await world.add("student")
    _, admin = await world.enter("admin")
    first = await issue(world, person, admin=admin)
    second = await issue(world, person, admin=admin)
    superseded, _ = await use_reset(world, first)
    world.pass_time(hours=24)

    late, _ = await use_reset(world, second)

    assert (superseded, late) == (401, 401)


async def test_who_changes_their_password_makes_a_reset_token_worthless(world):
    person, here = await world.enter("teacher")
    token = await issue(world, person)
    await change(world, here)

    status, answer = await use_reset(world, token, new="a password of somebody else")

    assert (status, answer["code"]) == (401, "reset_token_invalid")
    assert await can_log_in(world, person, NEW)


async def test_a_weak_password_leaves_the_token_usable(world):
    person = await world.add("student")
    token = await issue(world, person)

    weak, _ = await use_reset(world, token, new="short")
    strong, _ = await use_reset(world, token)

    assert (weak, strong) == (422, 204)


async def test_only_the_digest_of_a_reset_token_is_kept(world):
    token = await issue(world, await world.add("student"))

    row = await world.database.fetchrow("SELECT * FROM password_reset")

    assert token.encode() not in row["token_sha256"]
    assert token not in str(dict(row))


async def test_a_reset_token_of_a_disabled_account_opens_nothing(world):
    person = await world.add("student")
    token = await issue(world, person)
    await world.database.execute("UPDATE app_user SET disabled_at = created_at WHERE id = $1", person.id)

    assert (await use_reset(world, token))[0] == 401


async def test_nobody_resets_a_developers_password_or_one_of_another_school(world):
    _, dev = await world.enter("dev")
    _, admin = await world.enter("admin")
    other_dev, foreign = await world.add("dev"), await world.add("student", school_id=uuid4())

    assert (await world.call("POST", f"/users/{other_dev.id}/password-reset", dev))[0] == 403
    assert (await world.call("POST", f"/users/{foreign.id}/password-reset", admin))[0] == 404
