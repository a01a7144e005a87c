"""What other services ask about beacons."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from contracts.rpc.beacon.api.v1 import beacon_pb2 as pb
from contracts.rpc.beacon.api.v1 import beacon_pb2_grpc as rpc
from infra.grpc_client import connect
from infra.grpc_server import Identity, build_server, start_server


def identity_of(certificates, name):
    return Identity(
        ca_file=certificates / "ca.pem",
        cert_file=certificates / f"{name}.pem",
        key_file=certificates / f"{name}-key.pem",
    )


@pytest.fixture
async def ask(service, certificates):
    """Ask as a service of that name."""
    server, _status = build_server(service.registers)
    port = await start_server(server, identity_of(certificates, "beacon"), host="127.0.0.1", port=0)

    async def call(name, method, request):
        identity = identity_of(certificates, name)
        async with connect(f"127.0.0.1:{port}", callee="beacon", identity=identity) as channel:
            return await getattr(rpc.BeaconQueryServiceStub(channel), method)(request, timeout=2)

    yield call
    await server.stop(grace=0)


def verify(beacon, code, at, school_id=None):
    request = pb.VerifyNfcCodeRequest(
        serial=beacon.serial, code=code, acting_school_id="" if school_id is None else str(school_id)
    )
    request.at.FromDatetime(at.replace(tzinfo=None))
    return request


async def test_a_code_is_right_one_step_either_way_and_asking_uses_nothing_up(service, ask):
    room = uuid4()
    beacon = await service.a_beacon(room=room, nfc_profile="totp-v1")
    start = service.now()
    code = beacon.nfc_code()

    answers = [
        await ask("attendance", "VerifyNfcCode", verify(beacon, code, start + timedelta(seconds=later)))
        for later in (0, 0, 15, 29.999, 30)
    ]

    step = int(start.timestamp()) // 15
    assert [(a.is_valid, a.step, a.reason) for a in answers] == [(True, step, "")] * 4 + [
        (False, 0, "nfc_code_invalid")
    ]
    assert {(a.beacon_id, a.classroom_id) for a in answers[:4]} == {(str(beacon.id), str(room))}


async def test_the_future_is_one_step_too(service, ask):
    beacon = await service.a_beacon(nfc_profile="totp-v1")
    now = service.now()
    service.now.forward(seconds=15)
    one_ahead = beacon.nfc_code()
    service.now.forward(seconds=15)
    two_ahead = beacon.nfc_code()
    service.now.forward(seconds=-30)

    answers = [await ask("attendance", "VerifyNfcCode", verify(beacon, code, now)) for code in (one_ahead, two_ahead)]

    assert [(answer.is_valid, answer.classroom_id) for answer in answers] == [(True, ""), (False, "")]


async def test_the_room_is_the_one_at_that_time(service, ask):
    first, second = uuid4(), uuid4()
    beacon = await service.a_beacon(room=first, nfc_profile="totp-v1")
    at, code = service.now(), beacon.nfc_code()
    service.now.forward(seconds=1)
    body = {"classroom_id": str(second)}
    await service.knows("classroom", second)
    (await service.dev.put(f"/dev/beacons/{beacon.id}/classroom", body)).expect(200)

    answers = [await ask("attendance", "VerifyNfcCode", verify(beacon, code, moment)) for moment in (at, service.now())]

    assert [answer.classroom_id for answer in answers] == [str(first), str(second)]


async def test_a_steady_offset_is_learned_and_one_wild_one_is_not(service, ask):
    beacon = await service.a_beacon(nfc_profile="totp-v1")
    for seconds in (30, 30, 30):
        beacon.offset = timedelta(seconds=seconds)
        (await service.nobody.post("/beacon/auth/token", beacon.login_body())).expect(200)
        service.now.forward(minutes=1)
    fast = beacon.nfc_code()

    answer = await ask("attendance", "VerifyNfcCode", verify(beacon, fast, service.now()))
    beacon.offset = timedelta(seconds=-60)
    (await service.nobody.post("/beacon/auth/token", beacon.login_body())).expect(200)
    after = await ask("attendance", "VerifyNfcCode", verify(beacon, fast, service.now()))

    assert (answer.is_valid, after.is_valid) == (True, True)


async def test_what_is_not_there_for_the_caller_is_an_unknown_serial(service, ask):
    silent = await service.a_beacon()
    tagged = await service.a_beacon(nfc_profile="totp-v1")
    at = service.now()
    own = await ask("attendance", "VerifyNfcCode", verify(tagged, tagged.nfc_code(), at, service.school_id))
    foreign = await ask("attendance", "VerifyNfcCode", verify(tagged, tagged.nfc_code(), at, uuid4()))
    without = await ask("attendance", "VerifyNfcCode", verify(silent, silent.nfc_code(), at))
    silent.serial = "NOBODY"
    unknown = await ask("attendance", "VerifyNfcCode", verify(silent, silent.nfc_code(), at))
    service.now.forward(seconds=1)
    code = tagged.nfc_code()
    await service.dev.call("DELETE", f"/dev/beacons/{tagged.id}")
    before = await ask("attendance", "VerifyNfcCode", verify(tagged, code, at))
    retired = await ask("attendance", "VerifyNfcCode", verify(tagged, code, service.now()))

    assert (own.is_valid, before.is_valid) == (True, True)
    assert {answer.reason for answer in (foreign, without, unknown, retired)} == {"nfc_serial_unknown"}


async def test_codes_that_are_no_codes_are_wrong_and_malformed_questions_refused(service, ask):
    beacon = await service.a_beacon(nfc_profile="totp-v1")
    at = service.now()
    for code in ("", "1234567", "123456789", "\uff11" * 8, "-1234567"):
        assert (await ask("attendance", "VerifyNfcCode", verify(beacon, code, at))).reason == "nfc_code_invalid"

    malformed = [
        pb.VerifyNfcCodeRequest(serial=beacon.serial, code="12345678"),
        verify(beacon, "12345678", datetime(2019, 12, 31, tzinfo=UTC)),
        verify(beacon, "12345678", at + timedelta(days=4000)),
        verify(beacon, "12345678", at, "nonsense"),
        *(
            pb.VerifyNfcCodeRequest(serial=beacon.serial, code="12345678", at=stamp)
            for stamp in (Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=10**9))
        ),
    ]
    for request in malformed:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await ask("attendance", "VerifyNfcCode", request)
        assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "malformed_field")


async def test_a_room_knows_its_beacons(service, ask):
    room = uuid4()
    here, _elsewhere = await service.a_beacon(room=room), await service.a_beacon(room=uuid4())
    request = pb.ListBeaconsByClassroomRequest(classroom_id=str(room), acting_school_id=str(service.school_id))
    foreign = pb.ListBeaconsByClassroomRequest(classroom_id=str(room), acting_school_id=str(uuid4()))

    found = await ask("academics", "ListBeaconsByClassroom", request)
    hidden = await ask("academics", "ListBeaconsByClassroom", foreign)

    [lite] = found.beacons
    assert (lite.id, lite.school_id, lite.classroom_id, lite.serial) == (
        str(here.id),
        str(service.school_id),
        str(room),
        here.serial,
    )
    assert list(hidden.beacons) == []


async def test_only_attendance_verifies_codes(service, ask):
    beacon = await service.a_beacon()

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask("identity", "VerifyNfcCode", verify(beacon, "12345678", service.now()))

    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
