"""Entries that come again, are missing, swapped or changed: the log decides, and every event takes effect once."""

import pytest

from tests.faults.streams.theatre import PATIENCE_S
from tests.waiting import until

pytestmark = pytest.mark.slow
STREAMS = ("{academics:0}:ev", "{academics:1}:ev")


@pytest.mark.fault(6)
@pytest.mark.quick
async def test_a_reader_that_forgets_its_place_repeats_nothing(theatre):
    theatre.start("relay")
    await theatre.write(20)
    theatre.start("consumer", owner="a", die_at="read again")
    await theatre.applied(20)
    theatre.injected += 1
    await theatre.write(20)

    await theatre.settled()


@pytest.mark.fault(7)
@pytest.mark.parametrize("forgery", ["missing", "swapped", "changed", "garbage"])
async def test_a_forged_stream_misleads_nobody(theatre, client, forgery):
    relay, consumer = theatre.both()
    await theatre.write(10)
    await theatre.settled()
    consumer.kill()
    await theatre.write(20)
    await until(lambda: everything_is_in_redis(theatre, client), PATIENCE_S)
    relay.kill()
    for stream in STREAMS:
        await forge(client, stream, forgery)
        theatre.injected += 1

    theatre.both()
    await theatre.write(5)

    await theatre.settled()


@pytest.mark.fault(11)
async def test_a_trimmed_tail_is_found_though_nothing_follows_it(theatre, client):
    _, consumer = theatre.both()
    await theatre.write(10)
    await theatre.settled()
    consumer.kill()
    await theatre.write(10)
    await until(lambda: everything_is_in_redis(theatre, client), PATIENCE_S)
    for stream in STREAMS:
        await client.xtrim(stream, maxlen=0, approximate=False)
        theatre.injected += 1

    theatre.start("consumer", owner="a")

    await theatre.settled()


async def everything_is_in_redis(theatre, client):
    sealed = [row["last_pos"] for row in await theatre.pool.fetch("SELECT last_pos FROM streams_shard ORDER BY shard")]
    ends = [await client.xrevrange(stream, count=1) for stream in STREAMS]
    return sum(sealed) == len(theatre.acknowledged) and all(
        end and end[0][0].endswith(b"-%d" % pos) for end, pos in zip(ends, sealed, strict=True)
    )


async def forge(client, stream, forgery):
    """Change the third to last entry; ids and end stay as they are."""
    entries = await client.xrange(stream)
    ids, fields = [id_ for id_, _ in entries], [dict(each) for _, each in entries]
    if forgery == "swapped":
        fields[-3], fields[-4] = fields[-4], fields[-3]
    elif forgery == "changed":
        fields[-3][b"data"] = b'{"coats":9,"colour":"gold","note":null}'
    elif forgery == "garbage":
        fields[-3] = {b"x": b"y"}
    made = list(zip(ids, fields, strict=True))
    if forgery == "missing":
        del made[-3]
    await client.delete(stream)
    for id_, each in made:
        await client.xadd(stream, each, id=id_)
