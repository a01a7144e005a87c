"""Whose phone signed a request, and what a code says, asked over gRPC."""

import asyncio
import hashlib
import secrets
from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attendance_svc.domain.attempts import DeviceRequest
from attendance_svc.ports import NfcReading
from contracts.ids import SchoolId, StudentId, new_id
from contracts.problems import ForbiddenError, MalformedError, UnauthenticatedError, UnavailableError
from contracts.rpc.beacon.api.v1 import beacon_pb2
from infra.canon import kid_of
from infra.device_requests import SignedRequest, sign_request
from tests.contract.attendance.conftest import ORIGIN
from tests.fakes.attendance import MS, NINE

BODY = b'{"course_id":"x"}'


class Phone:
    def __init__(self):
        self.key, self.device_id, self.student_id = (
            ec.generate_private_key(ec.SECP256R1()),
            new_id(),
            StudentId(uuid4()),
        )

    def request(self, *, at=NINE, origin=ORIGIN, body=BODY, key=None):
        signed = SignedRequest(
            method="POST",
            path="/signatures",
            body_sha256=hashlib.sha256(BODY).digest(),
            device_id=self.device_id,
            kid=kid_of((key or self.key).public_key()),
            timestamp_ms=int(at.timestamp() * 1000),
            nonce=secrets.token_bytes(16),
            signature="",
        )
        headers = sign_request(signed, key or self.key, origin=origin, person_id=self.student_id)
        return DeviceRequest(method="POST", path="/signatures", body=body, headers=tuple(headers.items()))


@pytest.fixture
def phone(others):
    made = Phone()
    others.identity.bind(made.student_id, made.device_id, made.key.public_key())
    return made


async def test_the_students_own_phone_is_recognised_and_remembered(others, phone):
    phones = others.phones()

    assert await phones.check(phone.request(), phone.student_id, at=NINE)
    assert await phones.check(phone.request(), phone.student_id, at=NINE)

    assert others.identity.asked == [1]


async def test_a_room_of_phones_is_asked_about_together_and_each_hears_its_own(others):
    room, strangers = [Phone() for _ in range(40)], [Phone() for _ in range(3)]
    for phone in room:
        others.identity.bind(phone.student_id, phone.device_id, phone.key.public_key())
    phones = others.phones()

    answers = await asyncio.gather(
        *(phones.check(phone.request(), phone.student_id, at=NINE) for phone in [*strangers, *room])
    )

    assert [answer and answer.device_id for answer in answers] == [None] * 3 + [phone.device_id for phone in room]
    assert others.identity.asked == [43]


async def test_one_key_that_is_none_is_an_outage_for_its_phone_alone(others, phone):
    odd, phones = Phone(), others.phones()
    others.identity.devices[(str(odd.student_id), str(odd.device_id))] = b"none"

    checks = (phones.check(each.request(), each.student_id, at=NINE) for each in (odd, phone))
    outage, answer = await asyncio.gather(*checks, return_exceptions=True)

    assert (type(outage), outage.code) == (UnavailableError, "identity_down")
    assert answer.device_id == phone.device_id


async def test_a_phone_that_is_not_the_students_is_told_apart_from_a_forgery(others, phone):
    stranger = Phone()

    assert not await others.phones().check(stranger.request(), stranger.student_id, at=NINE)
    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        await others.phones().check(phone.request(key=stranger.key), phone.student_id, at=NINE)


@pytest.mark.parametrize(
    "changes", [{"body": b"{}"}, {"origin": "https://elsewhere.example"}], ids=["another body", "another server"]
)
async def test_a_signature_covers_the_whole_request(others, phone, changes):
    with pytest.raises(ForbiddenError, match="device_signature_invalid"):
        await others.phones().check(phone.request(**changes), phone.student_id, at=NINE)


@pytest.mark.parametrize("seconds", [-31, 31])
async def test_a_request_was_signed_just_now(others, phone, seconds):
    with pytest.raises(UnauthenticatedError, match="device_clock_skew"):
        await others.phones().check(phone.request(), phone.student_id, at=NINE + timedelta(seconds=seconds))


async def test_a_request_without_its_headers_is_malformed(others, phone):
    request = phone.request()
    broken = DeviceRequest(
        method="POST",
        path="/signatures",
        body=BODY,
        headers=tuple((name, "x") for name, _ in request.headers),
    )

    with pytest.raises(MalformedError):
        await others.phones().check(broken, phone.student_id, at=NINE)


