"""Attendance beside academics as it runs: nobody asks while the copy is fresh, and nobody is refused by an outage."""

import random
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from attendance_svc.clients import GrpcCourseDirectory
from attendance_svc.commands.academics import Academics
from attendance_svc.commands.asking import Sources
from attendance_svc.domain.bearings import Bearings
from attendance_svc.jobs import ClockJob
from attendance_svc.store.copied_courses import CopiedCourses
from attendance_svc.store.timetable import CopiedTimetable
from attendance_svc.store.waiting import PostgresBacklog
from infra.clock import utc_now
from streams.log_grpc import GrpcEventLog
from tests.integration.academics import conftest as academics
from tests.integration.attendance import both_services as both
from tests.integration.attendance.conftest import a_school
from tests.integration.attendance.playing import sign
from tests.integration.attendance.test_freshness import ON_TIME, STRANGER, WAITING, Copied
from tests.waiting import until

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
COUNT = 200
BASES_OF_REFUSALS = "SELECT DISTINCT evidence->>'basis' AS basis FROM signature_transition WHERE to_status = 'REFUSED'"
STATES = """
SELECT course_id, subject_id,
       coalesce(array_agg(DISTINCT status) FILTER (WHERE status <> 'REFUSED'), ARRAY['REFUSED']) AS statuses
FROM signature WHERE superseded_by IS NULL GROUP BY course_id, subject_id
"""
world, school = academics.world, academics.school
switch, source, relaying, channel = both.switch, both.source, both.relaying, both.channel
QUERIES = ("GetCourse", "ValidateStudentCourse", "ValidateClassroomCourse", "GetSchoolPreferences")


class Campus:
    """Courses that academics has, one of them begun long ago, and who is in them."""

    def __init__(self, school):
        self.school, self.tenant = school, school.school
        self.members = [school.person("student") for _ in range(20)]

    async def make(self):
        now = self.school.clock.now = utc_now()
        rooms = [await self.school.make("/classrooms", name=name) for name in ("A1", "B2")]
        self.rooms = [UUID(room["id"]) for room in rooms]
        group = await self.school.a_group(*self.members)
        links = {"group_ids": [group["id"]], "classroom_ids": [rooms[0]["id"]]}
        self.courses = []
        for begun, delay in ((5 * MINUTE, 15), (20 * MINUTE, 30), (20 * MINUTE, 5)):
            times = {"start_at": academics.at(now - begun), "end_at": academics.at(now + 60 * MINUTE)}
            made = await self.school.a_course(closing_delay_minutes=delay, **times, **links)
            self.courses.append(UUID(made["id"]))
        self.made_at = await self.school.database_now()


class Attendance(Copied):
    """Attendance with its copy of the campus, kept by its own consumer; asks over gRPC."""

    def __init__(self, hall, campus, channel, switch):
        self.school, self.campus, self.switch = hall, campus, switch
        self.tenant, self.member, self.stranger = campus.tenant, campus.members[0].id, uuid4()
        copy = CopiedCourses(hall.pool, shard_count=both.SHARDS)
        self.academics = Academics(copy=copy, directory=GrpcCourseDirectory(channel), bearings=Bearings())
        self.clock = ClockJob(
            heads=GrpcEventLog(channel), bearings=self.academics.bearings, shards=range(both.SHARDS), now=utc_now
        )
        sources = Sources(
            academics=self.academics, timetable=CopiedTimetable(hall.pool), phones=hall.phones, codes=hall.codes
        )
        hall.fixed_sources = sources

    async def sign(self, student, at=None, **changes):
        usual = {"course_id": self.campus.courses[0], "school_id": self.tenant, "received_at": at}
        signature = (await sign(self.school, student, at, **(usual | changes))).signature
        return signature.status, signature.reason

    async def is_certain(self, of):
        certain_until = await self.certain_until()
        return certain_until is not None and certain_until > of

    async def certain_until(self):
        """The moment up to which the whole copy is certain."""
        as_of = await PostgresBacklog(self.school.pool).find_oldest_as_of()
        return as_of and as_of - self.academics.margin

    async def is_decided(self):
        """Judge those who wait; a busy machine may let a question's deadline pass."""
        await self.resolve()
        return WAITING not in [row[:2] for row in await self.school.rows() if not row[2]]

    @property
    def questions(self):
        return [name for name in self.switch.called if name in QUERIES]


