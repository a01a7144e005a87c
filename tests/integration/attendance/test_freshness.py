"""Attendance decides by its own copy of academics while that is provably fresh enough, and asks or waits otherwise."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from attendance_svc.commands.asking import look_up
from attendance_svc.commands.judging import ON_RECENT
from attendance_svc.commands.pending import resolve_pending, settle_course
from attendance_svc.domain.bearings import Bearings
from attendance_svc.ports import NfcReading
from attendance_svc.store.waiting import PostgresBacklog
from contracts.ids import ClassroomId, StudentId, new_id
from tests.fakes.attendance import MINUTE, NINE, a_claim, an_attempt
from tests.integration.attendance.academics_feed import DAY, Feed
from tests.integration.attendance.playing import mark, sign

MICROSECOND = timedelta(microseconds=1)
# The clocks agree, so this is what a write may take.
MARGIN = timedelta(seconds=1)
RECENT = timedelta(seconds=5)
ON_TIME, STRANGER = ("ACCEPTED", "on_time"), ("REFUSED", "not_enrolled")
WAITING = ("PENDING", "awaiting_validation")
CLAIM = a_claim()
PARK = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, reason)
VALUES ('attendance.copy', 'academics', 0, 1, 1, $1, 'poison')
"""


class Copied:
    """The school's course as the copy has it, and how far the copy is."""

    def __init__(self, school):
        self.school, self.feed = school, Feed(school.pool)
        self.member, self.stranger = StudentId(uuid4()), StudentId(uuid4())
        self.tenant = school.course.school_id

    async def plan(self, **changes):
        self.group = await self.feed.group(self.member, school=self.tenant)
        await self.feed.preferences(school=self.tenant, **changes)
        await self.feed.course(self.school.course.id, school=self.tenant, start_at=NINE, group_ids=[self.group])
        await self.feed.course(self.school.course.id, school=self.tenant, end_at=NINE + 60 * MINUTE)
        self.school.bearings.note_clock(NINE, sent_at=NINE, heard_at=NINE)

    async def is_sure_of(self, t):
        await self.school.prove(t + MARGIN)

    async def sign(self, student, at=None, **changes):
        signature = (await sign(self.school, student, at, **changes)).signature
        return signature.status, signature.reason

    async def resolve(self, **how):
        return await resolve_pending(
            waiting_room=self.school.waiting_room,
            sources=self.school.sources,
            open_book=self.school.open_book,
            cause=self.school.cause(),
            **how,
        )

    async def evidence(self):
        return json.loads(await self.school.pool.fetchval("SELECT evidence FROM signature_transition"))

    async def undecided(self):
        return [row[:2] for row in await self.school.rows() if row[0] == "PENDING"]

    @property
    def asked(self):
        return len(self.school.directory.asked)


@pytest.fixture
async def copied(school):
    made = Copied(school)
    await made.plan()
    return made


# A copy that is certain decides both ways; one that is recent says yes; academics is asked about the rest.


async def test_a_certain_copy_says_yes_and_no_and_nobody_is_asked(school, copied):
    await copied.is_sure_of(school.now)
    counted = ON_RECENT._value.get()

    said = [await copied.sign(student) for student in (copied.member, copied.stranger)]
    unknown = await copied.sign(copied.member, course_id=uuid4())

    assert [*said, unknown] == [ON_TIME, STRANGER, ("REFUSED", "course_unknown")]
    assert (copied.asked, ON_RECENT._value.get()) == (0, counted)


async def test_what_the_decision_rests_on_is_kept(school, copied):
    await copied.is_sure_of(school.now)

    await copied.sign(copied.member)

    kept = await copied.evidence()
    assert (kept["basis"], kept["copy_pos"]) == ("copy", 7)
    assert kept["copy_as_of"] == (school.now + MARGIN).isoformat()
    assert kept["copy_shard"] in range(4)


async def test_a_yes_may_rest_on_what_was_known_five_seconds_before(school, copied):
    await school.prove(school.now - RECENT)
    counted = ON_RECENT._value.get()

    assert await copied.sign(copied.member) == ON_TIME

    assert copied.asked == 0
    assert (await copied.evidence())["basis"] == "recent"
    assert ON_RECENT._value.get() == counted + 1


