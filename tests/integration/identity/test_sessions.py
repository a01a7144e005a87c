"""Staying logged in and getting out, over the REST door."""

import asyncio
import base64

from identity_svc.domain.sessions import LIFETIMES


async def refresh(world, token):
    return await world.call("POST", "/auth/refresh", body={"refresh_token": token})


async def chain(world, *, length, type_="student"):
    """Return refresh tokens, each but the last spent on the next."""
    tokens = [(await world.log_in(await world.add(type_)))["refresh_token"]]
    for _ in range(length - 1):
        world.pass_time(seconds=30)
        tokens.append((await refresh(world, tokens[-1]))[1]["refresh_token"])
    return tokens


async def revocations(world):
    return [data["reason"] for type_, _, data in await world.announced() if type_ == "identity.session.revoked.v1"]


async def test_a_refresh_token_earns_the_next_one_and_an_access_token(world):
    first = await world.log_in(await world.add("student"))

    status, second = await refresh(world, first["refresh_token"])

    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    assert (await world.call("GET", "/auth/me", second["access_token"]))[0] == 200


async def test_whoever_did_not_hear_the_answer_gets_the_same_token_again_for_ten_seconds(world):
    [token] = await chain(world, length=1)
    _, first = await refresh(world, token)
    world.pass_time(seconds=10)

    status, again = await refresh(world, token)

    assert status == 200
    assert again["refresh_token"] == first["refresh_token"]
    assert await revocations(world) == []


async def test_thirty_refreshes_at_once_rotate_once(world):
    [token] = await chain(world, length=1)

    answers = await asyncio.gather(*(refresh(world, token) for _ in range(30)))

    assert {status for status, _ in answers} == {200}
    assert len({answer["refresh_token"] for _, answer in answers}) == 1
    assert await world.database.fetchval("SELECT counter FROM session") == 1


async def test_a_spent_token_ends_the_session_for_everybody_who_has_a_token_of_it(world):
    for replayed in (0, 1, 2):
        tokens = await chain(world, length=4)
        world.pass_time(seconds=30)

        statuses = [(await refresh(world, tokens[n]))[0] for n in (replayed, 3, 2, 1, 0)]

        assert statuses == [401] * 5
    assert await revocations(world) == ["replayed"] * 3


async def test_the_token_before_the_last_is_a_replay_after_ten_seconds(world):
    [token] = await chain(world, length=1)
    await refresh(world, token)
    world.pass_time(seconds=10, milliseconds=1)

    status, answer = await refresh(world, token)

    assert (status, answer["code"]) == (401, "refresh_failed")
    assert await revocations(world) == ["replayed"]


async def test_no_changed_bit_makes_another_good_token(world):
    [token] = await chain(world, length=1)
    raw = base64.urlsafe_b64decode(token.removeprefix("rt1.") + "=")
    flipped = [raw[:n] + bytes([raw[n] ^ 1 << n % 8]) + raw[n + 1 :] for n in range(len(raw))]
    spelled = ["rt1." + base64.urlsafe_b64encode(other).rstrip(b"=").decode() for other in flipped]
    others = [*spelled, token + "=", token[:-1], token.removeprefix("rt1."), "rt1.", "x" * 128, token.upper()]

    statuses = {(await refresh(world, other))[0] for other in others}

    assert statuses == {401}
    assert (await refresh(world, token))[0] == 200


async def test_a_session_that_rests_too_long_has_ended(world):
    life = LIFETIMES["dev"]
    tokens = await chain(world, length=1, type_="dev")
    world.now += life.idle
    world.pass_time(seconds=-1)
    status, answer = await refresh(world, tokens[0])
    world.now += life.idle

    assert status == 200
    assert (await refresh(world, answer["refresh_token"]))[0] == 401


async def test_no_session_outlives_its_absolute_end(world):
    life = LIFETIMES["dev"]
    tokens = await chain(world, length=1, type_="dev")
    end = world.now + life.absolute
    while world.now + life.idle / 2 < end:
        world.now += life.idle / 2
        tokens.append((await refresh(world, tokens[-1]))[1]["refresh_token"])
    world.now = end
    world.pass_time(seconds=-1)
    status, last = await refresh(world, tokens[-1])

    world.pass_time(seconds=1)

    assert (status, last["expires_in"]) == (200, 1)
    assert (await refresh(world, last["refresh_token"]))[0] == 401
    assert (await world.call("GET", "/auth/me", last["access_token"]))[1]["code"] == "token_revoked"


async def test_logging_out_ends_this_session_only(world):
    person = await world.add("teacher")
    here, there = await world.log_in(person), await world.log_in(person)

    status, _ = await world.call("POST", "/auth/logout", here["access_token"])

    assert status == 204
    assert (await world.call("GET", "/auth/me", here["access_token"]))[0] == 401
    assert (await refresh(world, here["refresh_token"]))[0] == 401
    assert (await world.call("GET", "/auth/me", there["access_token"]))[0] == 200
    assert await revocations(world) == ["logged_out"]


async def test_logging_out_everywhere_ends_all(world):
    person = await world.add("teacher")
    here, there = await world.log_in(person), await world.log_in(person)

    await world.call("POST", "/auth/logout", here["access_token"], {"all": True})

    assert (await world.call("GET", "/auth/me", there["access_token"]))[0] == 401
    assert await revocations(world) == ["logged_out", "logged_out"]


async def test_one_sees_and_ends_ones_own_sessions_and_nobody_elses(world):
    person, token = await world.enter("student")
    other = await world.log_in(person)
    _, stranger = await world.enter("student")
    _, seen = await world.call("GET", "/auth/sessions", token)
    [other_id] = [session["id"] for session in seen["items"] if not session["current"]]

    refused = await world.call("DELETE", f"/auth/sessions/{other_id}", stranger)
    ended = await world.call("DELETE", f"/auth/sessions/{other_id}", token)
    again = await world.call("DELETE", f"/auth/sessions/{other_id}", token)

    assert len(seen["items"]) == 2
    assert (refused[0], ended[0], again[0]) == (404, 204, 204)
    assert (await world.call("GET", "/auth/me", other["access_token"]))[0] == 401
    assert await revocations(world) == ["logged_out"]


async def test_me_shows_the_own_account(world):
    person, token = await world.enter("student", student_number="S-1")

    status, answer = await world.call("GET", "/auth/me", token)

    assert status == 200
    assert answer["user"]["id"] == str(person.id)
    assert answer["user"]["student_number"] == "S-1"


async def test_an_access_token_ends_after_its_ten_minutes_and_the_leeway(world):
    _, token = await world.enter("teacher")
    world.pass_time(seconds=631)

    assert (await world.call("GET", "/auth/me", token))[1]["code"] == "token_expired"


async def test_a_token_says_nothing_about_an_account_that_was_shut_behind_its_back(world):
    for column in ("disabled_at", "retired_at"):
        person, token = await world.enter("teacher")
        await world.database.execute(f"UPDATE app_user SET {column} = created_at WHERE id = $1", person.id)

        assert (await world.call("GET", "/auth/me", token))[1]["code"] == "token_revoked"
