"""Relays and consumers that are killed, stopped, doubled: every event takes effect once and in order."""

import random
import signal

import pytest

from tests.faults.streams.theatre import PATIENCE_S
from tests.waiting import until

pytestmark = pytest.mark.slow
APPLIED = "SELECT count(*) FROM effect"


def quick(point):
    """One that `./dev test` plays too."""
    return pytest.param(point, marks=pytest.mark.quick)


@pytest.mark.fault(2)
@pytest.mark.parametrize("point", ["seal", quick("sealed"), "appended"])
async def test_a_relay_that_is_killed_loses_and_doubles_nothing(theatre, point):
    await theatre.write(20)
    first = theatre.start("relay", die_at=point)
    theatre.start("consumer", owner="a")
    await until(lambda: first.poll() == -signal.SIGKILL, PATIENCE_S)
    theatre.injected += 1

    theatre.start("relay")
    await theatre.write(20)

    await theatre.settled()


@pytest.mark.fault(4)
@pytest.mark.parametrize("point", ["read", quick("transaction"), "committed"])
async def test_a_consumer_that_is_killed_repeats_and_skips_nothing(theatre, point):
    theatre.start("relay")
    await theatre.write(20)
    first = theatre.start("consumer", owner="a", die_at=point)
    await until(lambda: first.poll() == -signal.SIGKILL, PATIENCE_S)
    theatre.injected += 1

    theatre.start("consumer", owner="b")
    await theatre.write(20)

    await theatre.settled()


@pytest.mark.fault(4)
async def test_everybody_killed_again_and_again_under_load(theatre):
    chance = random.Random(7)  # noqa: S311 -- a seed, no secret
    parts = dict(zip(("relay", "consumer"), theatre.both(), strict=True))
    async with theatre.load():
        for _ in range(8):
            # Both are at work again, and somewhere in the middle of it.
            await theatre.applied(await theatre.copy_pool.fetchval(APPLIED) + chance.randrange(5, 60))
            part = chance.choice(["relay", "consumer"])
            parts[part].kill()
            theatre.injected += 1
            settings = {"owner": "a"} if part == "consumer" else {}
            parts[part].wait()
            parts[part] = theatre.start(part, **settings)

    await theatre.settled()


@pytest.mark.fault(3)
async def test_a_relay_that_was_asleep_appends_nothing_twice(theatre):
    await theatre.write(10)
    asleep = theatre.start("relay", die_at="stop before append", port=theatre.port + 1)
    await until(lambda: theatre.pool.fetchval("SELECT sum(last_pos) > 0 FROM streams_shard"), PATIENCE_S)
    theatre.both()
    await theatre.write(20)
    await theatre.settled()

    asleep.send_signal(signal.SIGCONT)
    theatre.injected += 1
    await theatre.write(20)

    await theatre.settled()


@pytest.mark.fault(5)
@pytest.mark.parametrize("point", [quick("stop before transaction"), "stop in transaction"])
async def test_a_consumer_that_slept_past_its_lease_writes_nothing(theatre, point):
    theatre.start("relay")
    await theatre.write(10)
    zombie = theatre.start("consumer", owner="a", die_at=point)
    await theatre.running("a")
    theatre.start("consumer", owner="b")
    if point == "stop before transaction":
        await theatre.running("b")
    await theatre.write(10)

    zombie.send_signal(signal.SIGCONT)
    theatre.injected += 1
    await theatre.write(10)
    if point == "stop in transaction":
        zombie.kill()

    await theatre.settled()


@pytest.mark.fault(20)
async def test_replicas_come_and_go_under_load(theatre):
    theatre.start("relay")
    replicas = [theatre.start("consumer", owner=name) for name in "ab"]
    async with theatre.load():
        await until(lambda: theatre.copy_pool.fetchval("SELECT count(*) > 20 FROM effect"), PATIENCE_S)
        replicas.append(theatre.start("consumer", owner="c"))
        for replica in replicas[:2]:
            await theatre.acknowledged_more(50)
            replica.send_signal(signal.SIGTERM)
            theatre.injected += 1
        await theatre.running("c")

    await theatre.settled()
    assert [replica.wait(5) for replica in replicas[:2]] == [0, 0]


@pytest.mark.fault(20)
async def test_a_drained_replica_hands_over_within_a_second(theatre):
    theatre.start("relay")
    first = theatre.start("consumer", owner="a")
    await theatre.running("a")
    theatre.start("consumer", owner="b")
    await theatre.write(200)
    first.send_signal(signal.SIGTERM)
    theatre.injected += 1
    await until(lambda: first.poll() is not None, 5)
    before = await theatre.copy_pool.fetchval("SELECT count(*) FROM effect")
    await theatre.write(1)

    await until(lambda: theatre.copy_pool.fetchval("SELECT count(*) > $1 FROM effect", before), 1.0)

    await theatre.settled()