async def test_a_no_may_not_so_academics_is_asked(school, copied):
    await school.prove(school.now - MICROSECOND)

    said = await copied.sign(copied.stranger)

    assert (said, copied.asked) == (ON_TIME, 1), "academics knows that the student has just joined"
    assert (await copied.evidence())["basis"] == "rpc"


async def follow_another_log(school):
    for shard in range(4):
        school.bearings.note_log(shard, uuid4())


async def forget_the_clocks(school):
    school.bearings = Bearings()


DOUBTS = {
    "older": lambda school: school.prove(school.now - RECENT - MICROSECOND),
    "tainted": lambda school: school.pool.execute(PARK, school.course.id),
    "halted": lambda school: school.prove(school.now + MARGIN, state="halted"),
    "another log": follow_another_log,
    "no clocks": forget_the_clocks,
    "forgotten": lambda school: school.pool.execute(
        "UPDATE streams_checkpoint SET facts_since = $1", school.now + MICROSECOND
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_a_copy_in_doubt_decides_nothing(school, copied, doubt):
    await copied.is_sure_of(school.now)
    await DOUBTS[doubt](school)

    said = [await copied.sign(student) for student in (copied.member, copied.stranger)]

    assert (said, copied.asked) == ([ON_TIME, ON_TIME], 2)
    assert (await copied.evidence())["basis"] == "rpc"


async def test_a_copy_that_is_not_quite_certain_says_no_to_nobody(school, copied):
    await school.prove(school.now + MARGIN - MICROSECOND)

    assert [await copied.sign(student) for student in (copied.stranger, copied.member)] == [ON_TIME, ON_TIME]

    assert copied.asked == 1


async def test_the_farther_the_clocks_are_apart_the_longer_it_takes_to_be_certain(school, copied):
    school.bearings.note_clock(NINE + MICROSECOND, sent_at=NINE, heard_at=NINE)
    await copied.is_sure_of(school.now)
    await copied.sign(copied.stranger)
    assert copied.asked == 1

    await copied.is_sure_of(school.now + MICROSECOND)
    await copied.sign(copied.stranger)
    assert copied.asked == 1


async def test_a_member_who_left_afterwards_was_a_member_then(school, copied):
    left_at = NINE + 2 * MINUTE
    await copied.feed.members(copied.group, removed=[copied.member], school=copied.tenant, at=left_at)
    await copied.is_sure_of(school.now)

    said = [await copied.sign(copied.member, at) for at in (left_at, left_at - MICROSECOND)]

    assert said == [STRANGER, ON_TIME]
    assert copied.asked == 0


async def test_what_was_recorded_after_the_moment_does_not_count_by_a_recent_copy_either(school, copied):
    newcomer = StudentId(uuid4())
    joined_at = school.now + MICROSECOND
    await copied.feed.members(copied.group, added=[newcomer], school=copied.tenant, at=joined_at)
    await school.prove(joined_at)
    school.directory.strangers.add(newcomer)

    assert await copied.sign(newcomer) == STRANGER


async def test_many_are_looked_up_at_once_and_who_must_be_asked_about_is_left_out(school, copied):
    room = ClassroomId(uuid4())
    known = {"course_id": school.course.id, "school_id": copied.tenant}
    attempts = [
        an_attempt(school.now, student_id=copied.member, **known),
        an_attempt(school.now, student_id=copied.stranger, **known),
        an_attempt(school.now, student_id=copied.member, classroom_id=room),
        an_attempt(school.now, student_id=copied.member),
        an_attempt(school.now - DAY, student_id=copied.stranger, **known),
    ]
    await school.prove(school.now)

    found = await look_up(attempts, sources=school.sources)

    bases = [each and (each.facts.plan.basis, each.facts.plan.is_enrolled) for each in found]
    assert bases == [("recent", True), None, None, ("copy", False), ("copy", False)]
    assert copied.asked == 0


# While academics is away.


async def test_during_an_outage_the_copy_decides_what_it_is_certain_of_and_the_rest_waits(school, copied):
    school.directory.is_down = True
    before, after = NINE + MINUTE, NINE + MINUTE + MICROSECOND
    await copied.is_sure_of(before)
    school.now = NINE + 10 * MINUTE

    said = [await copied.sign(s, t) for t in (before, after) for s in (copied.member, copied.stranger)]

    assert said == [ON_TIME, STRANGER, ON_TIME, WAITING]
    assert await copied.sign(StudentId(uuid4()), before + MARGIN + RECENT + MICROSECOND) == WAITING


async def test_who_waits_is_decided_once_the_copy_is_certain_though_academics_cannot_be_asked(school, copied):
    school.directory.is_down = True
    moments = [NINE + n * MINUTE for n in range(1, 4)]
    for student in (copied.member, copied.stranger):
        for t in moments:
            assert await copied.sign(student, t) == WAITING
    asked = copied.asked

    await copied.is_sure_of(moments[1])
    decided = [await copied.resolve(may_ask=False), await copied.resolve(may_ask=False)]

    assert (decided, copied.asked) == ([4, 0], asked)
    assert await copied.undecided() == [WAITING] * 2
    await copied.is_sure_of(moments[2])
    assert (await copied.resolve(), await copied.undecided()) == (2, [])


async def test_while_the_clocks_were_never_compared_nobody_who_waits_is_decided_by_the_copy(school, copied):
    school.directory.is_down = True
    await copied.sign(copied.member)
    await copied.is_sure_of(school.now)
    school.bearings = Bearings()

    assert (await copied.resolve(may_ask=False), await copied.resolve()) == (0, 0)


async def test_one_tainted_course_does_not_hold_up_who_comes_after_it(school, copied, monkeypatch):
    monkeypatch.setattr("attendance_svc.commands.pending.PAGE", 1)
    school.directory.is_down = True
    tainted = await copied.feed.course(school=copied.tenant)
    await school.pool.execute(PARK, tainted)
    await copied.sign(copied.member, NINE, course_id=tainted)
    await copied.sign(copied.member, NINE + MINUTE)
    await copied.is_sure_of(school.now)

    assert await copied.resolve() == 1
    assert [row[:2] for row in await school.rows()] == [WAITING, ON_TIME]


async def test_what_a_phone_says_is_not_believed_because_the_copy_is_certain(school, copied):
    school.phones.is_down, school.codes.reading = True, NfcReading(beacon_id=uuid4(), classroom_id=None, step=1)
    await copied.is_sure_of(school.now)

    assert await copied.sign(copied.member, claim=CLAIM) == WAITING
    assert [await copied.resolve(may_ask=False), await copied.resolve()] == [0, 0]

    school.phones.is_down = False
    assert (await copied.resolve(), copied.asked) == (1, 0)
    assert [row[:2] for row in await school.rows()] == [ON_TIME]


async def test_only_those_are_read_whom_the_copy_may_be_certain_of(school, copied):
    school.directory.is_down = True
    for minute, more in ((1, {}), (2, {"claim": CLAIM}), (3, {})):
        await copied.sign(copied.member, NINE + minute * MINUTE, **more)
    room, until = school.waiting_room, NINE + 2 * MINUTE

    found = [
        await room.list_waiting(after=None, until=latest, with_claims=claims, limit=9)
        for latest in (None, until)
        for claims in (True, False)
    ]

    assert [[each.t.minute for each in page] for page in found] == [[1, 2, 3], [1, 3], [1, 2], [1]]


async def test_who_waits_and_how_old_the_copy_is_can_be_measured(school, copied):
    backlog = PostgresBacklog(school.pool)
    assert (await backlog.count_pending(), await backlog.find_oldest_as_of()) == ({}, None)

    school.directory.is_down = True
    await copied.sign(copied.member)
    await copied.sign(copied.stranger)
    await school.prove(NINE)

    assert await backlog.count_pending() == {"awaiting_validation": 2}
    assert await backlog.find_oldest_as_of() == NINE
    await school.pool.execute("UPDATE streams_checkpoint SET as_of = NULL WHERE shard = 2")
    assert await backlog.find_oldest_as_of() is None


# A no never rests on what is only recent, wherever it comes from.


async def test_the_teacher_who_did_not_come_refuses_nobody_by_facts_that_are_not_certain(school, copied):
    await copied.feed.preferences(school=copied.tenant, students_can_sign_before_teacher=False)
    await school.prove(school.now)
    assert await copied.sign(copied.member) == ("PENDING", "awaiting_teacher")

    await settle_course(school.course.id, at=school.now, open_book=school.open_book, cause=school.cause())
    assert await copied.undecided() == [WAITING]
    assert await copied.resolve(may_ask=False) == 0

    await copied.is_sure_of(school.now)
    assert await copied.resolve(may_ask=False) == 1
    assert [row[:2] for row in await school.rows()] == [("REFUSED", "teacher_absent")]


async def test_who_comes_after_settling_is_not_refused_by_facts_that_are_not_certain_either(school, copied):
    await copied.feed.preferences(school=copied.tenant, students_can_sign_before_teacher=False)
    await settle_course(school.course.id, at=school.now, open_book=school.open_book, cause=school.cause())
    await school.prove(school.now)

    assert await copied.sign(copied.member) == WAITING
    assert await copied.resolve() == 0
    assert await school.pool.fetchval("SELECT count(*) FROM signature_transition") == 1


# Marks by people.


@pytest.fixture
async def present(school, copied, teacher):
    """A teacher whom the copy knows."""
    await copied.feed.course(school.course.id, school=copied.tenant, teacher_ids=[teacher.id])
    await school.prove(school.now)
    return teacher


async def test_people_sign_and_mark_by_a_recent_copy(school, copied, present):
    own = await present.post(course_id=school.course.id)
    other = await mark(present, school, copied.member)

    assert ([own.status, other.status], copied.asked) == ([201, 201], 0)
    steps = await school.pool.fetch("SELECT evidence FROM signature_transition")
    assert [json.loads(step["evidence"])["basis"] for step in steps] == ["recent", "recent"]


async def test_a_no_to_people_is_asked_of_academics(school, copied, present):
    answer = await mark(present, school, copied.stranger)

    assert (answer.status, copied.asked) == (201, 3), "academics knows that the student has just joined"


async def test_while_academics_is_away_people_get_a_yes_or_are_told_so(school, copied, present):
    school.directory.is_down = True

    yes, no = await mark(present, school, copied.member), await mark(present, school, copied.stranger)

    assert (yes.status, no.status, no.body["code"]) == (201, 503, "academics_down")


async def test_a_screen_is_opened_by_a_recent_copy_and_a_no_is_asked_of_academics(school, copied, present):
    course, room, elsewhere = school.course.id, ClassroomId(new_id()), ClassroomId(new_id())
    await copied.feed.course(course, school=copied.tenant, classroom_ids=[room])
    await school.prove(school.now)
    school.directory.elsewhere.add(elsewhere)

    yes = await present.post("/signatures/qr", course_id=course, classroom_id=room)
    asked = copied.asked
    no = await present.post("/signatures/qr", course_id=course, classroom_id=elsewhere)

    assert (yes.status, asked) == (201, 0)
    assert (no.status, no.body["code"], copied.asked) == (409, "wrong_classroom", 3)


async def test_a_correction_says_what_allowed_it(school, copied, present):
    made = await mark(present, school, copied.member)

    changed = await present.patch(made.body["id"], version=1, status="LATE", reason="came late")

    assert changed.status == 200
    last = await school.pool.fetchval("SELECT evidence FROM signature_transition WHERE n = 2")
    assert json.loads(last)["basis"] == "recent"


async def test_a_course_is_shown_by_a_recent_copy(school, copied, present, door):
    seen = [
        await who.get("/signatures/sheet", course_id=school.course.id) for who in (present, door.someone("teacher"))
    ]

    assert [answer.status for answer in seen] == [200, 403]
    assert copied.asked == 2, "the no was asked of academics"
