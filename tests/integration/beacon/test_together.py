"""What is pushed at the same time is taken in and handed over together, and everybody gets their own answer."""

import asyncio
import json
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from beacon_svc.commands.hand_over import is_waiting
from beacon_svc.commands.proofs import REMEMBERED_KEYS, SEQ_CONFLICT, Push, parse_key, take_in_proofs
from beacon_svc.http_api.proof_bodies import PushBody
from beacon_svc.store.proofs import PostgresProofBook
from beacon_svc.store.public_keys import PostgresBeaconKeys
from beacon_svc.wiring import open_store
from contracts.events.envelope import Cause
from contracts.problems import NotFoundError, UnavailableError
from infra.batches import robust
from infra.coalescer import Coalescer
from infra.demo.devices import new_key, public_pem
from infra.demo.doors import Doors
from infra.postgres import create_pool
from streams.outbox import Outbox
from tests.integration.beacon.conftest import SHARDS
from tests.waiting import until

SOMEBODY_WAITS = (
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
COUNT_INTAKES = "SELECT count(DISTINCT xmin::text) FROM streams_pending WHERE type = 'beacon.proof.received.v1'"
COUNT_SETTLEMENTS = "SELECT count(DISTINCT xmin::text) FROM proof WHERE state = 'accepted'"


@pytest.fixture
async def pool(database):
    async with create_pool(database.app_url, name="test") as pool:
        yield pool


@pytest.fixture
def work(service, pool):
    """Takes in a batch as beacon_svc does."""
    book = partial(PostgresProofBook, outbox=Outbox(SHARDS), box=service.box)
    taking_in = partial(take_in_proofs, keys=PostgresBeaconKeys(pool), open_book=partial(open_store, pool, book))
    return robust(taking_in, draw=lambda: 0.0)


async def beacon_that_saw(service, count, **kind):
    beacon = await service.a_beacon(room=uuid4(), **kind)
    await beacon.log_in(service.nobody)
    for _ in range(count):
        beacon.read(await service.blink(service.a_phone()))
    return beacon


def push(service, beacon, *proofs):
    """What the door makes of a push."""
    submissions = [proof.submission() for proof in PushBody.model_validate_json(json.dumps({"proofs": proofs})).proofs]
    cause = Cause(at=service.now(), actor_type="beacon", actor_id=beacon.id)
    return Push(submissions=submissions, pushed_by=beacon.id, cause=cause)


def pushes_of(service, beacon):
    return [push(service, beacon, proof) for proof in beacon.queue]


def states(receipts):
    return [[proof.outcome.reason for proof in receipt.stored.values()] for receipt in receipts]


async def test_sixty_four_single_pushes_at_once_make_few_transactions_and_few_calls(service):
    beacons = [await beacon_that_saw(service, 16) for _ in range(4)]
    doors = [Doors(service.nobody.session, service.nobody.base_url, beacon.token) for beacon in beacons]
    singles = [(door, proof) for door, beacon in zip(doors, beacons, strict=True) for proof in beacon.queue]

    answers = await asyncio.gather(*(door.post("/beacon/proofs", proof) for door, proof in reversed(singles)))

    assert {answer.status for answer in answers} <= {200, 202}
    await until(lambda: service.pool.fetchval("SELECT count(*) = 64 FROM proof WHERE state = 'accepted'"))
    assert len(service.attendance.heard) == 64
    assert await service.pool.fetchval(COUNT_INTAKES) <= 16
    assert await service.pool.fetchval(COUNT_SETTLEMENTS) <= 16
    assert service.attendance.calls <= 16


async def test_while_attendance_is_away_everything_that_came_at_once_is_held(service):
    beacons = [await beacon_that_saw(service, 1) for _ in range(6)]
    service.attendance.down = True

    answers = await asyncio.gather(*(beacon.push(service.nobody) for beacon in beacons))

    results = [answer.expect(202)["results"][0] for answer in answers]
    assert [(result["status"], result["reason"]) for result in results] == [("held", "attendance_down")] * 6
    assert await service.pool.fetchval("SELECT count(*) FROM proof WHERE try_at IS NOT NULL") == 6


async def test_proofs_of_one_beacon_are_judged_by_number_however_they_came(service, work):
    beacons = [await beacon_that_saw(service, 3) for _ in range(2)]
    batch = [one for beacon in beacons for one in pushes_of(service, beacon)][::-1]

    receipts = await work(batch)

    assert states(receipts) == [["handing_over"]] * 6
    assert [receipt.ack_seq for receipt in receipts] == [3] * 6
    assert all(proof.flags == () for receipt in receipts for proof in receipt.stored.values())


async def test_of_two_contents_of_one_number_in_a_batch_the_first_is_the_proof(service, work):
    beacon = await service.a_beacon(room=uuid4())
    prev = beacon.prev
    first = beacon.observe(1)
    beacon.seq, beacon.prev = 0, prev
    second = beacon.observe(2)

    one, same, other = await work([push(service, beacon, proof) for proof in (first, first, second)])

    assert [*one.stored.values()] == [*same.stored.values()]
    assert (other.stored, other.refused) == ({}, {1: SEQ_CONFLICT})
    assert (await service.event_types()).count("beacon.security.alert.v1") == 1


async def test_one_code_seen_by_two_beacons_of_a_batch_is_free_in_the_first_room_alone(service, work):
    here, elsewhere = [await service.a_beacon(room=uuid4()) for _ in range(2)]
    symbols = await service.blink(service.a_phone())
    for beacon in (here, elsewhere):
        await beacon.log_in(service.nobody)
        beacon.read(symbols)

    receipts = await work([*pushes_of(service, here), *pushes_of(service, elsewhere)])

    assert [proof.flags for receipt in receipts for proof in receipt.stored.values()] == [(), ("two_rooms",)]


async def test_who_pushes_again_what_waited_hears_that_the_gap_was_filled_in_the_same_batch(service, work):
    beacon = await beacon_that_saw(service, 3)
    first, second, third = pushes_of(service, beacon)
    await work([first])
    assert states(await work([third])) == [["chain_gap"]]

    receipts = await work([third, second])

    assert states(receipts) == [["handing_over"], ["handing_over", "handing_over"]]
    assert [receipt.ack_seq for receipt in receipts] == [3, 3]
    assert all(is_waiting(proof) for receipt in receipts for proof in receipt.stored.values())


async def test_a_push_that_is_refused_and_a_wrong_signature_disturb_nobody(service, work):
    good, bad = [await beacon_that_saw(service, 1) for _ in range(2)]
    forged = push(service, bad, bad.queue[0] | {"code": 1})
    stranger = Push(submissions=forged.submissions, pushed_by=uuid4(), cause=forged.cause)

    answers = await work([stranger, forged, *pushes_of(service, good)])

    assert isinstance(answers[0], NotFoundError)
    assert (answers[1].stored, answers[1].refused[1].reason) == ({}, "signature_invalid")
    assert states(answers[2:]) == [["handing_over"]]


async def test_what_the_database_cannot_keep_fails_alone(service, work):
    beacons = [await beacon_that_saw(service, 1) for _ in range(3)]
    bad = UUID(str(beacons[1].id))
    await service.pool.execute(f"ALTER TABLE proof ADD CHECK (beacon_id <> '{bad}')")

    answers = await work([one for beacon in beacons for one in pushes_of(service, beacon)])

    assert isinstance(answers[1], asyncpg.CheckViolationError)
    assert states([answers[0], answers[2]]) == [["handing_over"], ["handing_over"]]
    assert await service.pool.fetchval("SELECT count(*) FROM proof") == 2


async def test_a_beacon_whose_secret_is_damaged_fails_alone(service, work):
    whole, damaged = [await beacon_that_saw(service, 1, totp_required=True) for _ in range(2)]
    await service.pool.execute("UPDATE beacon SET totp_key_sealed = '\\x00' WHERE id = $1", damaged.id)

    answers = await work([*pushes_of(service, damaged), *pushes_of(service, whole)])

    assert isinstance(answers[0], ValueError)
    assert states(answers[1:]) == [["handing_over"]]


async def test_callers_that_give_up_disturb_nobody_and_what_was_begun_is_kept(service, work):
    begun, waiting, patient = [await beacon_that_saw(service, 1) for _ in range(3)]
    coalescer = Coalescer(work)
    async with service.pool.acquire() as other, other.transaction():
        await other.fetch("SELECT FROM beacon_key WHERE beacon_id = $1 FOR UPDATE", begun.id)
        submitted = []
        for beacon in (begun, waiting, patient):
            submitted.append(asyncio.create_task(coalescer.submit(pushes_of(service, beacon)[0])))
            await until(lambda: service.pool.fetchval(SOMEBODY_WAITS))
        submitted[0].cancel()
        submitted[1].cancel()

    receipt = await submitted[2]
    await coalescer.drain()

    assert states([receipt]) == [["handing_over"]]
    kept = await service.pool.fetch("SELECT beacon_id FROM proof")
    assert {row["beacon_id"] for row in kept} == {begun.id, patient.id}


async def test_keys_are_remembered_up_to_a_bound(service, database):
    beacons = [await service.a_beacon() for _ in range(3)]
    async with create_pool(database.app_url, name="test") as pool:
        keys = PostgresBeaconKeys(pool, most_count=2)
        for beacon in beacons:
            assert (await keys.find_all({beacon.id: [beacon.kid]}))[beacon.id].keys.keys() == {beacon.kid}

    assert (await keys.find_all({beacons[2].id: [beacons[2].kid]})).keys() == {beacons[2].id}
    with pytest.raises(UnavailableError):
        await keys.find_all({beacons[0].id: [beacons[0].kid]})
    assert parse_key.cache_info().maxsize == REMEMBERED_KEYS


async def test_a_key_that_came_later_is_found_and_a_stranger_is_not(service, pool):
    beacon, new = await service.a_beacon(), new_key()
    keys = PostgresBeaconKeys(pool)
    await keys.find_all({beacon.id: [beacon.kid]})
    answer = await service.dev.post(f"/dev/beacons/{beacon.id}/keys", {"public_key": public_pem(new), "revoke": []})
    [kid] = {key["kid"] for key in answer.expect(201)["keys"]} - {beacon.kid}

    found = await keys.find_all({beacon.id: [kid], uuid4(): []})

    assert found.keys() == {beacon.id}
    assert found[beacon.id].keys.keys() == {beacon.kid, kid}
