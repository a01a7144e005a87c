"""A nonce counts once per device, also when two requests bring it at the same moment."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from infra import device_requests
from infra.device_requests import NONCE_LIFE, forget_nonces, keep_nonce, keep_nonces
from infra.migrate import statements_of
from infra.postgres import create_pool, transaction

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture
async def pool(blank_database):
    async with create_pool(blank_database, name="test") as made:
        for statement in statements_of("infra/sql/seen_nonce.sql"):
            await made.execute(statement)
        yield made


async def keep(pool, owner_id, *, nonce=bytes(16), now=NOW):
    async with transaction(pool) as lent:
        return await keep_nonce(lent, owner_id=owner_id, nonce=nonce, now=now, life=NONCE_LIFE)


async def test_of_equal_requests_at_once_exactly_one_wins(pool):
    owner = uuid4()

    answers = await asyncio.gather(*(keep(pool, owner) for _ in range(8)))

    assert sorted(answers) == [False] * 7 + [True]


async def test_of_equal_nonces_in_one_batch_the_first_wins(pool):
    owner, used = uuid4(), (uuid4(), bytes(16))
    await keep(pool, used[0])

    async with transaction(pool) as lent:
        batch = [(owner, b"x" * 16), used, (owner, b"x" * 16), (owner, b"y" * 16)]
        answers = await keep_nonces(lent, batch, now=NOW, life=NONCE_LIFE)

    assert answers == [True, False, False, True]


async def test_each_device_has_nonces_of_its_own(pool):
    owner = uuid4()

    assert [await keep(pool, owner), await keep(pool, uuid4()), await keep(pool, owner, nonce=b"x" * 16)] == [True] * 3


async def test_a_nonce_is_remembered_for_as_long_as_its_request_could_pass(pool):
    owner = uuid4()
    await keep(pool, owner)

    assert not await keep(pool, owner, now=NOW + 2 * device_requests.WINDOW)


async def test_expired_nonces_go_when_their_device_comes_again(pool):
    owner = uuid4()
    await keep(pool, owner)

    await keep(pool, owner, nonce=b"x" * 16, now=NOW + NONCE_LIFE + timedelta(seconds=1))

    assert await pool.fetchval("SELECT count(*) FROM seen_nonce") == 1


async def test_expired_nonces_are_swept_also_of_devices_that_do_not_come_again(pool):
    await keep(pool, uuid4())
    await keep(pool, uuid4(), now=NOW + timedelta(seconds=1))

    counts = []
    for later in (timedelta(0), timedelta(microseconds=1)):
        await forget_nonces(pool, NOW + NONCE_LIFE + later)
        counts.append(await pool.fetchval("SELECT count(*) FROM seen_nonce"))

    assert counts == [2, 1]


async def test_a_sweep_does_not_wait_for_a_nonce_that_is_being_used(pool):
    owner, later = uuid4(), NOW + NONCE_LIFE + timedelta(seconds=1)
    await keep(pool, owner)

    async with transaction(pool) as lent:
        await keep_nonce(lent, owner_id=owner, nonce=bytes(16), now=later, life=NONCE_LIFE)
        await forget_nonces(pool, later)

    assert await pool.fetchval("SELECT expires_at FROM seen_nonce") == later + NONCE_LIFE


async def test_an_expired_nonce_may_be_used_again(pool):
    owner, later = uuid4(), NOW + NONCE_LIFE + timedelta(seconds=1)
    await keep(pool, owner)

    assert [await keep(pool, owner, now=later), await keep(pool, owner, now=later)] == [True, False]


async def test_a_request_that_is_rolled_back_may_come_again(pool):
    owner = uuid4()
    with pytest.raises(ZeroDivisionError):
        async with transaction(pool) as lent:
            await keep_nonce(lent, owner_id=owner, nonce=bytes(16), now=NOW, life=NONCE_LIFE)
            raise ZeroDivisionError

    assert await keep(pool, owner)


async def test_the_statements_prepare(pool):
    async with pool.acquire() as lent:
        assert await lent.prepare(device_requests.KEEP_NONCES)
        assert await lent.prepare(device_requests.FORGET_NONCES)
