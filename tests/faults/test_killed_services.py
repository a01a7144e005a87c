"""Each service is killed with SIGKILL while 200 attempts run: what was acknowledged is there, once, with one event."""

import asyncio
from collections import Counter
from signal import SIGKILL

import asyncpg
import pytest

from infra.demo.analytics import read
from infra.demo.school import Stage, build_cast
from infra.demo.world import World, ask_symbols
from infra.local.services import Services
from infra.local.stack import Stack
from infra.settings import environment
from tests.waiting import until

STUDENTS, COURSES = 26, 8  # the last student is in no group of these courses
ATTEMPTS = (STUDENTS - 1) * COURSES
VICTIMS = ("attendance", "beacon", "academics", "identity")
STANDING = """
SELECT course_id, subject_id, count(*) FROM signature
WHERE kind = 'student' AND status = 'ACCEPTED' AND superseded_by IS NULL AND voided_at IS NULL GROUP BY 1, 2
"""
UNLIMITED = {"BEACON_FLASH_CODES_PER_MINUTE_COUNT": "1000"}


# With the flows, in one worker: two whole systems at once on two cores would test the machine.
@pytest.mark.xdist_group("flows")
@pytest.mark.slow
async def test_no_acknowledged_signature_is_lost_or_doubled_whoever_is_killed(tmp_path):
    async with (
        Stack(folder=tmp_path, given=environment() | UNLIMITED) as stack,
        Services(stack=stack) as services,
        Stage.opened(services) as stage,
    ):
        world = World(stage, await build_cast(stage, students=STUDENTS))
        queue = await the_class_blinks(world)
        acknowledged = {}

        await asyncio.gather(push_all(world, queue, acknowledged), kill_in_turn(services, acknowledged))

        assert len(acknowledged) == ATTEMPTS
        await until(lambda: every_attempt_stands_once(stack), timeout_s=30)
        events = await until(lambda: one_event_each(world), timeout_s=30)
        handed_in = {result["signature_id"] for result in acknowledged.values() if result.get("signature_id")}
        assert handed_in <= events


async def the_class_blinks(world):
    """Have the main room's beacon read everybody's code for every course; nothing is pushed yet."""
    names = [f"course {number}" for number in range(COURSES)]
    for name in names:
        world.courses[name] = await world.day.plan(name)
    beacon = world.day.beacons["main"]
    (await beacon.log_in(world.stage.doors)).expect(200)
    students = world.day.students[:-1]
    for name in names:
        for symbols in await asyncio.gather(*(ask_symbols(world, student, name) for student in students)):
            beacon.read(symbols)
    assert len(beacon.queue) == ATTEMPTS
    return beacon


async def push_all(world, beacon, acknowledged):
    """Push one proof at a time until the beacon's queue is empty, as a beacon does: again, when nobody answers."""
    while beacon.queue:
        proof = beacon.queue[0]
        heard = await beacon_pushes(world, beacon, proof)
        if heard is not None and heard.status in (200, 202):
            acknowledged[proof["seq"]] = heard.body["results"][0]
            beacon.queue.pop(0)


async def beacon_pushes(world, beacon, proof):
    try:
        return await world.stage.doors.as_(beacon.token).post("/beacon/proofs", proof)
    except (OSError, TimeoutError):
        return None


async def kill_in_turn(services, acknowledged):
    """Kill the next service whenever another fifth of the attempts is through, and start it again at once."""
    for number, victim in enumerate(VICTIMS, start=1):
        due = ATTEMPTS * number // (len(VICTIMS) + 1)
        await until(lambda due=due: len(acknowledged) >= due, timeout_s=60)
        services.kill(victim, SIGKILL)
        services.start(victim)
        await services.wait_until_ready(victim)


async def every_attempt_stands_once(stack):
    connection = await asyncpg.connect(stack.variables("attendance")["ATTENDANCE_DATABASE_URL"])
    try:
        counts = [row["count"] for row in await connection.fetch(STANDING)]
    finally:
        await connection.close()
    return counts == [1] * ATTEMPTS


async def one_event_each(world):
    """Return the signatures that were announced as accepted, once all are; more than one event each is a failure."""
    accepted = [
        e["subject"].partition("/")[2] for e in await read(world) if e["type"].endswith("signature.accepted.v1")
    ]
    assert max(Counter(accepted).values(), default=0) <= 1
    return set(accepted) if len(accepted) == ATTEMPTS else None
