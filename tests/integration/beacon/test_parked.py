"""What an operator does with events of academics that beacon_svc put aside."""

import asyncio
import json
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from beacon_svc.__main__ import app
from contracts.events.academics import SchoolCreated
from contracts.events.envelope import Aggregate, Cause, wrap
from contracts.ids import new_id
from streams.codec import body_of
from tests.integration.beacon.conftest import START

PARK = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, type, body, reason)
VALUES ('beacon.copy', 'academics', 1, $1, 1, $2, $3, $4, 'ZeroDivisionError: ')
"""
STATE = "SELECT state FROM streams_checkpoint WHERE shard = 1"


@pytest.fixture
def parked(settings):
    """Run `python -m beacon_svc parked …`; return its exit code, what it prints and what it complains of."""
    known = settings.model_dump() | {
        name: getattr(settings, name).get_secret_value() for name in ("database_url", "redis_url")
    }
    del known["parts"]
    variables = {f"BEACON_{name.upper()}": str(value) for name, value in known.items() if value is not None}

    async def run(*arguments):
        done = await asyncio.to_thread(CliRunner().invoke, app, ["parked", *map(str, arguments)], env=variables)
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
async def copy(database):
    connection = await asyncpg.connect(database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
def put_aside(copy):
    """Put an event about a school aside; return the school's id. changes: to the bytes of the event."""

    async def put(pos, school_id=None, **changes):
        school_id = school_id or uuid4()
        event = wrap(
            SchoolCreated(school_id=school_id, retired=False),
            id=new_id(),
            of=Aggregate(type="school", id=school_id, version=1, school_id=school_id),
            cause=Cause(at=START, actor_type="admin"),
        )
        body = json.dumps(json.loads(body_of(event)) | changes).encode()
        await copy.execute(PARK, pos, school_id, event.type, body)
        return school_id

    return put


async def test_what_is_put_aside_is_listed_shown_and_applied_after_all(parked, put_aside, copy):
    school_id = await put_aside(7)

    _, listed, _ = await parked("list")
    _, shown, _ = await parked("show", "--shard", 1, "--pos", 7)
    code, said, _ = await parked("retry", school_id)

    assert (json.loads(listed)["pos"], json.loads(listed)["agg_id"]) == (7, str(school_id))
    assert json.loads(json.loads(shown)["body"])["data"]["school_id"] == str(school_id)
    assert (code, said) == (0, "1 applied\n")
    assert await copy.fetchval("SELECT NOT retired FROM academics_copy WHERE id = $1", school_id)
    assert await parked("list") == (0, "", "")


async def test_what_is_given_up_is_gone_and_the_copy_is_made_anew(parked, put_aside, copy):
    await put_aside(7)

    code, _, _ = await parked("drop", "--shard", 1, "--pos", 7, "--why", "a school of the tests")

    assert code == 0
    assert await copy.fetchval("SELECT dropped_why FROM streams_parked") == "a school of the tests"
    assert await copy.fetchval(STATE) == "repair"
    assert await parked("list") == (0, "", "")


async def test_halted_shards_go_on(parked, copy):
    await copy.execute("UPDATE streams_checkpoint SET state = 'halted' WHERE shard = 1")

    code, said, _ = await parked("resume")

    assert (code, json.loads(said)) == (0, {"resumed": [1]})
    assert await copy.fetchval(STATE) == "running"


@pytest.mark.parametrize(
    "changes", [{"data": {"retired": "perhaps"}}, {"subject": "school"}], ids=["not what it must say", "no event"]
)
async def test_what_still_cannot_be_applied_stays_put_aside_and_says_why_in_a_line(parked, put_aside, copy, changes):
    school_id = await put_aside(7)
    await put_aside(8, school_id, **changes)

    code, said, complaint = await parked("retry", school_id)

    assert (code, said, len(complaint.splitlines())) == (2, "", 1)
    assert complaint.startswith("nothing was applied: ")
    assert await copy.fetchval("SELECT count(*) FROM streams_parked") == 2
    assert await copy.fetchval("SELECT count(*) FROM academics_copy") == 0


async def test_what_is_not_put_aside_is_one_clear_line(parked):
    code, _, complaint = await parked("show", "--shard", 1, "--pos", 9)

    assert (code, complaint) == (2, "nothing is parked there\n")
