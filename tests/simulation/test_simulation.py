"""The product's relay and reader survive a thousand unlucky schedules, and no rule of theirs can be left out."""

import pytest

import streams.follow
from streams.follow import Follower
from streams.relay import ShardRelay
from tests.fakes.streams import MemoryCheckpoint, MemoryEventLog, MemoryLedger, MemoryLog, MemorySink, MemoryStream
from tests.simulation.mutations import MUTATIONS, no_tail, patched
from tests.simulation.world import Rules, ViolationError, World

SCHEDULES = 500  # of each kind; `python -m tests.simulation 20000` plays more
ENOUGH = 600


@pytest.mark.slow
@pytest.mark.parametrize("restores", [False, True], ids=["no restore", "databases restored to the past"])
def test_nothing_is_lost_doubled_reordered_or_wrongly_promised(restores):
    for seed in range(SCHEDULES):
        try:
            World(seed, Rules(restores=restores)).run()
        except ViolationError as violation:
            pytest.fail(f"seed {seed}: {violation}")


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_rule_that_is_left_out_is_missed(name):
    rules, places = MUTATIONS[name]

    with patched(*places), pytest.raises(ViolationError):
        for seed in range(ENOUGH):
            World(seed, rules).run()


@pytest.fixture
def trimmed():
    """A stream whose unread tail was trimmed, with nothing after it, and its reader."""
    log, stream = MemoryLog(), MemoryStream()
    sink = MemorySink(MemoryCheckpoint(), 0)
    follower = Follower(shard=0, reader=stream, log=MemoryEventLog(log), sink=sink, proofs=False)
    relay = ShardRelay(MemoryLedger(log), stream, watermarks=False)

    async def tell(body):
        log.pending.append(body)
        await relay.turn()

    async def play():
        await tell(b"1")
        await follower.step()
        await tell(b"2")
        stream.entries.clear()
        await follower.step()
        return [effect.body for effect in sink.row.effects]

    return play


async def test_a_trimmed_tail_is_read_from_the_log(trimmed):
    assert await trimmed() == [b"1", b"2"]


async def test_the_tail_rule_left_out_is_missed(trimmed):
    with patched((streams.follow, "judge", no_tail)):
        assert await trimmed() == [b"1"]
