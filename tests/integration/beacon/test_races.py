"""What happens at once, and what goes wrong in the middle."""

import asyncio
from uuid import uuid4

from beacon_svc.store import proofs as store
from infra.demo.doors import Doors
from tests.waiting import until

SOMEBODY_WAITS = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def doors_of(service, beacon):
    (await beacon.log_in(service.nobody)).expect(200)
    return Doors(service.nobody.session, service.nobody.base_url, beacon.token)


async def test_of_equal_pushes_at_once_one_is_judged_and_all_hear_the_same(service):
    beacon = await service.a_beacon(room=uuid4())
    for _ in range(5):
        beacon.read(await service.blink(service.a_phone()))
    doors = await doors_of(service, beacon)

    answers = await asyncio.gather(*(doors.post("/beacon/proofs", {"proofs": beacon.queue}) for _ in range(6)))

    results = [answer.expect(200)["results"] for answer in answers]
    assert all(result == results[0] for result in results)
    assert len(service.attendance.heard) == 5
    assert (await service.event_types()).count("beacon.proof.received.v1") == 5


async def test_two_contents_of_one_number_at_once_leave_one(service):
    beacon = await service.a_beacon(room=uuid4())
    prev = beacon.prev
    first = beacon.read(await service.blink(service.a_phone()))
    beacon.seq, beacon.prev = 0, prev
    second = beacon.read(await service.blink(service.a_phone()))
    doors = await doors_of(service, beacon)

    answers = await asyncio.gather(*(doors.post("/beacon/proofs", proof) for proof in (first, second)))

    assert sorted(answer.word for answer in answers) == ["200", "seq_conflict"]
    assert len(service.attendance.heard) == 1


async def test_one_code_in_two_rooms_at_once_is_free_in_one_of_them(service):
    beacons = [await service.a_beacon(room=uuid4()) for _ in range(4)]
    symbols = await service.blink(service.a_phone())
    for beacon in beacons:
        beacon.read(symbols)
        await beacon.log_in(service.nobody)

    await asyncio.gather(*(beacon.push(service.nobody) for beacon in beacons))

    flags = sorted(list(request.beacon_proof.flags) for request in service.attendance.heard.values())
    assert flags == [[], ["two_rooms"], ["two_rooms"], ["two_rooms"]]


async def test_beacons_of_one_room_that_saw_the_same_phones_do_not_wait_in_a_circle(service):
    room = uuid4()
    beacons = [await service.a_beacon(room=room) for _ in range(2)]
    symbols = [await service.blink(service.a_phone()) for _ in range(8)]
    for beacon, order in zip(beacons, (symbols, symbols[::-1]), strict=True):
        for blinked in order:
            beacon.read(blinked)
        await beacon.log_in(service.nobody)

    answers = await asyncio.gather(*(beacon.push(service.nobody) for beacon in beacons))

    assert [answer.status for answer in answers] == [200, 200]
    assert len(service.attendance.heard) == 16


async def test_when_the_proof_cannot_be_kept_nothing_is_and_nothing_is_handed_over(service, monkeypatch):
    beacon = await service.a_beacon(room=uuid4())
    beacon.read(await service.blink(service.a_phone()))
    before = await service.event_types()
    monkeypatch.setattr(store, "KEEP", f"{store.KEEP} RETURNING 1 / (shard - shard)")

    heard = await beacon.push(service.nobody)

    assert heard.status >= 500
    assert (await service.event_types(), service.attendance.heard) == (before, {})
    assert await service.pool.fetchval("SELECT count(*) FROM proof") == 0
    assert await service.pool.fetchval("SELECT count(*) FROM flash_code WHERE redeemed_by IS NOT NULL") == 0
    monkeypatch.undo()
    assert (await service.push(beacon))["status"] == "accepted"


async def test_a_code_that_is_being_used_elsewhere_is_waited_for(service):
    beacon = await service.a_beacon(room=uuid4())
    beacon.read(await service.blink(service.a_phone()))
    await beacon.log_in(service.nobody)

    async with service.pool.acquire() as other:
        async with other.transaction():
            await other.execute("UPDATE flash_code SET redeemed_by = $1, redeemed_room = $1", uuid4())
            push = asyncio.create_task(service.push(beacon))
            await until(lambda: service.pool.fetchval(SOMEBODY_WAITS))
        result = await push

    assert list(service.attendance.heard[result["proof_id"]].beacon_proof.flags) == ["two_rooms"]


async def test_pushes_of_one_key_wait_for_each_other(service):
    beacon = await service.a_beacon(room=uuid4())
    beacon.read(await service.blink(service.a_phone()))
    await beacon.log_in(service.nobody)

    async with service.pool.acquire() as other:
        async with other.transaction():
            await other.fetch("SELECT FROM beacon_key FOR UPDATE")
            push = asyncio.create_task(service.push(beacon))
            await until(lambda: service.pool.fetchval(SOMEBODY_WAITS))
            assert await service.pool.fetchval("SELECT count(*) FROM proof") == 0
        assert (await push)["status"] == "accepted"
