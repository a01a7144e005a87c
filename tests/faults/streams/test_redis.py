"""Redis may lose anything, be away or be full: nothing is lost, and nobody has to act."""

import asyncio
import signal

import pytest

from tests.faults.streams.theatre import PATIENCE_S
from tests.waiting import until

pytestmark = pytest.mark.slow
FRESH_S = 2.0


async def stays_fresh(theatre, seconds):
    """Write for a while and return how old the copy was at worst."""
    worst, ends_at = 0.0, asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends_at:
        await theatre.write(5)
        worst = max(worst, await theatre.as_of_age_s())
    return worst


async def has_grown(client, length):
    return await client.xlen("{academics:0}:ev") >= length


@pytest.mark.fault(8)
async def test_a_flush_under_load_is_made_good_within_five_seconds(theatre, client):
    theatre.both()
    async with theatre.load():
        await until(theatre.is_fresh, PATIENCE_S)
        for _ in range(3):
            await client.flushall()
            theatre.injected += 1
            await until(lambda: client.exists("{academics:0}:ev"), 5)
            await until(theatre.is_fresh, 5)

    await theatre.settled()


@pytest.mark.fault(8)
async def test_an_idle_stream_that_is_deleted_is_made_again(theatre, client):
    theatre.both()
    await theatre.write(9)
    await until(lambda: client.exists("{academics:1}:ev"), PATIENCE_S)
    before = await client.xrange("{academics:1}:ev")

    theatre.injected += await client.delete("{academics:1}:ev")

    await until(lambda: client.exists("{academics:1}:ev"), 5)
    assert await client.xrange("{academics:1}:ev") == before
    await theatre.settled()


@pytest.mark.fault(8)
@pytest.mark.parametrize("is_saved", [False, True], ids=["everything", "what came after a snapshot"])
async def test_what_a_killed_redis_lost_is_filled_again(theatre, client, own_valkey, is_saved):
    theatre.both()
    async with theatre.load():
        await until(theatre.is_fresh, PATIENCE_S)
        if is_saved:
            await client.save()
            await theatre.acknowledged_more(50)
        own_valkey.child.kill()
        if not is_saved:
            (own_valkey.folder / "dump.rdb").unlink(missing_ok=True)
        theatre.injected += 1
        worst = await stays_fresh(theatre, 2)
        own_valkey.start()
        worst = max(worst, await stays_fresh(theatre, 3))

    assert worst < FRESH_S
    await theatre.settled()


@pytest.mark.fault(9)
async def test_a_stream_that_lost_its_tail_in_a_failover_is_rewound(theatre, client):
    theatre.both()
    async with theatre.load():
        await until(lambda: client.exists("{academics:0}:ev"), PATIENCE_S)
        replica, length = await client.dump("{academics:0}:ev"), await client.xlen("{academics:0}:ev")
        await until(lambda: has_grown(client, length + 20), PATIENCE_S)
        await client.restore("{academics:0}:ev", 0, replica, replace=True)
        theatre.injected += 1
        await theatre.acknowledged_more(50)

    await theatre.settled()


@pytest.mark.fault(10)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["hangs", "is gone"])
async def test_while_redis_is_away_writes_succeed_and_the_copy_follows(theatre, own_valkey, number, outage_s):
    theatre.both()
    await theatre.write(5)
    await until(theatre.is_fresh, PATIENCE_S)
    own_valkey.child.process.send_signal(number)
    theatre.injected += 1
    try:
        before = len(theatre.acknowledged)
        worst = await stays_fresh(theatre, outage_s)

        assert len(theatre.acknowledged) - before > 100
        assert worst < FRESH_S
        await theatre.settled()
    finally:
        own_valkey.child.process.send_signal(signal.SIGCONT)
    if number == signal.SIGKILL:
        own_valkey.child.process.wait()
        own_valkey.start()
    await theatre.write(5)
    await theatre.settled()


@pytest.mark.fault(10)
@pytest.mark.parametrize("part", ["relay", "consumer"])
async def test_when_only_one_side_has_lost_redis_the_copy_stays_fresh(theatre, part, outage_s):
    nowhere = {"redis": "redis://127.0.0.1:1/0"}
    theatre.start("relay", **(nowhere if part == "relay" else {}))
    theatre.start("consumer", owner="a", **(nowhere if part == "consumer" else {}))
    theatre.injected += 1
    await theatre.write(5)
    await until(theatre.is_fresh, PATIENCE_S)

    assert await stays_fresh(theatre, outage_s) < FRESH_S

    await theatre.settled()


@pytest.mark.fault(12)
async def test_a_full_redis_keeps_its_streams_contiguous_and_goes_on_afterwards(theatre, client, outage_s):
    theatre.both()
    async with theatre.load():
        await until(theatre.is_fresh, PATIENCE_S)
        await client.config_set("maxmemory", 1)
        theatre.injected += 1
        try:
            worst = await stays_fresh(theatre, outage_s)
        finally:
            await client.config_set("maxmemory", 0)
        await theatre.acknowledged_more(100)

    assert worst < FRESH_S
    await theatre.settled()
    for shard in (0, 1):
        last_pos = await theatre.pool.fetchval("SELECT last_pos FROM streams_shard WHERE shard = $1", shard)
        entries = [id_ for id_, _ in await client.xrange(f"{{academics:{shard}}}:ev")]
        assert [int(id_.partition(b"-")[2]) for id_ in entries] == list(range(1, last_pos + 1))


@pytest.mark.fault(11)
@pytest.mark.quick
async def test_a_trimmed_stream_is_no_loss_to_a_consumer_that_was_away(theatre, client):
    relay, consumer = theatre.both()
    await theatre.write(20)
    await theatre.settled()
    consumer.kill()
    await theatre.write(20)
    for shard in (0, 1):
        await client.xtrim(f"{{academics:{shard}}}:ev", maxlen=0, approximate=False)
        theatre.injected += 1
    await theatre.write(5)

    theatre.start("consumer", owner="a")

    await theatre.settled()
    assert relay.poll() is None
