"""What operators do by command, and what the clock does by itself."""

import asyncio
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from contracts.problems import UnauthenticatedError
from identity_svc.__main__ import app
from identity_svc.jobs import forget
from identity_svc.store.keys import KeyCupboard, KeyRing
from infra.secret_box import SecretBox
from infra.tokens import USER_TOKEN, TokenVerifier
from streams.outbox import Outbox
from tests.integration.identity.conftest import NINE

DEV = ["bootstrap", "--email", "dev@rollcall.example", "--firstname", "Grace", "--lastname", "Hopper"]


@pytest.fixture
def run(settings):
    """Run a command of the service in a thread of its own, as a process would."""
    environment = {
        f"IDENTITY_{name.upper()}": value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        for name, value in settings.model_dump(exclude={"parts"}).items()
    }

    async def invoke(*words, typed=""):
        return await asyncio.to_thread(CliRunner().invoke, app, list(words), input=typed, env=environment)

    return invoke


@pytest.fixture
def cupboard(world):
    box = SecretBox.from_file(world.settings.key_file)
    return KeyCupboard(world.pool, box=box, outbox=Outbox(4))


@pytest.fixture
def ring(world):
    """Makes a ring as a process that starts now would have it."""
    return lambda: KeyRing(world.pool, SecretBox.from_file(world.settings.key_file))


async def states(world):
    rows = await world.database.fetch("SELECT kid, state FROM signing_key")
    return {
        state: [row["kid"] for row in rows if row["state"] == state] for state in ("next", "active", "retired", "gone")
    }


async def kids(ring):
    return sorted(key["kid"] for key in (await ring().jwks())["keys"])


async def test_the_first_developer_is_made_by_command_and_logs_in(world, run):
    made = await run(*DEV, typed="a rather long secret 9\n")

    assert made.exit_code == 0, made.output
    body = {"email": "dev@rollcall.example", "password": "a rather long secret 9"}
    status, answer = await world.call("POST", "/auth/login", body=body)
    assert (status, answer["user"]["user_type"], answer["user"]["id"]) == (200, "dev", made.stdout.strip())


async def test_a_second_developer_must_be_asked_for(world, run):
    await run(*DEV, typed="a rather long secret 9\n")
    other = [word.replace("dev@", "other@") for word in DEV]

    refused = await run(*other, typed="a rather long secret 9\n")
    made = await run(*other, "--another", typed="a rather long secret 9\n")
    taken = await run(*other, "--another", typed="a rather long secret 9\n")

    assert (refused.exit_code, refused.stderr) == (1, "dev_exists\n")
    assert made.exit_code == 0
    assert (taken.exit_code, taken.stderr) == (1, "email_taken\n")


async def test_a_developers_password_follows_the_rules(run):
    refused = await run(*DEV, typed="short\n")

    assert (refused.exit_code, refused.stderr) == (1, "password_too_short\n")


async def test_a_key_is_shown_for_a_day_before_it_signs_and_after(world, cupboard, ring):
    first = await kids(ring)
    await world.database.execute("UPDATE signing_key SET state_since = $1", NINE)

    await cupboard.maintain(now=NINE + timedelta(days=28))
    assert await kids(ring) == first
    await cupboard.maintain(now=NINE + timedelta(days=29))
    [next_] = (await states(world))["next"]
    assert await kids(ring) == sorted([*first, next_])
    await cupboard.maintain(now=NINE + timedelta(days=29, hours=23))
    assert (await states(world))["active"] == first

    await cupboard.maintain(now=NINE + timedelta(days=30))

    assert (await states(world))["active"] == [next_]
    assert await kids(ring) == sorted([*first, next_])
    await cupboard.maintain(now=NINE + timedelta(days=31, seconds=1))
    assert await kids(ring) == [next_]
    assert [(t, v, d) for t, v, d in await world.announced()] == [("identity.key.rotated.v1", 1, {"kid": next_})]


async def test_tokens_hold_while_keys_change(world, cupboard, ring):
    _, token = await world.enter("teacher")
    await world.database.execute("UPDATE signing_key SET state_since = $1", NINE - timedelta(days=40))
    await cupboard.maintain(now=NINE - timedelta(days=1))
    await cupboard.maintain(now=NINE)

    verifier = TokenVerifier(USER_TOKEN, ring(), now=world.clock)

    assert (await verifier.verify(token)).type == "teacher"


async def test_a_revoked_key_is_replaced_and_its_tokens_void(world, run, ring):
    _, token = await world.enter("teacher")
    [old] = await kids(ring)

    done = await run("revoke-key", old)

    assert done.exit_code == 0, done.output
    [new] = await kids(ring)
    assert new != old
    with pytest.raises(UnauthenticatedError, match="token_invalid"):
        await TokenVerifier(USER_TOKEN, ring(), now=world.clock).verify(token)
    types = [(type_, data["kid"]) for type_, _, data in await world.announced() if ".key." in type_]
    assert types == [("identity.key.revoked.v1", old), ("identity.key.rotated.v1", new)]
    assert (await run("revoke-key", old)).stderr == "not_found\n"


async def test_what_has_had_its_time_is_forgotten(world):
    person, token = await world.enter("student")
    await world.call("POST", f"/users/{person.id}/device/challenge", token)
    await world.call("POST", "/auth/login", body={"email": "x@y.example", "password": "wrong"})
    _, admin = await world.enter("admin")
    await world.call("POST", f"/users/{person.id}/password-reset", admin)
    tables = ("session", "login_try", "device_challenge", "password_reset")

    async def counts():
        return [await world.database.fetchval(f"SELECT count(*) FROM {table}") for table in tables]

    await forget(world.pool, now=world.now)
    before = await counts()
    await forget(world.pool, now=world.now + timedelta(days=59))
    later = await counts()
    await forget(world.pool, now=world.now + timedelta(days=61))

    assert before == [2, 2, 1, 1]
    assert later == [1, 0, 0, 0]
    assert await counts() == [0, 0, 0, 0]
