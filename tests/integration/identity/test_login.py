"""Logging in, over the REST door."""

import asyncio

import jwt
import pytest


async def keys(world):
    status, document = await world.call("GET", "/.well-known/jwks.json")
    assert status == 200
    return {key["kid"]: jwt.PyJWK(key, "ES256").key for key in document["keys"]}


async def claims_of(world, token):
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "ES256"
    options = {"verify_exp": False, "verify_iat": False}
    key = (await keys(world))[header["kid"]]
    return jwt.decode(token, key, algorithms=["ES256"], audience="rollcall-api", options=options)


async def test_a_student_gets_a_token_that_says_who_they_are(world):
    student = await world.add("student")

    answer = await world.log_in(student)

    claims = await claims_of(world, answer["access_token"])
    assert claims["sub"] == str(student.id)
    assert claims["user_type"] == "student"
    assert claims["school_id"] == str(world.school_id)
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 600
    assert "admin_role" not in claims
    assert answer["token_type"] == "Bearer"
    assert answer["user"]["email"] == student.email


async def test_an_administrators_token_names_the_role_and_a_developers_no_school(world):
    manager = await world.add("admin", admin_role="planning")
    dev = await world.add("dev")

    of_admin = await claims_of(world, (await world.log_in(manager))["access_token"])
    answer = await world.log_in(dev)

    assert of_admin["admin_role"] == "planning"
    assert "school_id" not in await claims_of(world, answer["access_token"])
    assert answer["expires_in"] == 300


async def test_letter_case_of_the_address_does_not_matter_and_of_the_password_does(world):
    person = await world.add("teacher")

    shouted, _ = await world.call(
        "POST", "/auth/login", body={"email": person.email.upper(), "password": person.password}
    )
    wrong, _ = await world.call(
        "POST", "/auth/login", body={"email": person.email, "password": person.password.upper()}
    )

    assert (shouted, wrong) == (200, 401)


async def test_whoever_may_not_enter_is_not_told_why(world):
    known = await world.add("student")
    without = await world.add("student", password=None)
    shut = await world.add("student")
    await world.database.execute("UPDATE app_user SET disabled_at = created_at WHERE id = $1", shut.id)
    tries = [
        {"email": known.email, "password": "wrong password 1"},
        {"email": "nobody@school.example", "password": known.password},
        {"email": "not an address", "password": known.password},
        {"email": without.email, "password": known.password},
        {"email": shut.email, "password": shut.password},
    ]

    answers = [await world.call("POST", "/auth/login", body=body) for body in tries]

    assert {(status, answer.pop("request_id") and str(answer)) for status, answer in answers} == {
        (401, str(answers[0][1]))
    }
    assert answers[0][1]["code"] == "login_failed"


@pytest.mark.parametrize("email", ["known", "unknown"])
async def test_after_five_wrong_passwords_one_must_wait_even_for_an_address_that_nobody_has(world, email):
    person = await world.add("student")
    body = {"email": person.email if email == "known" else "nobody@school.example", "password": "wrong password 1"}
    for _ in range(5):
        assert (await world.call("POST", "/auth/login", body=body))[0] == 401

    status, answer = await world.call("POST", "/auth/login", body=body)

    assert (status, answer["code"]) == (429, "login_throttled")
    assert 55 <= answer["retry_after_s"] <= 61


async def test_the_right_password_does_not_help_while_one_must_wait_and_does_afterwards(world):
    person = await world.add("student")
    for _ in range(5):
        await world.call("POST", "/auth/login", body={"email": person.email, "password": "wrong password 1"})
    right = {"email": person.email, "password": person.password}

    early, _ = await world.call("POST", "/auth/login", body=right)
    world.pass_time(seconds=61)
    late, _ = await world.call("POST", "/auth/login", body=right)
    again, _ = await world.call("POST", "/auth/login", body={"email": person.email, "password": "wrong password 1"})

    assert (early, late, again) == (429, 200, 401)


async def test_another_network_is_not_held_up_until_too_many_came_from_everywhere(world):
    person = await world.add("student")
    body = {"email": person.email, "password": "wrong password 1"}

    statuses = [
        (await world.call("POST", "/auth/login", body=body, headers={"x-envoy-external-address": f"10.0.{n // 5}.9"}))[
            0
        ]
        for n in range(18)
    ]

    assert statuses == [401] * 17 + [429]


async def test_who_is_in_elsewhere_logs_in_while_others_guess_and_nobody_else_learns_of_it(world):
    victim, stranger = await world.add("student"), await world.add("student")
    own, foreign = [(await world.log_in(person))["refresh_token"] for person in (victim, stranger)]
    for email in (victim.email, "nobody@school.example"):
        for n in range(17):
            guess = {"email": email, "password": "wrong password 1"}
            await world.call("POST", "/auth/login", body=guess, headers={"x-envoy-external-address": f"10.0.{n}.9"})
    right = {"email": victim.email, "password": victim.password}
    tries = [
        right,
        right | {"refresh_token": foreign},
        right | {"refresh_token": "nonsense"},
        right | {"password": "wrong password 1"},
        right | {"email": "nobody@school.example"},
        right | {"email": "nobody@school.example", "refresh_token": own},
    ]

    answers = [await world.call("POST", "/auth/login", body=body) for body in tries]
    let_in, answer = await world.call("POST", "/auth/login", body=right | {"refresh_token": own})

    assert {(status, answer.pop("request_id") and str(answer)) for status, answer in answers} == {
        (429, str(answers[0][1]))
    }
    assert (answers[0][1]["code"], let_in, answer["user"]["email"]) == ("login_throttled", 200, victim.email)


async def test_of_many_guesses_at_once_only_five_are_checked(world):
    person = await world.add("student")
    body = {"email": person.email, "password": "wrong password 1"}

    answers = await asyncio.gather(*(world.call("POST", "/auth/login", body=body) for _ in range(12)))

    assert sorted(status for status, _ in answers) == [401] * 5 + [429] * 7


async def test_a_sixth_session_ends_the_oldest(world):
    person = await world.add("teacher")
    first = await world.log_in(person)
    for _ in range(5):
        world.pass_time(seconds=1)
        await world.log_in(person)

    status, answer = await world.call("GET", "/auth/me", first["access_token"])

    assert (status, answer["code"]) == (401, "token_revoked")
    revoked = [data for type_, _, data in await world.announced() if type_ == "identity.session.revoked.v1"]
    assert [data["reason"] for data in revoked] == ["too_many"]


async def test_a_hash_of_yesterdays_cost_is_made_anew(world):
    person = await world.add("teacher", argon2_memory_kib=16)
    find = "SELECT password_hash FROM credential WHERE user_id = $1"
    before = await world.database.fetchval(find, person.id)

    await world.log_in(person)

    after = await world.database.fetchval(find, person.id)
    assert before.startswith("$argon2id$v=19$m=16,t=1,p=1$")
    assert after.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    await world.log_in(person)


async def test_two_logins_at_once_do_not_mind_that_one_makes_the_hash_anew(world):
    person = await world.add("teacher", argon2_memory_kib=16)

    answers = await asyncio.gather(*(world.log_in(person) for _ in range(4)))

    assert len({answer["refresh_token"] for answer in answers}) == 4


async def test_the_keys_may_be_kept_for_five_minutes_and_hold_no_secret(world):
    for path in ("/.well-known/jwks.json", "/auth/jwks.json"):
        async with world.client.get(path) as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=300"
            document = await answer.json()

    assert [sorted(key) for key in document["keys"]] == [["alg", "crv", "kid", "kty", "use", "x", "y"]]
