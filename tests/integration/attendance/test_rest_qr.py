"""A screen shows codes, students scan them and sign; photos, borrowed tickets and closed screens get nowhere."""

import asyncio
import json
import secrets
from datetime import timedelta
from uuid import uuid4

import pytest

from attendance_svc.commands.pending import resolve_pending
from attendance_svc.domain.qr import code_at, step_of, to_dense_text, to_text
from attendance_svc.jobs import QR_SESSIONS_KEPT, SCANS_KEPT, PruneJob
from attendance_svc.store import academics_history, qr
from attendance_svc.store.qr import PostgresQrSessions
from contracts.ids import ClassroomId, StudentId, new_id
from infra.canon import to_base64url
from infra.secret_box import SecretBox
from tests.fakes.attendance import HOUR, MINUTE, NINE
from tests.integration.attendance.conftest import ORIGIN
from tests.integration.attendance.playing import sign

SECOND = timedelta(seconds=1)


class Screen:
    """A session that was opened through the door, and what it shows."""

    def __init__(self, school, opened):
        self.id, self._school = opened["id"], school
        self.sessions = PostgresQrSessions(school.pool, SecretBox(bytes(32)))

    async def code(self, ago=0, spell=to_text):
        """What is, or was `ago` steps ago, to be seen."""
        session = await self.sessions.find(self.id)
        return spell(code_at(session, step_of(self._school.now) - ago))


async def opened(school, person, **body):
    answer = await person.post("/signatures/qr", course_id=school.course.id, **body)
    assert answer.status == 201, answer.body
    return Screen(school, answer.body)


@pytest.fixture
async def screen(school, teacher):
    return await opened(school, teacher)


@pytest.fixture
def student(door):
    return door.someone("student")


async def scan(student, payload, **how):
    return await student.signed("/signatures/qr/scan", {"payload": payload}, **how)


async def sign_with(student, ticket, course_id=None, **how):
    fields = {"course_id": course_id or student.door.school.course.id, "method": "qr", "ticket": ticket}
    return await student.signed("/signatures", fields, **how)


async def scanned(student, screen):
    return (await scan(student, await screen.code())).body["ticket"]


def told(answer):
    return answer.status, answer.body["code"]


async def resolve(school):
    return await resolve_pending(
        waiting_room=school.waiting_room, sources=school.sources, open_book=school.open_book, cause=school.cause()
    )


async def test_a_student_who_scans_in_time_is_accepted_as_of_the_scan(school, teacher, student):
    room = ClassroomId(new_id())
    screen = await opened(school, teacher, classroom_id=room)
    scanned_at = school.now = NINE + 15 * MINUTE
    ticket = await scan(student, await screen.code())
    school.now += 119 * SECOND

    answer = await sign_with(student, ticket.body["ticket"])

    assert (ticket.status, ticket.body["course_id"]) == (201, str(school.course.id))
    assert (answer.status, answer.body["status"], answer.body["reason"]) == (201, "ACCEPTED", "on_time")
    assert (answer.body["method"], answer.body["classroom_id"]) == ("QR", str(room))
    assert answer.body["signed_at"] == scanned_at.isoformat().replace("+00:00", "Z")
    assert await school.news() == ["signature.accepted"]


async def test_what_is_kept_of_it_shows_again_that_the_code_was_genuine(school, screen, student):
    await sign_with(student, await scanned(student, screen))

    kept = json.loads(await school.pool.fetchval("SELECT convert_from(bytes, 'UTF8') FROM proof"))
    session, step = await screen.sessions.find(screen.id), step_of(school.now)
    assert (kept["code"], kept["sid"], kept["step"]) == (code_at(session, step).raw.hex(), session.sid.hex(), step)
    assert kept["scanned_at"] == school.now.isoformat()


@pytest.mark.parametrize("spell", [to_text, to_dense_text])
async def test_only_the_code_of_now_and_the_one_before_are_taken(door, screen, spell):
    codes = [await screen.code(ago, spell) for ago in (2, 1, 0, -1)]

    answers = [await scan(door.someone("student"), code) for code in codes]

    assert [answer.body.get("code") for answer in answers] == ["qr_code_expired", None, None, "qr_code_expired"]


