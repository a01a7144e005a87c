"""What an operator sees of streams and logs."""

import asyncio
import json
import sys

import pytest

from streams.verifying import verify
from tests.streams_builders import SCHOOLS, SOURCE, RoomPainted
from tests.streams_running import running
from tests.waiting import until


async def streams(*arguments):
    """Run `python -m streams` and return its exit code, its lines and its complaints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, [json.loads(line) for line in out.decode().splitlines()], err.decode()


@pytest.fixture
def of(redis_url):
    return "--redis-url", redis_url, "--source", SOURCE


async def test_tail_prints_events_as_cloud_events(writer, relay, of):
    [id_] = await writer.paint(colour="green")
    await relay().turn()

    code, [event], _ = await streams("tail", *of, "--from", "start")

    assert code == 0
    assert (event["id"], event["type"], event["specversion"]) == (str(id_), RoomPainted.type, "1.0")
    assert (event["data"]["colour"], event["shard"], event["sequence"]) == ("green", 0, "1")


async def test_tail_shows_only_what_was_asked_for(writer, relay, of):
    await writer.paint(5)
    await writer.paint(school=SCHOOLS[0])
    for shard in range(4):
        await relay(shard).turn()

    _, late, _ = await streams("tail", *of, "--from", "4", "--shard", "0")
    _, first, _ = await streams("tail", *of, "--from", "start", "--count", "2")
    _, school, _ = await streams("tail", *of, "--from", "start", "--school", str(SCHOOLS[0]))
    _, since, _ = await streams("tail", *of, "--from", "2100-01-01T00:00:00Z")
    _, other, _ = await streams("tail", *of, "--from", "start", "--type", "academics.room.burnt.v1")

    assert [event["sequence"] for event in late if event["shard"] == 0][:2] == ["4", "5"]
    assert len(first) == 2
    assert [event["partitionkey"] for event in school] == [str(SCHOOLS[0])]
    assert (since, other) == ([], [])


async def test_tail_says_what_it_does_not_understand(of):
    code, lines, complaint = await streams("tail", *of, "--from", "yesterday")

    assert (code, lines) == (2, [])
    assert "RFC 3339" in complaint


async def test_a_redis_that_is_away_is_one_clear_line():
    code, _, complaint = await streams("status", "--redis-url", "redis://127.0.0.1:1/0", "--source", SOURCE)

    assert code == 2
    assert len(complaint.splitlines()) == 1


async def test_status_shows_where_each_stream_ends(writer, relay, of):
    await writer.paint(3)
    await relay().turn()

    _, lines, _ = await streams("status", *of)

    assert [(line["shard"], line["length"], line["closed_pos"]) for line in lines[:2]] == [(0, 3, 3), (1, 0, None)]


async def test_verify_log_finds_a_changed_entry(blank_database, pool, writer, relay):
    await writer.paint(5)
    await relay().turn()

    sound, [verdict], _ = await streams("verify-log", "--database-url", blank_database, "--shard", "0")
    await pool.execute(
        "UPDATE streams_log SET body = replace(convert_from(body, 'UTF8'), 'blue', 'grey')::bytea WHERE pos = 3"
    )
    broken, [bad], _ = await streams("verify-log", "--database-url", blank_database, "--shard", "0")

    assert (sound, verdict["entries"], verdict["first_bad"]) == (0, 5, None)
    assert (broken, bad["first_bad"], bad["why"]) == (1, 3, "commit")


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("DELETE FROM streams_log WHERE pos = 3", 3),
        ("DELETE FROM streams_log WHERE pos = 5", 5),
        ("UPDATE streams_log SET hash = sha256('x') WHERE pos = 5", 5),
        ("UPDATE streams_log SET sealed_ms = sealed_ms + 1 WHERE pos = 2", 2),
        ("UPDATE streams_shard SET last_hash = sha256('x')", 5),
    ],
    ids=["a missing entry", "a missing end", "another hash", "another time", "another end"],
)
async def test_verify_log_finds(change, first_bad, pool, writer, relay):
    await writer.paint(5)
    await relay().turn()
    await pool.execute(change)

    async with pool.acquire() as connection:
        verdict = await verify(connection, 0)

    assert verdict.first_bad == first_bad


async def test_status_shows_how_far_everybody_is(blank_database, pool, writer, relaying, consumer, of):
    await writer.paint(3)
    async with running(consumer()):
        await until(lambda: pool.fetchval("SELECT pos = 3 FROM streams_checkpoint WHERE shard = 0"))
        await until(lambda: pool.fetchval("SELECT bool_and(as_of IS NOT NULL) FROM streams_checkpoint"))
    await writer.paint(2)
    await until(lambda: pool.fetchval("SELECT last_pos = 5 FROM streams_shard WHERE shard = 0"))

    urls = ("--database-url", blank_database, "--consumer-url", blank_database)
    code, lines, _ = await streams("status", *of, *urls)

    assert code == 0
    assert len(lines) == 4
    assert (lines[0]["sealed_pos"], lines[0]["pending"]) == (5, 0)
    [found] = lines[0]["consumers"]
    assert (found["consumer"], found["state"], found["pos"], found["lag"]) == ("attendance.copy", "running", 3, 2)
    assert found["lag_s"] > 0 and found["as_of_age_s"] > 0 and found["parked"] == 0


@pytest.fixture
def verifying(blank_database, of):
    """What checks shard 0 against everybody."""
    return "verify-log", *of, "--database-url", blank_database, "--consumer-url", blank_database, "--shard", "0"


async def test_verify_log_knows_what_others_had(pool, writer, relaying, consumer, redis, verifying):
    await writer.paint(5)
    async with running(consumer()):
        await until(lambda: pool.fetchval("SELECT pos = 5 FROM streams_checkpoint WHERE shard = 0"))
    sound, [verdict], _ = await streams(*verifying)
    await pool.execute("UPDATE streams_checkpoint SET hash = sha256('x') WHERE shard = 0")
    forked, [bad], _ = await streams(*verifying)
    await redis.xadd("{academics:0}:ev", {"sequence": "9"}, id="9999999999999-9")
    _, [other], _ = await streams(*verifying)

    assert (sound, verdict["agreed"], verdict["first_bad"]) == (0, ["redis", "attendance.copy"], None)
    assert (forked, bad["first_bad"], bad["why"]) == (1, 5, "attendance.copy has another entry")
    assert other["agreed"] == []


async def test_trim_drops_what_is_old_and_keeps_what_is_not(writer, relay, of, redis):
    await writer.paint(3)
    await relay().turn()

    _, young, _ = await streams("trim", *of)
    _, old, _ = await streams("trim", *of, "--older-than-hours", "0")

    assert ([line["dropped"] for line in young], old[0]["dropped"]) == ([0, 0, 0, 0], 3)
    assert await redis.xlen("{academics:0}:ev") == 0


async def test_what_is_missing_is_said_in_one_line():
    code, _, complaint = await streams("tail", "--source", SOURCE)

    assert (code, complaint.strip()) == (2, "--redis-url is not given and STREAMS_REDIS_URL is not set")
