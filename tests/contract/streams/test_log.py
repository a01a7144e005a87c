"""Every log gives positions, keeps its chain and tells its readers the truth, real or fake, near or over gRPC."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from contracts.problems import NotFoundError
from streams.chain import flaw
from streams.continuity import sound
from streams.ledger import LogWentBackError

HASH = b"x" * 32


async def sealed(shard, count, limit=500):
    await shard.paint(count)
    return await shard.ledger.seal(limit=limit, seen=None)


async def everything(shard):
    head = await shard.log.head(0)
    return (await shard.log.read(0, head.base, upto=None, limit=100)).entries


async def test_a_new_log_is_empty_and_promises_nothing(shard):
    head = await shard.log.head(0)

    assert head.last == head.base
    assert head.closed is None
    assert await shard.ledger.entries_after(0, 10) == []


async def test_sealing_continues_the_chain_without_a_hole(shard):
    await sealed(shard, 3)
    await sealed(shard, 2)

    head, entries = await shard.log.head(0), await everything(shard)

    assert [entry.pos for entry in entries] == [1, 2, 3, 4, 5]
    assert sound(head.base, entries)
    assert head.last == entries[-1].place
    assert await shard.ledger.entries_after(0, 10) == list(entries)


async def test_a_drained_log_promises_where_it_ends(shard):
    done = await sealed(shard, 3)

    assert (done.count, done.drained) == (3, True)
    assert done.head.closed.pos == 3
    assert done.head.closed.t <= (await shard.log.head(0)).now


async def test_a_log_that_has_more_pending_promises_nothing_about_it(shard):
    before = (await sealed(shard, 1)).head.closed

    done = await sealed(shard, 5, limit=5)

    assert (done.count, done.drained) == (5, False)
    assert done.head.closed == before


async def test_sealing_again_promises_anew(shard):
    first = await sealed(shard, 1)
    await shard.paint(0)

    again = await shard.ledger.seal(limit=500, seen=first.head.last)

    assert again.count == 0
    assert again.head.last == first.head.last
    assert again.head.closed.t > first.head.closed.t


@pytest.mark.parametrize("change", [{"pos": 9}, {"hash": HASH}])
async def test_a_log_that_lacks_what_a_stream_was_given_is_not_sealed(shard, change):
    done = await sealed(shard, 3)
    await shard.paint()

    with pytest.raises(LogWentBackError):
        await shard.ledger.seal(limit=500, seen=replace(done.head.last, **change))

    assert (await shard.log.head(0)).last == done.head.last


async def test_a_reader_gets_what_follows_its_place(shard):
    await sealed(shard, 5)
    entries = await everything(shard)

    page = await shard.log.read(0, entries[1].place, upto=4, limit=100)
    short = await shard.log.read(0, entries[1].place, upto=None, limit=1)
    none = await shard.log.read(0, entries[4].place, upto=None, limit=100)

    assert page.entries == entries[2:4]
    assert short.entries == entries[2:3]
    assert none.entries == ()
    assert page.head.last.pos == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"incarnation": UUID(int=1)}, "reincarnated"),
        ({"pos": 6}, "forked"),
        ({"hash": HASH}, "forked"),
        ({"pos": 5, "hash": HASH}, "forked"),
        ({"pos": 0, "hash": HASH}, "forked"),
    ],
    ids=["another incarnation", "ahead", "another entry", "another end", "another beginning"],
)
async def test_a_reader_with_another_past_is_told_so(shard, change, reason):
    await sealed(shard, 5)
    place = (await everything(shard))[2].place

    assert (await shard.log.read(0, replace(place, **change), upto=None, limit=100)).reason == reason


async def test_a_reader_whose_next_entry_is_archived_is_told_so(shard):
    await sealed(shard, 5)
    entries = await everything(shard)
    await shard.archive(3)

    behind = await shard.log.read(0, entries[1].place, upto=None, limit=100)
    there = await shard.log.read(0, entries[2].place, upto=None, limit=100)

    assert behind.reason == "truncated"
    assert there.entries == entries[3:]


async def test_a_reader_that_keeps_no_hash_is_told_what_follows_or_that_nobody_knows(postgres_shard):
    log, pos = postgres_shard.log, range(7)
    await sealed(postgres_shard, 5)
    entries = await everything(postgres_shard)
    incarnation = entries[0].incarnation

    followed = [await log.read_on(0, incarnation, at, limit=3) for at in pos]
    foreign = await log.read_on(0, UUID(int=1), 5, limit=3)
    await postgres_shard.archive(3)
    kept = [await log.read_on(0, incarnation, at, limit=3) for at in pos]

    assert [page and page.entries for page in followed] == [*(entries[at : at + 3] for at in range(6)), None]
    assert foreign is None
    assert [page and page.entries for page in kept] == [None, None, None, *(entries[at:] for at in (3, 4, 5)), None]


async def test_a_reader_at_the_end_of_an_archived_log_is_fine(shard):
    await sealed(shard, 5)
    last = (await everything(shard))[-1].place
    await shard.archive(5)

    assert (await shard.log.read(0, last, upto=None, limit=100)).entries == ()


async def test_a_reader_without_a_place_gets_the_recent_past(shard):
    await sealed(shard, 3)
    entries = await everything(shard)

    all_ = await shard.log.read_since(0, entries[0].ms - 1, limit=100)
    none = await shard.log.read_since(0, entries[-1].ms, limit=100)

    assert all_.entries == entries
    assert none.entries == ()
    assert none.head.last == entries[-1].place


async def test_the_recent_past_is_found_whenever_it_began_and_whatever_was_archived(shard):
    for count in (1, 4, 2, 3, 1, 5):
        await sealed(shard, count)
    entries = await everything(shard)
    await shard.archive(3)

    for ms in {entry.ms + step for entry in entries for step in (-1, 0)}:
        page = await shard.log.read_since(0, ms, limit=100)
        assert page.entries == tuple(entry for entry in entries[3:] if entry.ms > ms)


@pytest.mark.parametrize(("ms", "count"), [(2**63 - 1, 0), (-(2**63), 3)])
async def test_a_reader_may_ask_since_any_moment_that_the_protocol_can_name(shard, ms, count):
    await sealed(shard, 3)

    assert len((await shard.log.read_since(0, ms, limit=100)).entries) == count


@pytest.mark.parametrize("number", [9, -1, 2**15, 2**31 - 1, -(2**31)])
async def test_a_shard_that_is_not_there_is_a_problem(shard, number):
    with pytest.raises(NotFoundError) as raised:
        await shard.log.head(number)

    assert raised.value.code == "shard_unknown"


async def test_evidence_is_of_one_moment(shard):
    await sealed(shard, 5)
    entries = await everything(shard)
    await shard.archive(2)

    found = await shard.ledger.evidence(entries[3].id)

    assert found.at == entries[3].place
    assert (found.first_kept, found.head.last.pos) == (3, 5)
    assert found.floor == 0
    assert (await shard.ledger.evidence(entries[0].id)).at is None


async def test_the_clock_of_a_log_goes_on(shard):
    first = (await shard.log.head(0)).now
    await shard.paint()

    assert timedelta(0) < (await shard.log.head(0)).now - first < timedelta(minutes=1)


async def test_entries_are_what_their_hashes_say(shard):
    await sealed(shard, 2)

    assert [flaw(entry) for entry in await everything(shard)] == [None, None]