@pytest.fixture
async def campus(school):
    made = Campus(school)
    await made.make()
    return made


@pytest.fixture
def opened(databases, campus, channel, switch, redis_url):
    """Opens attendance, with a database of its own, and has its clock compared."""

    @asynccontextmanager
    async def open_attendance():
        async with a_school(databases) as hall, both.consuming_into(hall.pool, channel, redis_url):
            made = Attendance(hall, campus, channel, switch)
            await made.clock.measure()
            yield made

    return open_attendance


async def test_a_fresh_copy_says_yes_and_no_without_any_question(opened, relaying, campus):
    async with relaying(), opened() as attendance:
        await until(lambda: attendance.is_certain(campus.made_at), 15)

        exact = [await attendance.sign(who, campus.made_at) for who in (attendance.member, attendance.stranger)]
        recent = await attendance.sign(campus.members[1].id, utc_now())
        unknown = await attendance.sign(attendance.member, campus.made_at, course_id=uuid4())

        assert [*exact, recent, unknown] == [ON_TIME, STRANGER, ON_TIME, ("REFUSED", "course_unknown")]
        assert attendance.questions == []
        assert await attendance.sign(uuid4(), utc_now()) in (STRANGER, WAITING)
        assert set(attendance.questions) >= {"GetCourse", "ValidateStudentCourse"}


async def test_who_waits_in_an_outage_is_decided_by_the_copy_when_the_log_goes_on(opened, relaying, campus, switch):
    async with opened() as attendance:
        async with relaying():
            await until(lambda: attendance.is_certain(campus.made_at), 15)
        now = utc_now() + 6 * SECOND
        switch.is_off = True
        assert await attendance.sign(attendance.stranger, campus.made_at) == STRANGER
        assert await attendance.sign(attendance.member, now) == WAITING

        switch.is_off = False
        asked = len(attendance.questions)
        async with relaying():
            await until(lambda: attendance.is_certain(now), 20)
            assert await attendance.resolve(may_ask=False) == 1

    assert len(attendance.questions) == asked


def drawn(campus, certain_until):
    """Attempts of the time that the copy is certain of, of the seconds after it, and of the minute after them."""
    dice = random.Random(7)  # noqa: S311 -- to be drawn again, no secret
    strangers = [uuid4() for _ in range(5)]
    for number in range(COUNT):
        since = (certain_until - campus.made_at).total_seconds()
        offset = dice.choice([dice.uniform(-since, 0), dice.uniform(0, 6), dice.uniform(6, 60)])
        who = dice.choice([each.id for each in campus.members] + strangers)
        yield (
            who,
            {
                "at": certain_until + timedelta(seconds=round(offset, 3)),
                "course_id": dice.choice([*campus.courses, uuid4()]),
                "classroom_id": dice.choice([*campus.rooms, None]),
                "idempotency_key": f"proof {number}",
            },
        )


@pytest.mark.slow
async def test_academics_away_200_attempts_and_nobody_is_refused_by_it(opened, relaying, campus, switch):
    async with AsyncExitStack() as stack:
        usual, hit = await stack.enter_async_context(opened()), await stack.enter_async_context(opened())
        async with relaying():
            for attendance in (usual, hit):
                await until(lambda asked=attendance: asked.is_certain(campus.made_at), 15)
            proofs = list(drawn(campus, await hit.certain_until()))
            for who, proof in proofs:
                await usual.sign(who, **proof)
            await until(usual.is_decided, 20)
        switch.is_off = True

        said = [await hit.sign(who, **proof) for who, proof in proofs]
        bases = await hit.school.pool.fetch(BASES_OF_REFUSALS)
        switch.is_off = False
        async with relaying():
            await until(hit.is_decided, 30)

        assert {row["basis"] for row in bases} == {"copy"}
        assert said.count(WAITING) > COUNT / 10
        assert await verdicts(hit) == await verdicts(usual)


async def verdicts(attendance):
    """What counts of each student in each course: a presence, a wait, or else the refusal."""
    rows = await attendance.school.pool.fetch(STATES)
    return {(row["course_id"], row["subject_id"]): row["statuses"] for row in rows}
