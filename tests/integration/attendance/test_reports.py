"""Reports are counted as sheets are: by who was expected when each course ended."""

import random
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from attendance_svc.domain.closing import count_sheet
from attendance_svc.domain.reports import ReportScope, Tally
from attendance_svc.queries import list_states
from attendance_svc.store import reports as reports_module
from attendance_svc.store.academics_copy import roster
from attendance_svc.store.reports import PostgresReports
from contracts.problems import InvalidInputError, UnavailableError
from infra.postgres import create_pool
from tests.integration.attendance.academics_feed import DAY, HOUR, MINUTE, NINE, SCHOOL, Feed, shard_in

TERM = ReportScope(school_id=SCHOOL, since=NINE, until=NINE + 100 * DAY)
LATER = NINE + 200 * DAY
SIGN = """
INSERT INTO signature (id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at,
                       rule_version, version, announced, voided_at)
VALUES (gen_random_uuid(), $5, $1, $2, $3, $4, 'on_time', 'BEACON', $6, $6, 1, 1, 1, $7)
"""
CHECKPOINT = """
INSERT INTO streams_checkpoint (consumer, source, shard, incarnation, hash, as_of, state)
SELECT 'attendance.copy', 'academics', generate_series(0, 3), gen_random_uuid(), $1, now(), 'running'
"""
STAND = """
UPDATE streams_checkpoint
SET state = CASE WHEN shard = $1 THEN $2 ELSE $4 END, as_of = CASE WHEN shard = $1 THEN $3::timestamptz ELSE $5 END
"""
PARK = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, type, reason)
SELECT 'attendance.copy', 'academics', $1, count(*), 1, $2, $3, 'poison' FROM streams_parked
"""


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test", transaction_ms=10_000) as made:
        await made.execute(CHECKPOINT, bytes(32))
        yield made


@pytest.fixture
async def feed(pool):
    return Feed(pool)


@pytest.fixture
def count(pool):
    """What is reported, by student: of the whole term, long after it."""

    async def count_(*, now=LATER, **changes):
        paging = {name: changes.pop(name) for name in ("after", "limit") if name in changes}
        report = await PostgresReports(pool, shard_count=4).count(replace(TERM, **changes), now=now, **paging)
        return {each.student_id: each for each in report.students}

    return count_


async def plan(feed, day, *groups, **more):
    """A course of an hour, so many days into the term."""
    return await feed.course(start_at=NINE + day * DAY, end_at=NINE + day * DAY + HOUR, group_ids=list(groups), **more)


async def sign(pool, course, student, status="ACCEPTED", kind="student", *, is_voided=False):
    await pool.execute(SIGN, course, kind, student, status, SCHOOL, NINE, NINE if is_voided else None)


def expected(report):
    return {student: each.tally.expected for student, each in report.items()}


async def test_who_changes_group_in_between_is_counted_where_they_were(pool, feed, count):
    mover, stayer, joiner = (uuid4() for _ in range(3))
    first, second = await feed.group(mover, stayer), await feed.group(joiner)
    courses = [await plan(feed, day, group) for day in (0, 2) for group in (first, second)]
    courses.append(await plan(feed, 3, first, second))
    await sign(pool, courses[0], mover)
    await feed.members(first, removed=[mover], at=NINE + DAY)
    await feed.members(second, added=[mover], at=NINE + DAY)

    assert expected(await count(group_id=first)) == {mover: 1, stayer: 3}
    assert expected(await count(group_id=second)) == {mover: 2, joiner: 3}
    [moved] = (await count(student_id=mover)).values()
    assert [(each.course_id, each.state) for each in moved.courses] == [
        (courses[0], "ACCEPTED"),
        (courses[3], "ABSENT"),
        (courses[4], "ABSENT"),
    ]
    assert (moved.tally.expected, moved.tally.accepted, moved.tally.absent) == (3, 1, 2)


async def test_each_signature_counts_as_on_a_sheet(pool, feed, count):
    student, walk_in = uuid4(), uuid4()
    group, other = await feed.group(student), await feed.group(student)
    courses = [await plan(feed, day, group, other) for day in range(8)]
    for course, statuses in enumerate((["ACCEPTED"], ["LATE", "REFUSED"], ["PENDING"], ["REFUSED", "REFUSED"], [])):
        for status in statuses:
            await sign(pool, courses[course], student, status)
    await sign(pool, courses[5], student, is_voided=True)
    await sign(pool, courses[6], student, kind="teacher")
    await sign(pool, courses[7], walk_in)

    counted = await count(group_id=group)

    assert {id_: each.tally for id_, each in counted.items()} == {
        student: Tally(expected=8, accepted=1, late=1, pending=1, refused=1, absent=5, awaited=0)
    }
    [followed] = (await count(student_id=student)).values()
    assert followed.tally == counted[student].tally
    assert [each.state for each in followed.courses] == ["ACCEPTED", "LATE", "PENDING", *["ABSENT"] * 5]
    assert [each.reason for each in followed.courses] == [*["on_time"] * 4, *[None] * 4]


async def test_which_courses_count(feed, count):
    teacher, student = uuid4(), uuid4()
    group = await feed.group(student)
    first = await plan(feed, 0, group, teacher_ids=[uuid4(), teacher])
    moved = await plan(feed, 50, group, teacher_ids=[teacher])
    await feed.course(moved, start_at=TERM.until, end_at=TERM.until + HOUR)
    await plan(feed, 1, group, cancelled=True)
    await plan(feed, -1, group)
    last = await feed.course(start_at=TERM.until - MINUTE, end_at=TERM.until + HOUR, group_ids=[group])
    await feed.course(school=UUID(int=2), group_ids=[group])

    async def courses(**scope):
        found = await count(student_id=student, **scope)
        return [each.course_id for report in found.values() for each in report.courses]

    assert await courses() == [first, last]
    assert await courses(teacher_id=teacher) == [first]
    assert await courses(course_id=last) == [last]
    assert await courses(course_id=last, teacher_id=teacher) == []
    assert await courses(group_id=group) == [first, last]
    assert await courses(group_id=uuid4()) == []
    assert await courses(until=TERM.until + MINUTE) == [first, last, moved]


async def test_who_has_not_signed_is_awaited_until_the_course_is_over(pool, feed, count):
    there, not_there = sorted((uuid4(), uuid4()))
    course = await plan(feed, 0, await feed.group(there, not_there))
    await sign(pool, course, there)
    during, after = NINE + HOUR, NINE + HOUR + timedelta(milliseconds=1)

    seen = [[each.tally for each in (await count(course_id=course, now=now)).values()] for now in (during, after)]

    assert [(first.accepted, first.awaited, first.absent) for first, _ in seen] == [(1, 0, 0), (1, 0, 0)]
    assert [(second.accepted, second.awaited, second.absent) for _, second in seen] == [(0, 1, 0), (0, 0, 1)]


async def test_pages_hold_everybody_once(feed, count):
    students = sorted(uuid4() for _ in range(5))
    for day, number in enumerate((3, 5)):
        await plan(feed, day, await feed.group(*students[:number]), await feed.group(students[0]))
    after, pages = None, []

    while not pages or pages[-1]:
        page = await count(after=after, limit=2)
        pages.append(expected(page))
        after = max(page, default=None)

    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert {id_: n for page in pages for id_, n in page.items()} == dict(zip(students, (2, 2, 2, 1, 1), strict=True))
    assert await count(student_id=students[0], after=students[0]) == {}


@pytest.mark.parametrize("state", ["repair", "halted", "unknown"])
async def test_a_copy_that_is_not_whole_counts_nobody(pool, feed, count, state):
    await plan(feed, 0, await feed.group(uuid4()))
    whole, broken = ("running", NINE), ("running", None) if state == "unknown" else (state, NINE)

    await pool.execute(STAND, shard_in(SCHOOL), *whole, *broken)
    assert await count()

    await pool.execute(STAND, shard_in(SCHOOL), *broken, *whole)
    with pytest.raises(UnavailableError):
        await count()


@pytest.mark.parametrize("parked", ["course", "group", "unheard of", "unreadable"])
async def test_nobody_is_counted_while_something_of_the_school_is_put_aside(pool, feed, count, parked):
    group = await feed.group(uuid4())
    course = await plan(feed, 0, group)
    aggregates = {"course": course, "group": group, "unheard of": uuid4(), "unreadable": None}

    await pool.execute(PARK, shard_in(SCHOOL), aggregates[parked], "academics.course.created.v1")
    with pytest.raises(UnavailableError):
        await count()

    await pool.execute("UPDATE streams_parked SET dropped_at = now()")
    assert await count()


async def test_what_else_is_put_aside_does_not_matter(pool, feed, count):
    await plan(feed, 0, await feed.group(uuid4()))
    foreign = UUID(int=2)
    aggregates = [await feed.course(school=foreign), await feed.group(uuid4(), school=foreign)]

    for aggregate in aggregates:
        await pool.execute(PARK, shard_in(SCHOOL), aggregate, "academics.course.updated.v1")
    await pool.execute(PARK, shard_in(SCHOOL), uuid4(), "academics.preferences.updated.v1")
    await pool.execute(PARK, shard_in(SCHOOL) ^ 1, uuid4(), "academics.course.created.v1")

    assert await count()


async def test_too_many_courses_are_refused_instead_of_left_out(monkeypatch, feed, count):
    monkeypatch.setattr(reports_module, "MAX_COURSES", 2)
    group = await feed.group(uuid4())
    for day in range(2):
        await plan(feed, day, group)
    assert await count(group_id=group)

    await plan(feed, 2, group)
    with pytest.raises(InvalidInputError):
        await count(group_id=group)


class Term:
    """A term drawn by a seed: courses that are planned, moved and regrouped, students who come and go, signatures."""

    def __init__(self, feed, seed):
        self.feed, self.dice = feed, random.Random(seed)  # noqa: S311 -- to be drawn again, no secret
        self.students = [UUID(int=self.dice.getrandbits(128), version=4) for _ in range(9)]

    async def pass_by(self):
        members = [set(self.dice.sample(self.students, 4)) for _ in range(3)]
        groups = [await self.feed.group(*each) for each in members]
        courses = {await plan(self.feed, self.dice.randrange(9), *self.some(groups)): self.ends() for _ in range(6)}
        for at in sorted(self.moment() for _ in range(25)):
            number, course = self.dice.randrange(3), self.dice.choice(list(courses))
            if self.dice.random() < 0.6:
                changed = set(self.dice.sample(self.students, 2))
                added, removed = changed - members[number], changed & members[number]
                members[number] ^= changed
                await self.feed.members(groups[number], added=sorted(added), removed=sorted(removed), at=at)
            else:
                end_at = self.ends()
                times = {"start_at": end_at - HOUR, "end_at": end_at}
                await self.feed.course(course, group_ids=self.some(groups), **times, at=at)
        for course in courses:
            for student in self.dice.sample(self.students, 6):
                await sign(
                    self.feed.pool, course, student, self.dice.choice(["ACCEPTED", "LATE", "PENDING", "REFUSED"])
                )
        return courses

    def some(self, groups):
        return self.dice.sample(groups, self.dice.randrange(1, 3))

    def moment(self):
        return NINE + self.dice.random() * 9 * DAY

    def ends(self):
        return NINE + self.dice.randrange(9) * DAY + HOUR


@pytest.mark.parametrize("seed", range(2))
async def test_a_report_is_the_sum_of_its_sheets(pool, feed, count, seed):
    courses = await Term(feed, seed).pass_by()
    now = NINE + 5 * DAY
    counts, rosters = [], []
    async with pool.acquire() as lent:
        for course in courses:
            end_at = await lent.fetchval(
                "SELECT end_at FROM copy_course WHERE course_id = $1 AND recorded_to = 'infinity'", course
            )
            rosters.append(await roster(lent, course, min(now, end_at)))
            states = await list_states(lent, course)
            counts.append(count_sheet(rosters[-1], [(each.subject_id, each.status) for each in states]))

    report = await count(now=now)

    assert expected(report) == {id_: sum(id_ in each for each in rosters) for each in rosters for id_ in each}
    tallies = [each.tally for each in report.values()]
    for name in ("expected", "accepted", "late", "pending", "refused"):
        assert sum(getattr(each, name) for each in tallies) == sum(getattr(each, name) for each in counts), name
    assert sum(each.absent + each.awaited for each in tallies) == sum(len(each.absent_ids) for each in counts)
    followed = [(await count(now=now, student_id=student))[student] for student in report]
    assert [each.tally for each in followed] == tallies
