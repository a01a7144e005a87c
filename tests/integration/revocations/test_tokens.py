"""A token that identity takes back is void in every other service at once, whatever else is away."""

import pytest
import redis.asyncio
from pydantic import SecretStr

from identity_svc.wiring.cli import revoke
from tests.integration.revocations.conftest import disable, is_void, verdict
from tests.waiting import until


@pytest.mark.parametrize("service", ["academics", "attendance", "beacon"])
async def test_who_is_disabled_is_refused_and_nobody_else(service, world, serving, listening):
    async with serving(), listening(service) as verifier:
        _, admin = await world.enter("admin")
        person, token = await world.enter("student")
        assert [await verdict(verifier, each) for each in (admin, token)] == ["welcome"] * 2

        await disable(world, admin, person)

        assert await is_void(verifier, token) < 5
        assert await verdict(verifier, admin) == "welcome"


async def test_who_logs_out_leaves_one_session_only(world, serving, listening):
    async with serving(), listening("academics") as verifier:
        person, token = await world.enter("teacher")
        other = (await world.log_in(person))["access_token"]
        assert await verdict(verifier, token) == "welcome"

        assert (await world.call("POST", "/auth/logout", token))[0] == 204

        await is_void(verifier, token)
        assert await verdict(verifier, other) == "welcome"


async def test_a_process_that_starts_later_hears_what_was_revoked_before(world, serving, listening):
    async with serving():
        _, admin = await world.enter("admin")
        person, token = await world.enter("student")
        await disable(world, admin, person)
        await until(lambda: world.database.fetchval("SELECT count(*) = 0 FROM streams_pending"))

        async with listening("academics") as verifier:
            await is_void(verifier, token)


async def test_without_redis_the_log_says_it(world, serving, listening, cache):
    async with serving(), listening("academics") as verifier:
        _, admin = await world.enter("admin")
        people = [await world.enter("student") for _ in range(2)]
        assert await verdict(verifier, people[0][1]) == "welcome"
        cache.stop()

        await disable(world, admin, people[0][0])
        await is_void(verifier, people[0][1])

        cache.start()
        await disable(world, admin, people[1][0])
        await is_void(verifier, people[1][1])


async def test_when_only_identity_has_lost_redis_the_log_says_it(world, serving, listening):
    async with serving(redis_url=SecretStr("redis://127.0.0.1:9/0")), listening("academics") as verifier:
        _, admin = await world.enter("admin")
        person, token = await world.enter("student")
        assert await verdict(verifier, token) == "welcome"

        await disable(world, admin, person)

        await is_void(verifier, token)


async def test_a_flush_hides_nothing(world, serving, listening, cache):
    async with serving(), listening("academics") as verifier:
        _, admin = await world.enter("admin")
        person, token = await world.enter("student")
        assert await verdict(verifier, token) == "welcome"

        async with redis.asyncio.Redis.from_url(cache.url()) as client:
            await disable(world, admin, person)
            await client.flushall()

        await is_void(verifier, token)


async def test_while_identity_is_away_a_process_starts_and_hears_later(world, serving, listening):
    async with serving():
        _, admin = await world.enter("admin")
        person, token = await world.enter("student")
        _, other = await world.enter("student")

    async with listening("academics") as verifier:
        assert await verdict(verifier, token) == "keys_unavailable"
        async with serving():
            await disable(world, admin, person)

            await is_void(verifier, token)
            assert await verdict(verifier, other) == "welcome"


async def test_tokens_of_a_revoked_key_are_void_everywhere_and_new_ones_soon_welcome(
    world, serving, listening, identity_settings
):
    async with serving(), listening("academics") as verifier:
        person, token = await world.enter("teacher")
        assert await verdict(verifier, token) == "welcome"
        assert not await is_refused_at_home(world, token)
        [kid] = await world.database.fetchrow("SELECT kid FROM signing_key WHERE state = 'active'")

        await revoke(identity_settings, kid)

        await is_void(verifier, token)
        await until(lambda: is_refused_at_home(world, token))
        await until(lambda: is_welcome_anew(world, person, verifier))


async def is_refused_at_home(world, token):
    return (await world.call("GET", "/auth/me", token))[0] == 401


async def is_welcome_anew(world, person, verifier):
    return await verdict(verifier, (await world.log_in(person))["access_token"]) == "welcome"


async def test_nobody_has_to_ask_identitys_log_how_fresh_a_quiet_stream_is(serving, cache):
    async with serving(), redis.asyncio.Redis.from_url(cache.url("academics")) as client:
        assert await until(lambda: is_promised(client))


async def is_promised(client):
    [moment] = await client.hmget("{identity:0}:wm", ["t_us"])
    return moment
