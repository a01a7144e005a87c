"""What beacon_svc does by itself: hand over what waited, give gaps up, forget."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from beacon_svc.jobs import Sweep
from beacon_svc.store import proofs as store
from tests.waiting import until


@asynccontextmanager
async def at_work(service):
    stop = asyncio.Event()
    tasks = [asyncio.create_task(loop(stop)) for loop in service.loops["jobs"]]
    yield
    stop.set()
    await asyncio.gather(*tasks)


async def test_held_proofs_are_handed_over_when_attendance_is_back_with_the_time_they_came(service):
    beacon = await service.a_beacon(room=uuid4())
    service.attendance.down = True
    for _ in range(3):
        beacon.read(await service.blink(service.a_phone()))
    service.now.forward(minutes=2)
    received_at = service.now()
    (await beacon.push(service.nobody)).expect(202)
    service.now.forward(minutes=30)

    async with at_work(service):
        # The pauses are on the clock that the test moves.
        await until(lambda: service.now.forward(seconds=1) or service.attendance.calls > 2)
        assert service.attendance.heard == {}
        service.attendance.down = False
        await until(lambda: service.now.forward(seconds=1) or len(service.attendance.heard) == 3)
        done = "SELECT count(*) = 3 FROM proof WHERE state = 'accepted' AND signature_status = 'ACCEPTED'"
        await until(lambda: service.pool.fetchval(done))

    sent = service.attendance.heard.values()
    assert {request.received_at.ToMilliseconds() for request in sent} == {int(received_at.timestamp() * 1000)}


async def test_a_hand_over_that_was_cut_off_is_taken_up_again(service):
    beacon = await service.a_beacon(room=uuid4())
    service.attendance.down = True
    await service.sign(beacon)
    await until(lambda: service.pool.fetchval("SELECT reason = 'attendance_down' FROM proof"))
    statement = "UPDATE proof SET reason = 'handing_over', try_at = $1"
    await service.pool.execute(statement, service.now() + timedelta(seconds=10))
    service.attendance.down = False
    service.now.forward(seconds=10)

    async with at_work(service):
        await until(lambda: service.pool.fetchval("SELECT count(*) = 1 FROM proof WHERE state = 'accepted'"))


async def test_what_attendance_said_is_asked_for_again_when_it_could_not_be_kept(service, monkeypatch, capsys):
    beacon = await service.a_beacon(room=uuid4())
    monkeypatch.setattr(store, "SETTLE", "SELECT 1 / 0")
    assert (await service.sign(beacon))["signature_status"] == "ACCEPTED"
    await until(lambda: "what attendance said is not kept" in capsys.readouterr().out)
    assert await service.pool.fetchval("SELECT reason FROM proof") == "handing_over"
    monkeypatch.undo()
    service.now.forward(seconds=10)

    async with at_work(service):
        await until(lambda: service.pool.fetchval("SELECT count(*) = 1 FROM proof WHERE state = 'accepted'"))

    assert len(service.attendance.heard) == 1


async def test_a_gap_is_given_up_after_a_day_and_the_proof_flagged(service):
    beacon = await service.a_beacon(room=uuid4())
    beacon.observe(1)
    waiting = beacon.read(await service.blink(service.a_phone()))
    beacon.queue = [waiting]
    heard = await beacon.push(service.nobody)
    assert (heard.expect(202)["results"][0]["reason"], heard.body["ack_seq"]) == ("chain_gap", 0)
    service.now.forward(hours=24)

    async with at_work(service):
        await until(lambda: service.pool.fetchval("SELECT count(*) = 1 FROM proof WHERE state = 'accepted'"))

    [request] = service.attendance.heard.values()
    assert list(request.beacon_proof.flags) == ["chain_gap"]
    beacon.token = None
    heard = await beacon.push(service.nobody)
    assert (heard.expect(200)["ack_seq"], beacon.queue) == (2, [])
    versions = await service.pool.fetch("SELECT aggver FROM streams_pending WHERE agg_type = 'proof' ORDER BY id")
    assert [row["aggver"] for row in versions] == [1, 2]


@pytest.mark.parametrize(("age", "left"), [(timedelta(days=8), 1), (timedelta(days=8, milliseconds=1), 0)])
async def test_codes_and_all_but_the_newest_anchor_are_forgotten_after_eight_days(service, age, left):
    beacon = await service.a_beacon(room=uuid4())
    for _ in range(2):
        await beacon.log_in(service.nobody)
        service.now.forward(milliseconds=1)
    service.now.forward(milliseconds=-1)
    await service.blink(service.a_phone())
    service.now.forward(milliseconds=age.total_seconds() * 1000)

    await Sweep(pool=service.pool, every=timedelta(minutes=1), now=service.now).turn()

    counts = [await service.pool.fetchval(f"SELECT count(*) FROM {table}") for table in ("flash_code", "beacon_anchor")]
    assert counts == [left, 1]
    assert await service.pool.fetchval("SELECT count(*) FROM seen_nonce") == 0