async def test_a_scan_that_is_repeated_gets_the_same_ticket_and_the_first_time(school, screen, student):
    payload = await screen.code()
    first = await scan(student, payload)
    school.now += 3 * SECOND

    again = await scan(student, payload)

    assert (again.status, again.body) == (201, first.body)
    assert await school.count("qr_scan") == 1


async def test_of_equal_scans_at_once_one_is_kept_and_both_get_its_ticket(school, screen, student):
    payload = await screen.code()

    answers = await asyncio.gather(*(scan(student, payload) for _ in range(2)))

    assert answers[0].status == answers[1].status == 201
    assert answers[0].body == answers[1].body
    assert await school.count("qr_scan") == 1


async def test_a_room_may_scan_one_code_at_once(door, school, screen):
    payload, students = await screen.code(), [door.someone("student") for _ in range(60)]

    answers = await asyncio.gather(*(scan(student, payload) for student in students))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body["ticket"] for answer in answers}) == await school.count("qr_scan") == 60


async def test_a_ticket_counts_once_and_a_repeat_is_answered_with_its_signature(school, screen, student):
    ticket = await scanned(student, screen)
    first, again = await sign_with(student, ticket), await sign_with(student, ticket)
    school.now += HOUR

    later = await sign_with(student, ticket)

    assert [first.status, again.status, later.status] == [201, 201, 201]
    assert first.body["id"] == again.body["id"] == later.body["id"]
    assert await school.count("signature") == 1


async def test_a_signed_request_counts_once(screen, student):
    payload, nonce = await screen.code(), secrets.token_bytes(16)
    ticket = (await scan(student, payload, nonce=nonce)).body["ticket"]

    assert told(await scan(student, payload, nonce=nonce)) == (409, "replay")
    assert told(await sign_with(student, ticket, nonce=nonce)) == (409, "replay")


async def test_a_ticket_is_good_for_two_minutes(door, school, screen):
    scanned_at, students = school.now, [door.someone("student") for _ in range(3)]
    tickets = [await scanned(student, screen) for student in students]
    answers = []
    for student, ticket, after_s in zip(students, tickets, (119.999, 120, 120.001), strict=True):
        school.now = scanned_at + timedelta(seconds=after_s)
        answers.append(await sign_with(student, ticket))

    assert [answer.body.get("code") for answer in answers] == [None, None, "qr_ticket_expired"]


async def test_a_ticket_fits_nobody_else(door, school, screen, student):
    ticket, classmate = await scanned(student, screen), door.someone("student")
    await scanned(classmate, screen)

    assert told(await sign_with(classmate, ticket)) == (422, "qr_ticket_invalid")
    assert told(await sign_with(student, ticket, device_id=new_id())) == (422, "qr_ticket_invalid")
    wrong_course = await sign_with(student, ticket, course_id=new_id())
    assert (told(wrong_course), wrong_course.body["fields"]) == ((422, "qr_ticket_invalid"), ["course_id"])
    assert told(await sign_with(student, "A" * 37 + "B")) == (422, "qr_ticket_invalid")
    assert await school.count("signature") == 0
    assert (await sign_with(student, ticket)).status == 201


async def test_another_phone_of_the_student_does_not_scan_the_same_code(screen, student):
    payload = await screen.code()
    await scan(student, payload)

    assert told(await scan(student, payload, device_id=new_id())) == (409, "qr_code_used")


async def test_a_closed_screen_takes_no_scan_and_costs_nobody_who_scanned(screen, teacher, student):
    ticket = await scanned(student, screen)
    closed = [await teacher.delete(f"qr/{screen.id}") for _ in range(2)]

    assert [answer.status for answer in closed] == [204, 204]
    assert told(await scan(student, await screen.code())) == (409, "qr_session_closed")
    assert (await sign_with(student, ticket)).status == 201


async def test_a_screen_ends_with_its_course(school, screen, student):
    school.now = NINE + HOUR + SECOND / 1000

    assert told(await scan(student, await screen.code())) == (409, "qr_session_closed")


