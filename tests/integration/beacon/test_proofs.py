"""What beacons push: checked, kept, handed over, answered."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from infra.canon import P256_ORDER, from_base64url, is_signed, to_base64url
from infra.demo.devices import new_key, public_pem
from infra.demo.doors import Doors
from tests.waiting import until


def said(result):
    return result["status"], result["reason"]


async def test_a_code_that_a_beacon_saw_becomes_a_signature(service):
    room, course_id, phone = uuid4(), uuid4(), service.a_phone()
    beacon = await service.a_beacon(room=room)
    beacon.read(await service.blink(phone, course_id=course_id))

    heard = await beacon.push(service.nobody)

    [result] = heard.expect(200)["results"]
    assert heard.body["ack_seq"] == 1
    assert (result["status"], result["reason"], result["signature_status"]) == ("accepted", "on_time", "ACCEPTED")
    [(key, request)] = service.attendance.heard.items()
    assert key == result["proof_id"]
    proof = request.beacon_proof
    assert (request.course_id, request.student_id) == (str(course_id), str(phone.student_id))
    assert request.acting_school_id == str(service.school_id)
    assert (proof.beacon_id, proof.classroom_id, proof.proof_type) == (str(beacon.id), str(room), "buzzLightyear")
    assert proof.proof_time.ToMilliseconds() == int(service.now().timestamp() * 1000)
    assert (proof.uncertainty_ms, list(proof.flags)) == (1000, [])
    message, _, signature = proof.proof_payload.rpartition(b"\n")
    assert is_signed(message, signature.decode(), beacon.key.public_key())
    assert (await service.event_types())[-1] == "beacon.proof.received.v1"


async def test_a_repeat_gets_the_stored_result_and_asks_nothing(service):
    beacon = await service.a_beacon(room=uuid4())
    proof = beacon.read(await service.blink(service.a_phone()))
    first = await service.push(beacon)
    await service.settled()
    service.now.forward(minutes=5)
    beacon.queue = [proof]

    again = await service.push(beacon)

    assert again == first
    assert service.attendance.calls == 1
    assert (await service.event_types()).count("beacon.proof.received.v1") == 1


async def test_the_same_number_with_another_content_is_a_clone(service):
    beacon = await service.a_beacon(room=uuid4())
    prev = beacon.prev
    await service.sign(beacon)
    beacon.seq, beacon.prev = 0, prev
    beacon.observe(5)

    heard = await beacon.push(service.nobody)

    assert (heard.status, heard.word) == (409, "seq_conflict")
    alert = json.loads((await service.events())[-1][2])
    assert (alert["type"], alert["data"]["kind"]) == ("beacon.security.alert.v1", "seq_conflict")


async def test_nothing_that_was_signed_can_be_changed(service):
    beacon = await service.a_beacon(room=uuid4())
    proof = beacon.read(await service.blink(service.a_phone()))
    await beacon.log_in(service.nobody)
    doors = Doors(service.nobody.session, service.nobody.base_url, beacon.token)
    changes = {"boot": 2, "seq": 9, "code": 1, "observed_at": 1, "uptime_ms": 1, "sync_age_ms": None, "prev": "A" * 43}

    for field, value in changes.items():
        result = (await doors.post("/beacon/proofs", proof | {field: value})).expect(200)["results"][0]
        assert said(result) == ("rejected", "signature_invalid")

    unknown = (await doors.post("/beacon/proofs", proof | {"kid": "0" * 16})).expect(200)["results"][0]
    assert said(unknown) == ("rejected", "key_unknown")
    assert await service.pool.fetchval("SELECT count(*) FROM proof") == 0
    assert said(await service.push(beacon)) == ("accepted", "on_time")


async def test_the_high_twin_of_a_signature_counts_as_the_same_proof(service):
    beacon = await service.a_beacon(room=uuid4())
    proof = beacon.read(await service.blink(service.a_phone()))
    first = await service.push(beacon)
    await service.settled()
    raw = from_base64url(proof["sig"])
    twin = to_base64url(raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big"))
    beacon.queue = [proof | {"sig": twin}]

    assert await service.push(beacon) == first

    assert service.attendance.calls == 1


async def test_a_batch_is_answered_item_by_item_in_its_order(service):
    beacon = await service.a_beacon(room=uuid4())
    for _ in range(3):
        beacon.read(await service.blink(service.a_phone()))
    beacon.observe(77)
    beacon.queue.reverse()

    heard = await beacon.push(service.nobody)

    results = heard.expect(200)["results"]
    assert [result["seq"] for result in results] == [4, 3, 2, 1]
    assert [said(result) for result in results] == [("rejected", "code_unknown")] + [("accepted", "on_time")] * 3
    assert (heard.body["ack_seq"], beacon.queue) == (4, [])
    assert service.attendance.calls == 1


async def test_a_hundred_proofs_fit_into_one_push(service):
    beacon = await service.a_beacon(room=uuid4())
    service.now.forward(days=7)
    beacon.seq = 10**9
    for number in range(101):
        beacon.observe(2**28 - 1 - number)

    first = await beacon.push(service.nobody)
    second = await beacon.push(service.nobody)

    assert (first.status, len(first.body["results"]), len(second.body["results"])) == (202, 100, 100)
    assert first.body["results"][0]["reason"] == "chain_gap"
    assert {result["reason"] for result in first.body["results"][1:]} == {"code_unknown"}
    assert second.body["results"] == first.body["results"]


async def test_while_attendance_is_away_proofs_are_held_and_handed_over_later(service):
    beacon = await service.a_beacon(room=uuid4())
    service.attendance.down = True
    proof = beacon.read(await service.blink(service.a_phone()))
    received_at = service.now()

    heard = await beacon.push(service.nobody)

    [result] = heard.expect(202)["results"]
    assert (said(result), heard.body["ack_seq"]) == (("held", "attendance_down"), 1)
    service.attendance.down = False
    service.now.forward(hours=1)
    beacon.queue, beacon.token = [proof], None
    assert said(await service.push(beacon)) == ("accepted", "on_time")
    [request] = service.attendance.heard.values()
    assert request.received_at.ToMilliseconds() == int(received_at.timestamp() * 1000)


async def test_a_proof_that_attendance_can_never_take_is_set_aside_alone(service):
    beacon = await service.a_beacon(room=uuid4())
    odd, even = service.a_phone(), service.a_phone()
    service.attendance.unwanted.add(str(odd.student_id))
    beacon.read(await service.blink(odd))
    beacon.read(await service.blink(even))

    results = (await beacon.push(service.nobody)).expect(202)["results"]

    assert [said(result) for result in results] == [("held", "set_aside"), ("accepted", "on_time")]
    await until(lambda: service.pool.fetchval("SELECT count(*) = 0 FROM proof WHERE try_at IS NOT NULL"))


async def test_what_follows_a_missing_proof_waits_for_it(service):
    beacon = await service.a_beacon(room=uuid4())
    phones = [service.a_phone() for _ in range(3)]
    first, second, third = [beacon.read(await service.blink(phone)) for phone in phones]
    beacon.queue = [first, third]

    heard = await beacon.push(service.nobody)

    assert [said(result) for result in heard.expect(202)["results"]] == [
        ("accepted", "on_time"),
        ("held", "chain_gap"),
    ]
    assert heard.body["ack_seq"] == 1
    beacon.queue = [second]
    heard = await beacon.push(service.nobody)
    assert (said(heard.expect(200)["results"][0]), heard.body["ack_seq"]) == (("accepted", "on_time"), 3)
    beacon.queue = [third]
    assert said(await service.push(beacon)) == ("accepted", "on_time")
    assert all(not request.beacon_proof.flags for request in service.attendance.heard.values())
    assert len(service.attendance.heard) == 3


async def test_each_of_two_gaps_is_filled_by_itself(service):
    beacon = await service.a_beacon(room=uuid4())
    proofs = [beacon.read(await service.blink(service.a_phone())) for _ in range(5)]
    outcomes = []
    for queue in ([proofs[n] for n in (0, 2, 4)], [proofs[1]], [proofs[3]]):
        beacon.queue = queue
        heard = await beacon.push(service.nobody)
        outcomes.append(([result["status"] for result in heard.body["results"]], heard.body["ack_seq"]))

    assert outcomes == [(["accepted", "held", "held"], 1), (["accepted"], 3), (["accepted"], 5)]
    assert len(service.attendance.heard) == 5


async def test_a_broken_chain_is_flagged_and_makes_a_human_look(service):
    beacon = await service.a_beacon(room=uuid4())
    await service.sign(beacon)
    beacon.prev = "A" * 43

    result = await service.sign(beacon)

    assert said(result) == ("accepted", "on_time")
    assert list(service.attendance.heard[result["proof_id"]].beacon_proof.flags) == ["chain_break"]
    assert "beacon.security.alert.v1" in await service.event_types()


async def test_one_code_in_two_rooms_is_flagged_in_the_second_and_free_in_the_first(service):
    room = uuid4()
    here, beside, elsewhere = [await service.a_beacon(room=place) for place in (room, room, uuid4())]
    symbols = await service.blink(service.a_phone())
    flags = []
    for beacon in (here, beside, elsewhere):
        beacon.read(symbols)
        result = await service.push(beacon)
        flags.append(list(service.attendance.heard[result["proof_id"]].beacon_proof.flags))

    assert flags == [[], [], ["two_rooms"]]


@pytest.mark.parametrize(("late_ms", "expected"), [(23_000, "accepted"), (23_001, "rejected")])
async def test_a_code_counts_for_its_life_and_what_reading_it_takes(service, late_ms, expected):
    beacon = await service.a_beacon(room=uuid4())
    await beacon.log_in(service.nobody)
    symbols = await service.blink(service.a_phone())
    service.now.forward(milliseconds=late_ms)
    # So that the uncertainty is one second again.
    await beacon.log_in(service.nobody)
    beacon.read(symbols)

    assert (await service.push(beacon))["status"] == expected


async def test_a_new_code_ends_the_life_of_the_one_before(service):
    beacon, phone = await service.a_beacon(room=uuid4()), service.a_phone()
    await beacon.log_in(service.nobody)
    old = await service.blink(phone)
    beacon.read(old)
    service.now.forward(seconds=1)
    await service.blink(phone)
    service.now.forward(seconds=4)
    beacon.read(old)

    results = (await beacon.push(service.nobody)).expect(200)["results"]

    assert [said(result) for result in results] == [("accepted", "on_time"), ("rejected", "code_unknown")]


async def test_a_queue_of_hours_is_judged_by_when_it_was_seen(service):
    first_room, second_room = uuid4(), uuid4()
    beacon = await service.a_beacon(room=first_room)
    await beacon.log_in(service.nobody)
    beacon.offset = timedelta(seconds=40)
    seen_at = service.now()
    beacon.read(await service.blink(service.a_phone()))
    service.now.forward(hours=5)
    body = {"classroom_id": str(second_room)}
    await service.knows("classroom", second_room)
    (await service.dev.put(f"/dev/beacons/{beacon.id}/classroom", body)).expect(200)
    beacon.token = None

    result = await service.push(beacon)

    assert said(result) == ("accepted", "on_time")
    proof = service.attendance.heard[result["proof_id"]].beacon_proof
    assert proof.classroom_id == str(first_room)
    assert proof.proof_time.ToMilliseconds() == int(seen_at.timestamp() * 1000)


async def test_a_beacon_that_never_knew_the_time_is_flagged_and_the_code_tells_the_time(service):
    beacon = await service.a_beacon(room=uuid4())
    beacon.restart(synced=False)
    beacon.offset = timedelta(days=-9000)
    issued_at = service.now()
    beacon.read(await service.blink(service.a_phone()))
    beacon.restart()
    beacon.offset = timedelta(0)

    result = await service.push(beacon)

    proof = service.attendance.heard[result["proof_id"]].beacon_proof
    assert list(proof.flags) == ["clock_unknown"]
    assert proof.proof_time.ToMilliseconds() == int(issued_at.timestamp() * 1000)
    assert proof.uncertainty_ms == 7 * 24 * 3600 * 1000


async def test_a_proof_from_the_future_is_rejected_and_makes_a_human_look(service):
    beacon = await service.a_beacon(room=uuid4())
    await beacon.log_in(service.nobody)
    beacon.booted_at -= timedelta(seconds=60)

    result = await service.sign(beacon)

    assert said(result) == ("rejected", "future_proof")
    assert set((await service.event_types())[-2:]) == {"beacon.proof.rejected.v1", "beacon.security.alert.v1"}


async def test_a_key_that_was_revoked_later_flags_and_one_revoked_before_rejects(service):
    beacon = await service.a_beacon(room=uuid4())
    await beacon.log_in(service.nobody)
    before = beacon.read(await service.blink(service.a_phone()))
    service.now.forward(minutes=1)
    new = new_key()
    body = {"public_key": public_pem(new), "revoke": [beacon.kid]}
    (await service.dev.post(f"/dev/beacons/{beacon.id}/keys", body)).expect(201)
    after = beacon.read(await service.blink(service.a_phone()))
    beacon.queue = [before, after]

    results = (await beacon.push(service.nobody)).expect(200)["results"]

    assert [said(result) for result in results] == [("accepted", "on_time"), ("rejected", "key_revoked")]
    assert list(service.attendance.heard[results[0]["proof_id"]].beacon_proof.flags) == ["key_revoked_later"]


async def test_a_beacon_in_no_room_shows_nobodys_presence(service):
    assert said(await service.sign(await service.a_beacon())) == ("rejected", "beacon_not_assigned")


async def test_a_code_of_another_school_is_unknown(service):
    beacon = await service.a_beacon(room=uuid4())

    result = await service.sign(beacon, school_id=uuid4())

    assert said(result) == ("rejected", "code_unknown")


async def test_a_beacon_that_must_show_codes_is_believed_only_with_them(service):
    beacon = await service.a_beacon(room=uuid4(), totp_required=True)
    secret = beacon.totp_key

    with_code = await service.sign(beacon)
    beacon.totp_key = bytes(32)
    wrong = await service.sign(beacon)
    beacon.totp_key = b""
    without = await service.sign(beacon)
    beacon.totp_key = secret

    assert [said(result) for result in (with_code, wrong, without)] == [
        ("accepted", "on_time"),
        ("rejected", "totp_invalid"),
        ("rejected", "totp_invalid"),
    ]


async def test_a_gateway_carries_batches_of_its_school_and_nobody_pushes_for_another(service):
    beacon, gateway = await service.a_beacon(room=uuid4()), await service.a_beacon()
    other_school = uuid4()
    await service.knows("school", other_school, other_school)
    stranger = await service.a_beacon(school_id=str(other_school))
    proof = beacon.read(await service.blink(service.a_phone()))
    for device in (gateway, stranger):
        await device.log_in(service.nobody)
    at_gateway = Doors(service.nobody.session, service.nobody.base_url, gateway.token)
    at_stranger = Doors(service.nobody.session, service.nobody.base_url, stranger.token)

    single = await at_gateway.post("/beacon/proofs", proof)
    foreign = await at_stranger.post("/beacon/proofs", {"proofs": [proof]})
    batch = await at_gateway.post("/beacon/buzzLightyear", {"proofs": [proof]})
    mixed = await at_gateway.post("/beacon/proofs", {"proofs": [proof, gateway.observe(1)]})

    assert [heard.word for heard in (single, foreign, batch, mixed)] == ["forbidden", "not_found", "200", "mixed_batch"]


async def test_only_beacons_push(service):
    beacon = await service.a_beacon(room=uuid4())
    proof = beacon.observe(1)

    answers = [await doors.post("/beacon/proofs", proof) for doors in (service.nobody, service.dev, service.admin())]

    assert [answer.status for answer in answers] == [401, 401, 401]


async def test_malformed_pushes_are_refused(service):
    beacon = await service.a_beacon(room=uuid4())
    proof = beacon.observe(1)
    await beacon.log_in(service.nobody)
    doors = Doors(service.nobody.session, service.nobody.base_url, beacon.token)
    changes = {
        "v": 2,
        "seq": 0,
        "code": 2**28,
        "boot": -1,
        "prev": "A" * 42 + "B",
        "sig": 1,
        "totp": "1234567x",
        "extra": 1,
        "observed_at": 2**60,
        "quality": {"snr": 1.5},
    }
    bodies = [{"proofs": []}, {"proofs": [proof] * 101}, {"proofs": [proof], "is_batch": False}, [proof], {}]
    bodies += [proof | {name: value} for name, value in changes.items()]

    answers = [await doors.post("/beacon/proofs", body) for body in bodies]

    assert {(answer.status, answer.word) for answer in answers} == {(422, "malformed_body")}


async def test_the_newest_report_of_a_beacon_is_kept(service):
    beacon = await service.a_beacon()
    await beacon.log_in(service.nobody)
    doors = Doors(service.nobody.session, service.nobody.base_url, beacon.token)
    report = {"v": 1, "boot": 1, "uptime_ms": 5, "queued_count": 2, "misread_count": 0, "firmware": "1.2"}

    for count in (2, 3):
        (await doors.post("/beacon/telemetry", report | {"queued_count": count})).expect(204)

    rows = await service.pool.fetch("SELECT beacon_id, queued_count, battery_mv FROM beacon_telemetry")
    assert [tuple(row) for row in rows] == [(UUID(str(beacon.id)), 3, None)]
