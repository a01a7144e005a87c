"""A student signs with a code from a beacon, and looks at what became of it."""

import asyncio
import secrets
from uuid import uuid4

import pytest

from attendance_svc.commands.pending import resolve_pending
from attendance_svc.ports import NfcReading
from contracts.ids import BeaconId, ClassroomId, new_id
from tests.fakes.attendance import HOUR, MINUTE, NINE


@pytest.fixture
def student(door):
    door.school.codes.reading = NfcReading(
        beacon_id=BeaconId(new_id()), classroom_id=ClassroomId(new_id()), step=117_815_040
    )
    return door.someone("student")


async def resolve(school):
    return await resolve_pending(
        waiting_room=school.waiting_room, sources=school.sources, open_book=school.open_book, cause=school.cause()
    )


async def test_a_true_code_in_time_is_accepted(student, school):
    answer = await student.tap()

    assert (answer.status, answer.body["status"], answer.body["reason"]) == (201, "ACCEPTED", "on_time")
    assert answer.headers["Location"] == f"/signatures/{answer.body['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["x-consistency-token"].endswith(f"/signature:{answer.body['id']}@1")
    assert (answer.body["student_id"], answer.body["method"]) == (str(student.id), "NFC")
    [(type_, body)] = await school.events()
    assert (type_, body["actor"]) == ("signature.accepted", {"type": "student", "id": str(student.id)})


async def test_a_code_counts_once_for_a_student_and_for_every_student(door, student, school):
    first, again = await student.tap(), await student.tap()
    other = await door.someone("student").tap()

    assert [first.status, again.status, other.status] == [201, 201, 201]
    assert first.body["id"] == again.body["id"] != other.body["id"]
    assert await school.count("signature") == 2


async def test_the_next_code_of_a_student_who_stands_is_answered_with_the_first(student, school):
    first, second = await student.tap("11111111"), await student.tap("22222222")

    assert (second.status, second.body["id"], second.body["reason"]) == (200, first.body["id"], "already_signed")
    assert await school.count("signature") == 2


async def test_a_signed_request_counts_once(student):
    nonce = secrets.token_bytes(16)
    await student.tap(nonce=nonce)

    answer = await student.tap(nonce=nonce)

    assert (answer.status, answer.body["code"]) == (409, "replay")


async def test_of_equal_requests_at_once_exactly_one_passes(student, school):
    nonce = secrets.token_bytes(16)

    answers = await asyncio.gather(*(student.tap(nonce=nonce) for _ in range(4)))

    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]
    assert await school.count("signature") == 1


async def test_a_wrong_code_leaves_no_trace(student, school):
    school.codes.reading = None

    answer = await student.tap()

    assert (answer.status, answer.body["code"]) == (422, "nfc_code_invalid")
    assert await school.count("signature") == 0


async def test_guessing_codes_is_stopped_after_five(student, school):
    school.codes.reading = None
    statuses = [(await student.tap(f"0000000{n}")).status for n in range(6)]
    school.now += MINUTE
    statuses.append((await student.tap("00000009")).status)

    assert statuses == [422] * 5 + [429, 422]


async def test_a_refusal_says_why_and_where_it_is_kept(student, school):
    school.now = NINE + 2 * HOUR

    answer = await student.tap()

    assert (answer.status, answer.body["code"]) == (409, "course_ended")
    kept = await student.get(f"/signatures/{answer.body['signature_id']}")
    assert (kept.status, kept.body["status"], kept.body["reason"]) == (200, "REFUSED", "course_ended")


async def test_a_refusal_does_not_burn_the_next_code(student, school):
    school.now = NINE - MINUTE
    refused = await student.tap("11111111")
    school.now = NINE

    accepted = await student.tap("22222222")

    assert [refused.status, accepted.status] == [409, 201]


async def test_somebody_elses_phone_is_refused(student, school):
    school.phones.is_own = False

    answer = await student.tap()

    assert (answer.status, answer.body["code"]) == (409, "device_not_bound")


async def test_a_forged_signature_leaves_no_trace(student, school):
    school.phones.forged = True

    answer = await student.tap()

    assert (answer.status, answer.body["code"]) == (403, "device_signature_invalid")
    assert await school.count("signature") == 0


async def test_a_request_must_be_signed_by_a_device(door, student):
    answer = await student.post(course_id=door.school.course.id, method="nfc", serial="BEACON-1", code="12345678")

    assert (answer.status, answer.body["code"]) == (401, "device_signature_missing")