async def test_every_bit_of_a_code_counts(screen, door):
    shown = code_at(await screen.sessions.find(screen.id), step_of(door.school.now)).raw
    for place in range(0, 208, 8):
        forged = bytearray(shown)
        forged[place // 8] ^= 1 << (place // 8) % 8
        answer = await scan(door.someone("student"), to_base64url(bytes(forged)))

        assert told(answer) == (422, "qr_code_invalid"), place


async def test_another_schools_code_is_like_one_that_nobody_shows(door, school, screen):
    foreign = door.someone("student", school_id=uuid4())
    other = door.someone("teacher", school_id=uuid4())

    assert told(await scan(foreign, await screen.code())) == (422, "qr_code_invalid")
    assert told(await other.post("/signatures/qr", course_id=school.course.id)) == (404, "not_found")
    school.directory.is_down = True
    for answer in (await other.get(f"/signatures/qr/{screen.id}"), await other.delete(f"qr/{screen.id}")):
        assert told(answer) == (404, "not_found")


async def test_guessing_is_stopped_after_five_and_being_slow_is_no_guess(school, screen, student):
    late = [(await scan(student, await screen.code(2))).status for _ in range(6)]
    wrong = [(await scan(student, "A" * 35)).status for _ in range(6)]
    school.now += MINUTE

    assert (late, wrong) == ([409] * 6, [422] * 5 + [429])
    assert (await scan(student, await screen.code())).status == 201


async def test_somebody_elses_phone_scans_nothing(school, screen, student):
    school.phones.is_own = False
    assert told(await scan(student, await screen.code())) == (403, "device_not_bound")
    school.phones.is_own, school.phones.forged = True, True
    assert told(await scan(student, await screen.code())) == (403, "device_signature_invalid")
    unsigned = await student.post("/signatures/qr/scan", payload=await screen.code())
    assert told(unsigned) == (401, "device_signature_missing")
    assert await school.count("qr_scan") == 0


async def test_without_identity_nobody_scans_and_who_scanned_waits(door, school, screen, student):
    school.phones.is_down = school.codes.is_down = True
    assert (await door.someone("student").tap()).body["status"] == "PENDING"
    school.phones.is_down, school.now = False, school.now + SECOND
    ticket = await scanned(student, screen)
    school.phones.is_down = True

    assert told(await scan(student, await screen.code())) == (503, "identity_down")
    pending = await sign_with(student, ticket)
    assert (pending.body["status"], pending.body["reason"]) == ("PENDING", "awaiting_validation")
    assert told(await sign_with(student, ticket, device_id=new_id())) == (422, "qr_ticket_invalid")

    school.now += HOUR
    # That beacons are away still is no reason to wait for who scanned a screen.
    school.phones.is_down = False
    assert await resolve(school) == 1
    shown = await student.get(f"/signatures/{pending.body['id']}")
    assert (shown.body["status"], shown.body["reason"]) == ("ACCEPTED", "on_time")


async def test_a_phone_that_turns_out_foreign_is_refused_later(school, screen, student):
    ticket = await scanned(student, screen)
    school.phones.is_down = True
    pending = await sign_with(student, ticket)
    school.phones.is_down, school.phones.is_own = False, False

    await resolve(school)

    shown = await student.get(f"/signatures/{pending.body['id']}")
    assert (shown.body["status"], shown.body["reason"]) == ("REFUSED", "device_not_bound")


async def test_academics_away_makes_it_pending_and_opens_no_screen(school, screen, teacher, student):
    ticket = await scanned(student, screen)
    school.directory.is_down = True

    assert (await sign_with(student, ticket)).body["status"] == "PENDING"
    assert told(await teacher.post("/signatures/qr", course_id=school.course.id)) == (503, "academics_down")
    assert (await teacher.delete(f"qr/{screen.id}")).status == 204


async def test_the_rules_are_those_of_every_signature(door, school, screen):
    answers = []
    for at, is_enabled in ((NINE - MINUTE, True), (NINE + 40 * MINUTE, True), (NINE, False)):
        student, school.now = door.someone("student"), at
        school.prefer(enable_qr=is_enabled)
        answers.append(told(await sign_with(student, await scanned(student, screen))))

    assert answers == [(409, "too_early"), (409, "signing_closed"), (409, "method_disabled")]
    assert {status for status, *_ in await school.rows()} == {"REFUSED"}


async def test_an_earlier_torch_that_was_offline_wins_over_a_late_scan(school, screen, student):
    school.now = NINE + 20 * MINUTE
    late = await sign_with(student, await scanned(student, screen))

    earlier = await sign(school, StudentId(student.id), NINE + MINUTE)

    assert (late.body["status"], earlier.signature.status, earlier.is_new) == ("LATE", "ACCEPTED", True)
    assert await school.rows() == [("ACCEPTED", "on_time", False), ("LATE", "after_closing_delay", True)]


async def test_a_screen_is_opened_for_ones_own_course_while_one_may_sign(door, school, admin):
    course = school.course.id
    stranger, dev, student = door.someone("teacher"), door.someone("dev"), door.someone("student")

    refused = [await each.post("/signatures/qr", course_id=course) for each in (stranger, dev, student)]
    assert [told(answer) for answer in refused] == [(403, "forbidden")] * 3
    opened = await admin.post("/signatures/qr", course_id=course)
    assert opened.headers["Location"] == f"/signatures/qr/{opened.body['id']}"
    shown = await admin.get(opened.headers["Location"])
    assert shown.body == opened.body
    assert (shown.body["classroom_id"], shown.body["closed_at"]) == (None, None)
    assert shown.body["expires_at"] == (NINE + HOUR).isoformat().replace("+00:00", "Z")
    assert told(await stranger.get(opened.headers["Location"])) == (403, "forbidden")
    assert told(await stranger.delete(f"qr/{opened.body['id']}")) == (403, "forbidden")
    room = ClassroomId(new_id())
    school.directory.elsewhere.add(room)
    assert told(await admin.post("/signatures/qr", course_id=course, classroom_id=room)) == (409, "wrong_classroom")
    for at, reason in ((NINE - 16 * MINUTE, "too_early"), (NINE + HOUR + SECOND, "course_ended")):
        school.now = at
        assert told(await admin.post("/signatures/qr", course_id=course)) == (409, reason)


async def test_a_repeat_opens_no_second_screen(school, teacher):
    key = {"Idempotency-Key": "once"}
    first = await teacher.post("/signatures/qr", course_id=school.course.id, headers=key)
    again = await teacher.post("/signatures/qr", course_id=school.course.id, headers=key)
    other = await teacher.post("/signatures/qr", course_id=school.course.id, classroom_id=new_id(), headers=key)

    assert first.body == again.body
    assert told(other) == (409, "idempotency_key_reused")
    assert await school.count("qr_session") == 1


async def test_a_key_is_kept_sealed(school, screen):
    session = await screen.sessions.find(screen.id)
    kept = await school.pool.fetchrow("SELECT key_sealed FROM qr_session")

    assert session.key not in kept["key_sealed"]
    with pytest.raises(ValueError, match="another key"):
        await PostgresQrSessions(school.pool, SecretBox(bytes([1]) * 32)).find(screen.id)


async def test_what_is_old_is_forgotten(school, screen, student):
    await scanned(student, screen)
    scanned_at, ends_at, left = school.now, NINE + HOUR, []
    job = PruneJob(pool=school.pool, copy=academics_history, codes=qr, now=school.clock)
    for at in (scanned_at + SCANS_KEPT, ends_at + QR_SESSIONS_KEPT):
        for school.now in (at, at + SECOND / 1000):
            await job.prune()
            left.append((await school.count("qr_scan"), await school.count("qr_session")))

    assert left == [(1, 1), (0, 1), (0, 1), (0, 0)]


async def test_a_screen_hears_what_it_shall_show_and_phones_can_scan_it(door, school, screen, teacher, student):
    async with door.listen(f"/signatures/qr/{screen.id}/codes", teacher) as events:
        name, shown = await anext(events)

    assert name == "code"
    assert (shown["payload"], shown["step"]) == (await screen.code(), step_of(school.now))
    assert shown["url"] == f"{ORIGIN}/q/{shown['payload']}"
    assert shown["dense_url"] == f"{ORIGIN.upper()}/Q/{await screen.code(spell=to_dense_text)}"
    assert (await scan(student, shown["payload"])).status == 201


async def test_codes_are_told_to_those_who_teach_the_course_as_long_as_they_count(door, school, screen, teacher):
    path = f"/signatures/qr/{screen.id}/codes"
    strangers = [door.someone("teacher"), door.someone("student"), door.someone("dev")]

    assert [told(await each.get(path)) for each in strangers] == [(403, "forbidden")] * 3
    assert told(await door.someone("teacher", school_id=uuid4()).get(path)) == (404, "not_found")
    await teacher.delete(f"qr/{screen.id}")
    assert told(await teacher.get(path)) == (409, "qr_session_closed")