async def test_a_phone_that_was_replaced_is_asked_about_again(others, phone):
    phones = others.phones()
    await phones.check(phone.request(), phone.student_id, at=NINE)
    phone.key = ec.generate_private_key(ec.SECP256R1())
    others.identity.bind(phone.student_id, phone.device_id, phone.key.public_key())

    assert await phones.check(phone.request(), phone.student_id, at=NINE)


async def test_while_identity_is_away_a_known_phone_still_signs(others, phone):
    phones = others.phones()
    await phones.check(phone.request(), phone.student_id, at=NINE)
    await others.server.stop(None)

    assert await phones.check(phone.request(), phone.student_id, at=NINE)
    with pytest.raises(UnavailableError) as outage:
        await others.phones().check(phone.request(), phone.student_id, at=NINE)
    assert outage.value.code == "identity_down"


async def test_a_true_code_names_its_beacon_room_and_step(others):
    beacon_id, room, school_id = new_id(), new_id(), SchoolId(new_id())
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(
        is_valid=True, beacon_id=str(beacon_id), classroom_id=str(room), step=7
    )

    reading = await others.codes.read("BEACON-1", "12345678", at=NINE, school_id=school_id)

    assert reading == NfcReading(beacon_id=beacon_id, classroom_id=room, step=7)
    asked = others.beacons.request
    assert (asked.serial, asked.code, asked.acting_school_id) == ("BEACON-1", "12345678", str(school_id))
    assert asked.at.seconds == int(NINE.timestamp())


async def read_all(codes, moments):
    return await asyncio.gather(*(codes.read("BEACON-1", "12345678", at=at, school_id=None) for at in moments))


async def test_a_room_that_shows_one_code_is_asked_about_for_all_of_them(others):
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id=str(new_id()), step=7)
    moments = [NINE + n * MS for n in range(50)]

    readings = await read_all(others.codes, moments)

    assert {reading.step for reading in readings} == {7}
    assert others.beacons.asked_at == [moments[-1], moments[0]]


async def test_a_code_that_was_true_before_is_asked_about_once_for_all_who_come_later(others):
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id=str(new_id()), step=7)
    codes = others.codes
    await read_all(codes, [NINE, NINE + 2 * MS])

    await read_all(codes, [NINE + n * MS for n in range(5, 9)])
    await read_all(codes, [NINE + MS, NINE + 10 * MS])

    assert others.beacons.asked_at[2:] == [NINE + 8 * MS, NINE + 10 * MS, NINE + MS]


async def test_a_code_that_says_something_else_than_before_is_asked_about_for_each(others):
    codes, moments = others.codes, [NINE + 5 * MS, NINE + 6 * MS]
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id=str(new_id()), step=7)
    await read_all(codes, [NINE])
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id=str(new_id()), step=8)

    readings = await read_all(codes, moments)

    assert {reading.step for reading in readings} == {8}
    assert sorted(others.beacons.asked_at[1:]) == moments


async def test_a_code_that_ends_among_them_is_answered_for_each_moment(others):
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id=str(new_id()), step=7)
    others.beacons.until = NINE + 4 * MS

    readings = await read_all(others.codes, [NINE + n * MS for n in range(10)])

    assert [reading is not None for reading in readings] == [True] * 5 + [False] * 5


async def test_a_beacon_may_hang_in_no_room(others):
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id=str(new_id()), step=7)

    reading = await others.codes.read("BEACON-1", "12345678", at=NINE, school_id=None)

    assert reading.classroom_id is None


async def test_an_outage_is_everybodys_without_asking_again(others):
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id="nonsense")
    codes = others.codes

    reads = (codes.read("BEACON-1", "12345678", at=NINE + n * MS, school_id=None) for n in range(5))
    answers = await asyncio.gather(*reads, return_exceptions=True)

    assert [type(answer) for answer in answers] == [UnavailableError] * 5
    assert len(others.beacons.asked) == 1


async def test_a_wrong_code_is_asked_about_once(others):
    assert await others.codes.read("BEACON-1", "00000000", at=NINE, school_id=None) is None

    assert others.beacons.asked_at == [NINE]


async def test_a_wrong_code_is_an_answer_and_an_outage_is_none(others):
    assert await others.codes.read("BEACON-1", "00000000", at=NINE, school_id=None) is None
    await others.server.stop(None)

    with pytest.raises(UnavailableError) as outage:
        await others.codes.read("BEACON-1", "00000000", at=NINE, school_id=None)
    assert outage.value.code == "beacon_down"


async def test_an_answer_that_makes_no_sense_is_an_outage(others):
    others.beacons.answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=True, beacon_id="nonsense")

    with pytest.raises(UnavailableError, match="malformed answer"):
        await others.codes.read("BEACON-1", "12345678", at=NINE, school_id=None)
