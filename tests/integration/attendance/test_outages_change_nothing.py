"""Whether academics was away or not, in the end everybody is judged the same.

Worlds are drawn by a seed: what academics recorded when, and who signed what, where and when. Each is played twice in
virtual time, with and without an outage. Attempts within five seconds after a change are left out: a yes may rest on
facts of that age.
"""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from attendance_svc.commands.attempts import create_signature_attempt
from attendance_svc.commands.pending import resolve_pending, settle_course
from attendance_svc.queries import list_states
from contracts.ids import ClassroomId, CourseId, StudentId
from tests.fakes.attendance import an_attempt
from tests.integration.attendance.academics_feed import MINUTE, NINE, Feed
from tests.integration.attendance.conftest import a_school
from tests.integration.attendance.playing import submitted
from tests.integration.attendance.virtual_academics import Change, VirtualAcademics

SECOND = timedelta(seconds=1)
RECENT = 5 * SECOND
# How far the copy is behind while all is well.
LAG = timedelta(milliseconds=300)
PLANNED = NINE - 60 * MINUTE
OUTAGE = (NINE + 3 * MINUTE, NINE + 9 * MINUTE)
# Soon after the outage begins, when what was known before it is still recent.
EXCHANGE = OUTAGE[0] + 2 * SECOND
SCHOOL = UUID(int=1)
COUNT = 200
FIRST_STEPS = """
SELECT to_status, evidence->>'basis' AS basis FROM signature_transition WHERE n = 1 AND at >= $1 AND at < $2
"""


@dataclass(frozen=True)
class Act:
    """One attempt; it arrives, in order of `arrives_at`, with this name."""

    name: str
    arrives_at: datetime
    t: datetime
    student: StudentId
    course: CourseId
    room: ClassroomId | None


class World:
    """Three courses, two groups, rooms; changes throughout; attempts by members, strangers and for unknown courses."""

    def __init__(self, seed):
        self.dice = random.Random(seed)  # noqa: S311 -- to be drawn again, no secret
        self.courses = [CourseId(self.id()) for _ in range(4)]
        self.groups = [self.id() for _ in range(2)]
        self.rooms = [ClassroomId(self.id()) for _ in range(2)]
        self.students = [StudentId(self.id()) for _ in range(30)]
        self.changes = [*self.beginning(), *self.later()]
        self.acts = sorted(self.drawn_acts(), key=lambda act: act.arrives_at)

    def id(self):
        return UUID(int=self.dice.getrandbits(128), version=4)

    def beginning(self):
        yield Change(PLANNED, "preferences", None, {"late_grace_minutes": 3})
        self.members = [frozenset(self.students[:12]), frozenset(self.students[8:20])]
        for group, members in zip(self.groups, self.members, strict=True):
            yield Change(PLANNED, "group", group, members)
        self.planned = {}
        for number, course in enumerate(self.courses[:3]):
            self.planned[course] = {
                "start_at": NINE + number * MINUTE,
                "end_at": NINE + (10 + number) * MINUTE,
                "closing_delay_minutes": 3,
                "group_ids": [self.groups[number % 2]],
                "classroom_ids": [self.rooms[0]] if number else [],
            }
            yield Change(PLANNED, "course", course, self.planned[course])

    def later(self):
        moments = [NINE + timedelta(seconds=round(self.dice.uniform(-60, 720), 3)) for _ in range(14)]
        for moment in sorted([*moments, EXCHANGE]):
            yield self.exchange(moment) if moment == EXCHANGE else self.change(moment)

    def exchange(self, at):
        """All who were in the first group leave it, and the others join: a copy of seconds before is wrong."""
        self.members[0] = frozenset(self.students) - self.members[0]
        return Change(at, "group", self.groups[0], self.members[0])

    def change(self, at):
        kind = self.dice.choice(["group", "group", "group", "course", "course", "preferences"])
        if kind == "group":
            number = self.dice.randrange(2)
            self.members[number] ^= frozenset(self.dice.sample(self.students, 3))
            return Change(at, kind, self.groups[number], self.members[number])
        if kind == "preferences":
            return Change(
                at,
                kind,
                None,
                {
                    "late_grace_minutes": self.dice.randrange(5),
                    "students_can_sign_before_teacher": self.dice.random() < 0.8,
                    "enable_flash": self.dice.random() < 0.9,
                },
            )
        course = self.dice.choice(list(self.planned))
        new = {
            "classroom_ids": self.dice.choice([self.rooms[:1], self.rooms, [], self.rooms[1:]]),
            "closing_delay_minutes": self.dice.choice([None, 1, 5]),
            "cancelled": self.dice.random() < 0.05,
        }
        self.planned[course] |= dict([self.dice.choice(list(new.items()))])
        return Change(at, kind, course, dict(self.planned[course]))

    def drawn_acts(self):
        """Half of them are second tries: in the other room, earlier than the first and handed in late, or once more."""
        moment = self.moment()
        for number in range(COUNT):
            if number % 2 == 0:
                moment, student = self.moment(), self.dice.choice(self.students)
                course, room = self.dice.choice(self.courses * 2 + self.courses[:3]), self.room()
            else:
                room = self.room()
                moment = self.moment(moment + self.dice.choice([-200, 20, 60]) * SECOND)
            held = self.dice.choice([0, 0, 0, 2, 30, 240]) * SECOND
            yield Act(f"proof {number}", moment + held, moment, student, course, room)

    def room(self):
        return self.dice.choice([self.rooms[0], self.rooms[0], self.rooms[1], None])

    def moment(self, at=None):
        """A time that does not lie within five seconds after a change: the first one from `at`, or anywhere."""
        since, lasts = (EXCHANGE, MINUTE) if self.dice.random() < 0.3 else (NINE - 30 * SECOND, 12 * MINUTE)
        at = at or since + round(self.dice.random(), 6) * lasts
        for change in sorted(self.changes, key=lambda change: change.at):
            if change.at <= at <= change.at + RECENT:
                at = change.at + RECENT + timedelta(milliseconds=1)
        return at


