"""Of processes that start at once one makes the key, and every one signs with it."""

import asyncio

import pytest

from infra import signing_keys
from infra.migrate import statements_of
from infra.postgres import connection, create_pool, transaction
from infra.secret_box import SecretBox

BOX = SecretBox(bytes(32))


@pytest.fixture
async def pools(blank_database):
    async with create_pool(blank_database, name="one") as one, create_pool(blank_database, name="two") as two:
        for statement in statements_of("infra/sql/signing_key.sql"):
            await one.execute(statement)
        yield one, two


async def test_processes_that_start_at_once_share_one_key(pools):
    made = await asyncio.gather(*(signing_keys.load_or_make(pools[n % 2], BOX) for n in range(8)))

    assert len({kid for kid, _ in made}) == 1
    assert len({key.private_numbers().private_value for _, key in made}) == 1
    assert await pools[0].fetchval("SELECT count(*) FROM signing_key") == 1


async def test_the_key_that_is_shown_is_the_one_that_signs(pools):
    kid, key = await signing_keys.load_or_make(pools[0], BOX)

    assert (await signing_keys.jwks(pools[1]))["keys"] == [signing_keys.public_jwk(key.public_key())]
    assert signing_keys.public_jwk(key.public_key())["kid"] == kid


async def test_nothing_private_is_shown_or_stored_in_the_open(pools):
    _, key = await signing_keys.load_or_make(pools[0], BOX)
    secret = key.private_numbers().private_value.to_bytes(32, "big")

    [shown] = (await signing_keys.jwks(pools[0]))["keys"]
    assert set(shown) == {"crv", "kty", "x", "y", "kid", "use", "alg"}
    assert secret not in await pools[0].fetchval("SELECT private_sealed FROM signing_key")


async def test_a_key_sealed_under_another_key_is_not_replaced_by_a_new_one(pools):
    await signing_keys.load_or_make(pools[0], BOX)

    with pytest.raises(ValueError, match="another key"):
        await signing_keys.load_or_make(pools[0], SecretBox(bytes(31) + b"x"))

    assert await pools[0].fetchval("SELECT count(*) FROM signing_key") == 1


async def test_a_next_key_is_shown_before_it_signs_and_a_gone_one_no_more(pools):
    active, _ = await signing_keys.load_or_make(pools[0], BOX)
    async with transaction(pools[0]) as lent:
        following = await signing_keys.make(lent, BOX, state="next")
    assert {key["kid"] for key in (await signing_keys.jwks(pools[0]))["keys"]} == {active, following}
    assert (await signing_keys.load_or_make(pools[0], BOX))[0] == active

    await pools[0].execute("UPDATE signing_key SET state = 'gone' WHERE kid = $1", following)

    assert [key["kid"] for key in (await signing_keys.jwks(pools[0]))["keys"]] == [active]


async def test_every_statement_prepares(pools):
    statements = [v for k, v in vars(signing_keys).items() if k.isupper() and isinstance(v, str)]
    async with connection(pools[0]) as lent:
        for statement in statements:
            assert await lent.prepare(statement)
