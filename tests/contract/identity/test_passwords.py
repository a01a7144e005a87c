"""Every Passwords keeps the same promises; and what only the real one promises."""

import asyncio
import threading

import pytest

from contracts.problems import UnavailableError
from infra.password_hashing import Cost, PasswordHasher
from tests.fakes.identity import PlainPasswords

CHEAP = Cost(memory_kib=8, iterations=1)


@pytest.fixture
def hasher():
    made = PasswordHasher(pepper=b"p" * 32, cost=CHEAP)
    yield made
    made.close()


@pytest.fixture(params=["fake", "argon2"])
def passwords(request):
    return PlainPasswords() if request.param == "fake" else request.getfixturevalue("hasher")


async def test_a_hash_matches_its_password_to_the_last_byte(passwords):
    long = "é" * 73
    hashed = await passwords.hash(long + "x")

    assert await passwords.matches(long + "x", hashed)
    assert not await passwords.matches(long + "y", hashed)
    assert not await passwords.matches("", hashed)


async def test_nobody_has_no_password(passwords):
    assert not await passwords.matches("anything", None)


async def test_a_fresh_hash_is_not_outdated(passwords):
    assert not passwords.is_outdated(await passwords.hash("secret"))
    assert passwords.is_outdated("$argon2id$v=19$m=9,t=1,p=1$c2FsdA$aGFzaA")


async def test_a_hash_says_what_it_cost_and_no_two_are_equal(hasher):
    first, second = await hasher.hash("secret"), await hasher.hash("secret")

    assert first.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert first != second


async def test_the_usual_cost_is_the_recommended_one():
    made = PasswordHasher(pepper=b"p" * 32)
    try:
        assert (await made.hash("secret")).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    finally:
        made.close()


async def test_a_hash_is_worthless_without_the_pepper(hasher):
    other = PasswordHasher(pepper=b"q" * 32, cost=CHEAP)
    try:
        assert not await other.matches("secret", await hasher.hash("secret"))
    finally:
        other.close()


async def test_whoever_comes_when_too_many_wait_is_sent_away():
    made = PasswordHasher(pepper=b"p" * 32, cost=CHEAP, max_waiting=2)
    gate = threading.Event()
    blocked = [asyncio.ensure_future(made._off_loop(gate.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(UnavailableError, match="overloaded"):
            await made.hash("secret")
        with pytest.raises(UnavailableError, match="overloaded"):
            made.check_room()
    finally:
        gate.set()
        await asyncio.gather(*blocked)
        made.close()
