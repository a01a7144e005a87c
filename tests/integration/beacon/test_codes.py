"""A phone asks for a code to blink."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

from beacon_svc.http_api import codes
from infra.demo.devices import new_key
from infra.optical_frame import decode


async def asked(service, phone, doors=None):
    return await phone.ask_code(doors or service.student(phone.student_id), uuid4())


async def test_a_code_is_27_random_bits_and_the_light_that_spells_them(service):
    heard = await asked(service, service.a_phone())

    body = heard.expect(201)
    assert decode(body["symbols"]) == body["code"] < 2**27
    assert (body["expires_in"], body["symbol_hz"]) == (20, 20)
    assert heard.headers["Cache-Control"] == "no-store"


async def test_a_student_gets_six_codes_a_minute(service):
    phone = service.a_phone()

    words = [(await asked(service, phone)).word for _ in range(7)]
    service.now.forward(seconds=60)

    assert words == ["201"] * 6 + ["rate_limited"]
    assert (await asked(service, phone)).status == 201


async def test_of_equal_requests_at_once_exactly_one_gets_a_code(service):
    phone = service.a_phone()
    raw = json.dumps({"course_id": str(uuid4())}).encode()
    headers, doors = phone.sign("POST", "/beacon/flash-codes", raw), service.student(phone.student_id)

    answers = await asyncio.gather(*(doors.call("POST", "/beacon/flash-codes", raw, headers=headers) for _ in range(4)))

    assert sorted(answer.word for answer in answers) == ["201", "replay", "replay", "replay"]


async def test_who_is_refused_a_code(service):
    phone, other = service.a_phone(), service.a_phone()
    raw = json.dumps({"course_id": str(uuid4())}).encode()
    signed = phone.sign("POST", "/beacon/flash-codes", raw)
    student = service.student(phone.student_id)
    unbound = service.a_phone()
    service.identity.bound.clear()
    service.identity.bound[str(phone.student_id), str(phone.device_id)] = phone.spki

    async def word(doors, headers, body=raw):
        return (await doors.call("POST", "/beacon/flash-codes", body, headers=headers)).word

    words = {
        "no token": await word(service.nobody, signed),
        "a teacher": await word(service.nobody.as_(service.people.token("teacher", service.school_id)), signed),
        "no signature": await word(student, {}),
        "another's phone": await word(service.student(other.student_id), signed),
        "a phone that is nobody's": await word(
            service.student(unbound.student_id), unbound.sign("POST", "/beacon/flash-codes", raw)
        ),
        "another body": await word(student, signed, json.dumps({"course_id": str(uuid4())}).encode()),
        "another path": await word(student, phone.sign("POST", "/beacon/proofs", raw)),
        "another field": await word(student, signed, json.dumps({"course_id": str(uuid4()), "x": 1}).encode()),
    }

    assert words == {
        "no token": "token_missing",
        "a teacher": "forbidden",
        "no signature": "device_signature_missing",
        "another's phone": "device_not_bound",
        "a phone that is nobody's": "device_not_bound",
        "another body": "device_signature_invalid",
        "another path": "device_signature_invalid",
        "another field": "malformed_body",
    }


async def test_a_phone_whose_clock_is_off_hears_the_time(service):
    phone = service.a_phone()
    phone.now = lambda: service.now() - timedelta(milliseconds=30_001)

    heard = await asked(service, phone)

    assert (heard.status, heard.word) == (401, "device_clock_skew")
    assert heard.body["server_time_ms"] == int(service.now().timestamp() * 1000)


async def test_identity_is_asked_once_a_minute_and_again_for_another_key(service):
    phone = service.a_phone()
    for _ in range(2):
        (await asked(service, phone)).expect(201)
    assert service.identity.calls == 1

    phone.key = new_key()
    refused = await asked(service, phone)
    service.identity.bound[str(phone.student_id), str(phone.device_id)] = phone.spki
    accepted = await asked(service, phone)

    assert (refused.word, accepted.word, service.identity.calls) == ("device_signature_invalid", "201", 3)


async def test_while_identity_is_away_the_door_says_so(service):
    phone = service.a_phone()
    service.identity.down = True

    heard = await asked(service, phone)

    assert (heard.status, heard.word) == (503, "identity_down")
    assert await service.pool.fetchval("SELECT count(*) FROM flash_code") == 0


async def test_a_number_in_use_or_in_quarantine_is_not_issued_again(service):
    statement = """
    INSERT INTO flash_code (id, code, school_id, student_id, device_id, course_id, issued_at, expires_at, free_at)
    VALUES ($1, 5, $1, $1, $1, $1, $2, $3, $3) ON CONFLICT DO NOTHING
    """
    start, life = service.now(), timedelta(seconds=140)
    moments = [start, start + life - timedelta(milliseconds=1), start + life]

    made = [await service.pool.execute(statement, uuid4(), moment, moment + life) for moment in moments]

    assert made == ["INSERT 0 1", "INSERT 0 0", "INSERT 0 1"]


async def test_when_no_number_is_free_the_door_says_so_and_the_old_code_lives_on(service, monkeypatch):
    phone, other = service.a_phone(), service.a_phone()
    monkeypatch.setattr(codes.secrets, "randbits", lambda _bits: 5)
    (await asked(service, phone)).expect(201)

    refused = await asked(service, other)

    assert (refused.status, refused.word) == (503, "overloaded")
    assert await service.pool.fetchval("SELECT count(*) FROM flash_code") == 1