@pytest.mark.parametrize("away", ["phones", "codes", "directory"])
async def test_an_outage_makes_it_pending_and_later_what_it_would_have_been(student, school, away):
    getattr(school, away).is_down = True
    pending = await student.tap()
    school.now += HOUR

    assert (pending.status, pending.body["status"], pending.body["reason"]) == (201, "PENDING", "awaiting_validation")
    assert await resolve(school) == 0

    getattr(school, away).is_down = False
    assert await resolve(school) == 1

    shown = await student.get(f"/signatures/{pending.body['id']}")
    assert (shown.body["status"], shown.body["reason"]) == ("ACCEPTED", "on_time")
    assert shown.body["classroom_id"] == str(school.codes.reading.classroom_id)
    assert await school.news() == ["signature.pending", "signature.accepted"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda school: setattr(school.codes, "reading", None), "nfc_code_invalid"),
        (lambda school: setattr(school.phones, "is_own", False), "device_not_bound"),
        (lambda school: setattr(school.phones, "forged", True), "device_not_bound"),
    ],
)
async def test_a_claim_that_turns_out_false_is_refused(student, school, change, reason):
    school.phones.is_down = True
    pending = await student.tap()
    school.phones.is_down = False
    change(school)

    await resolve(school)

    shown = await student.get(f"/signatures/{pending.body['id']}")
    assert (shown.body["status"], shown.body["reason"]) == ("REFUSED", reason)


async def test_a_foreign_phone_stays_foreign_while_academics_is_away(student, school):
    school.phones.is_own, school.directory.is_down = False, True
    pending = await student.tap()
    school.directory.is_down = False

    await resolve(school)

    shown = await student.get(f"/signatures/{pending.body['id']}")
    assert (pending.body["status"], shown.body["reason"]) == ("PENDING", "device_not_bound")


@pytest.mark.parametrize(
    "body",
    [
        {"status": "ACCEPTED"},
        {"student_id": str(uuid4())},
        {"reason": "please"},
        {"teacher_id": str(uuid4())},
        {"method": "teacher"},
        {"method": "qr"},
        {"date": "2026-09-01"},
        {"code": "1234567x"},
        {"code": "1" * 9},
        {"serial": "x"},
        {"serial": "../../etc"},
        {"course_id": "not-an-id"},
    ],
)
async def test_students_say_nothing_but_what_they_read(student, school, body):
    answer = await student.tap(**body)

    assert (answer.status, answer.body["code"]) == (422, "malformed_body")
    assert await school.count("signature") == 0


async def test_a_student_sees_only_their_own(door, student):
    mine = await student.tap()
    other = door.someone("student")
    theirs = await other.tap()
    foreign = door.someone("student", school_id=uuid4())

    shown = await student.get(f"/signatures/{theirs.body['id']}")
    listed = await student.get("/signatures", student_id=other.id)
    unknown = await foreign.get(f"/signatures/{mine.body['id']}")

    assert (shown.status, shown.body["code"]) == (403, "forbidden")
    assert [each["id"] for each in listed.body["items"]] == [mine.body["id"]]
    assert (unknown.status, unknown.body["code"]) == (404, "not_found")


async def test_a_student_sees_what_happened_but_not_who_did_it(door, student):
    mine = await student.tap()
    admin = door.someone("admin")
    await admin.patch(mine.body["id"], 1, status="REFUSED", reason="was not there")

    steps = (await student.get(f"/signatures/{mine.body['id']}/transitions")).body["items"]
    for_staff = (await admin.get(f"/signatures/{mine.body['id']}/transitions")).body["items"]

    assert [(step["from_status"], step["to_status"]) for step in steps] == [(None, "ACCEPTED"), ("ACCEPTED", "REFUSED")]
    assert {step["actor_id"] for step in steps} == {step["note"] for step in steps} == {None}
    assert for_staff[1]["actor_id"] == str(admin.id)
    assert for_staff[1]["note"] == "was not there"
    assert for_staff[0]["evidence"]["basis"] == "rpc"


async def test_students_change_nothing(door, student):
    mine = await student.tap()

    patched = await student.patch(mine.body["id"], 1, status="LATE", reason="honest")
    deleted = await student.delete(mine.body["id"], reason="oops")
    sheet = await student.get("/signatures/sheet", course_id=door.school.course.id)

    assert [patched.status, deleted.status, sheet.status] == [403, 403, 403]