class Play:
    """One run of a world. away: when academics is away, from and to; None: never."""

    def __init__(self, world, school, away):
        self.world, self.school, self.away = world, school, away
        self.feed = Feed(school.pool)
        school.directory = VirtualAcademics(SCHOOL, world.changes)
        school.bearings.note_clock(NINE, sent_at=NINE, heard_at=NINE)

    async def run(self):
        await self.at(PLANNED + LAG)
        for number, act in enumerate(self.world.acts):
            await self.at(act.arrives_at)
            await self.sign(act)
            if number % 10 == 0:
                await self.resolve(may_ask=number % 20 == 0)
        await self.at(NINE + 30 * MINUTE)
        await self.resolve()
        for course in self.world.courses:
            await settle_course(course, at=self.school.now, open_book=self.school.open_book, cause=self.school.cause())
        await self.resolve(may_ask=False)

    async def sign(self, act):
        attempt = an_attempt(
            act.t,
            course_id=act.course,
            school_id=SCHOOL,
            student_id=act.student,
            classroom_id=act.room,
            idempotency_key=act.name,
            received_at=act.arrives_at,
        )
        await create_signature_attempt(
            submitted(self.school, attempt), sources=self.school.sources, keep=self.school.keep
        )

    async def at(self, now):
        """Let it be `now`. The copy hears what academics says unless it is away."""
        self.school.now = now
        self.school.directory.is_down = self.away is not None and self.away[0] <= now < self.away[1]
        if not self.school.directory.is_down:
            await self.school.directory.tell(self.feed, now - LAG)
            await self.school.prove(now - LAG)

    async def resolve(self, *, may_ask=True):
        await resolve_pending(
            waiting_room=self.school.waiting_room,
            sources=self.school.sources,
            open_book=self.school.open_book,
            cause=self.school.cause(),
            may_ask=may_ask,
        )

    async def states(self):
        """What became of everybody in every course, as its sheet says."""
        async with self.school.pool.acquire() as connection:
            states = {course: await list_states(connection, course) for course in self.world.courses}
        return {(course, each.subject_id): each.status for course, found in states.items() for each in found}

    async def verdicts(self):
        """How each attempt was judged that no other one answers for."""
        rows = await self.school.pool.fetch("SELECT * FROM signature WHERE superseded_by IS NULL")
        return {row["idempotency_key"]: (row["status"], row["reason"]) for row in rows}

    async def first_steps(self):
        """How the attempts that came during the outage were judged at first: status and who said so, counted."""
        rows = await self.school.pool.fetch(FIRST_STEPS, *OUTAGE)
        return Counter((row["to_status"], row["basis"]) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
async def test_with_and_without_an_outage_everybody_is_judged_the_same(databases, seed):
    world = World(seed)
    async with a_school(databases) as usual, a_school(databases) as hit:
        without, with_ = Play(world, usual, None), Play(world, hit, OUTAGE)

        await without.run()
        await with_.run()

        assert await with_.states() == await without.states()
        ended, wanted = await with_.verdicts(), await without.verdicts()
        met, usually = await with_.first_steps(), await without.first_steps()
    both = ended.keys() & wanted.keys()
    assert {name: ended[name] for name in both} == {name: wanted[name] for name in both}
    assert ("PENDING", "awaiting_validation") not in ended.values()
    assert {basis for _, basis in met} <= {"copy", "recent", None}, "nobody could be asked"
    assert met[("REFUSED", "copy")] > 0, "a no from the copy during the outage"
    assert met[("PENDING", None)] > 20, "most had to wait"
    assert not any(status == "PENDING" and basis is None for status, basis in usually)


def test_the_worlds_have_everything_in_them():
    kinds = Counter(change.kind for seed in range(2) for change in World(seed).changes if change.at > PLANNED)
    in_outage = [c for seed in range(2) for c in World(seed).changes if OUTAGE[0] <= c.at < OUTAGE[1]]

    assert kinds.keys() == {"group", "course", "preferences"}
    assert len(in_outage) > 5
