"""A phone asks for a code to blink."""

import asyncio
import json
import secrets
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from beacon_svc.commands.codes import CodeRequest, CodeRules, issue_flash_codes
from beacon_svc.domain.proofs import FlashCode
from beacon_svc.store import codes
from beacon_svc.store.codes import PostgresFlashCodes
from beacon_svc.wiring import open_store
from contracts.ids import new_id
from contracts.problems import UnavailableError
from infra.batches import robust
from infra.demo.devices import new_key
from infra.device_requests import NONCE_LIFE
from infra.optical_frame import decode
from infra.postgres import create_pool
from tests.integration.beacon.test_races import SOMEBODY_WAITS
from tests.waiting import until

ISSUED_ELSEWHERE = """
INSERT INTO flash_code (id, code, school_id, student_id, device_id, course_id, issued_at, expires_at, free_at)
VALUES ($1, 5, $1, $1, $1, $1, $2, $3, $3)
"""


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


@pytest.fixture
def draws(monkeypatch):
    """`draws(5, 6)`: these numbers are drawn one after the other, the last again and again."""

    def draw(*numbers):
        left, others = list(numbers), secrets.randbits
        monkeypatch.setattr(
            secrets,
            "randbits",
            lambda bits: others(bits) if bits != 27 else left.pop(0) if len(left) > 1 else left[0],
        )

    return draw


async def test_a_number_in_use_or_in_quarantine_is_not_issued_again(service, draws):
    draws(5)
    (await asked(service, service.a_phone())).expect(201)

    words = []
    for milliseconds in (19_999, 120_000, 1):
        service.now.forward(milliseconds=milliseconds)
        words.append((await asked(service, service.a_phone())).word)

    assert words == ["overloaded", "overloaded", "201"]


async def test_when_no_number_is_free_the_door_says_so_and_the_old_code_lives_on(service, draws):
    draws(5)
    phone = service.a_phone()
    first = (await asked(service, phone)).expect(201)

    refused = await asked(service, phone)

    assert (refused.status, refused.word) == (503, "overloaded")
    [code] = await service.pool.fetch("SELECT * FROM flash_code")
    assert (code["code"], code["expires_at"]) == (first["code"], service.now() + timedelta(seconds=20))


async def test_of_two_that_draw_one_number_at_once_one_draws_again(service, draws):
    draws(5, 5, 6)

    answers = await asyncio.gather(*(asked(service, service.a_phone()) for _ in range(2)))

    assert sorted(answer.expect(201)["code"] for answer in answers) == [5, 6]


async def test_the_next_code_ends_the_life_of_the_one_before(service):
    phone, other = service.a_phone(), service.a_phone()
    for each in (other, phone):
        (await asked(service, each)).expect(201)
    service.now.forward(seconds=7)

    (await asked(service, phone)).expect(201)

    rows = await service.pool.fetch("SELECT expires_at - issued_at AS life FROM flash_code ORDER BY issued_at, life")
    assert [row["life"].total_seconds() for row in rows] == [7, 20, 20]


async def test_the_next_code_ends_the_life_of_one_that_is_just_being_used(service):
    phone = service.a_phone()
    (await asked(service, phone)).expect(201)

    async with service.pool.acquire() as other:
        async with other.transaction():
            await other.execute("UPDATE flash_code SET redeemed_by = uuidv7(), redeemed_room = uuidv7()")
            service.now.forward(seconds=7)
            asking = asyncio.create_task(asked(service, phone))
            await until(lambda: service.pool.fetchval(SOMEBODY_WAITS))
        (await asking).expect(201)

    life = "SELECT extract(epoch FROM expires_at - issued_at) FROM flash_code WHERE redeemed_by IS NOT NULL"
    assert await service.pool.fetchval(life) == 7


async def test_a_student_who_asks_many_times_at_once_has_one_live_code_and_no_more_than_six(service):
    phone = service.a_phone()

    answers = await asyncio.gather(*(asked(service, phone) for _ in range(9)))

    assert sorted(answer.word for answer in answers) == ["201"] * 6 + ["rate_limited"] * 3
    alive = "SELECT count(*) FROM flash_code WHERE expires_at > $1"
    assert await service.pool.fetchval(alive, service.now()) == 1


async def test_phones_that_ask_at_once_share_a_transaction(service):
    phones = [service.a_phone() for _ in range(40)]

    answers = await asyncio.gather(*(asked(service, phone) for phone in phones))

    assert len({answer.expect(201)["code"] for answer in answers}) == 40
    students = await service.pool.fetch("SELECT student_id FROM flash_code")
    assert {row["student_id"] for row in students} == {phone.student_id for phone in phones}
    assert await service.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM flash_code") < 20


def issuing(service, pool):
    """What issues codes for many requests together, without the door."""
    rules = CodeRules(
        life=timedelta(seconds=20),
        quarantine=timedelta(seconds=120),
        most_per_minute=6,
        nonce_life=NONCE_LIFE,
        draw=lambda: secrets.randbits(27),
    )
    open_codes = partial(open_store, pool, PostgresFlashCodes)
    return partial(issue_flash_codes, rules=rules, open_codes=open_codes, now=service.now)


def a_request(**changes):
    ids = {name: uuid4() for name in ("school_id", "student_id", "device_id", "course_id")}
    return CodeRequest(**({"id": new_id(), "nonce": bytes(16)} | ids | changes))


async def test_a_request_whose_commit_nobody_heard_of_gets_its_code_again_and_a_replay_none(service):
    issue, mine = issuing(service, service.pool), a_request()
    replayed = replace(mine, id=new_id())

    [first] = await issue([mine])
    again, replay = await issue([mine, replayed])

    assert (again, replay.code) == (first, "replay")
    assert await service.pool.fetchval("SELECT count(*) FROM flash_code") == 1


@pytest.mark.slow
async def test_who_waits_for_a_code_that_somebody_holds_does_not_hold_up_the_others(service, database):
    stuck, *others = (a_request() for _ in range(3))
    again = replace(stuck, id=new_id(), nonce=bytes(15) + b"x")

    async with create_pool(database.app_url, name="test") as pool:
        issue = robust(issuing(service, pool), draw=lambda: 0)
        await issue([stuck])
        async with service.pool.acquire() as other, other.transaction():
            await other.fetch("SELECT FROM flash_code FOR UPDATE")
            outcomes = await issue([again, *others])

    assert [type(outcome) for outcome in outcomes] == [UnavailableError, FlashCode, FlashCode]
    assert await service.pool.fetchval("SELECT count(*) FROM flash_code") == 3


async def test_who_issues_elsewhere_is_waited_for(service, draws):
    draws(5, 6)
    phone = service.a_phone()

    async with service.pool.acquire() as other:
        async with other.transaction():
            await other.execute(codes.LOCK)
            asking = asyncio.create_task(asked(service, phone))
            await until(lambda: service.pool.fetchval(SOMEBODY_WAITS))
            await other.execute(ISSUED_ELSEWHERE, uuid4(), service.now(), service.now() + timedelta(seconds=140))
        answer = await asking

    assert answer.expect(201)["code"] == 6
