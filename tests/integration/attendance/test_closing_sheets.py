"""Sheets: who was there, published when signing closed, when anything changed, and for good."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from attendance_svc.domain.bearings import Bearings
from attendance_svc.domain.closing import DueSheet
from attendance_svc.jobs import SheetJob
from attendance_svc.store import sheets as sheets_module
from attendance_svc.store.sheets import PostgresSheets
from attendance_svc.store.signatures import LOCK_ALL, lock_number, open_book
from infra.postgres import create_pool
from streams.outbox import Outbox
from tests.integration.attendance.academics_feed import CLOSED, DAY, HOUR, MINUTE, NINE, SHARDS, Feed
from tests.waiting import until

SECOND = timedelta(seconds=1)
END = NINE + HOUR
CLOSING = NINE + 15 * MINUTE
APART = timedelta(milliseconds=250)
# How far the copy must be beyond a moment before it is believed, when the clocks are that far apart.
SURE = APART + SECOND
MARK = "INSERT INTO sheet_change (course_id) SELECT course_id FROM sheet WHERE course_id = $1 AND version > 0"
SIGN = """
INSERT INTO signature (id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at,
                       rule_version, version, announced)
VALUES (gen_random_uuid(), gen_random_uuid(), $1, $2, $3, $4, 'on_time', 'BEACON', now(), now(), 1, 1, 1)
"""
PARK = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, reason)
VALUES ('attendance.copy', 'academics', $1, 1, 1, $2, 'poison')
"""
CHECKPOINT = """
INSERT INTO streams_checkpoint (consumer, source, shard, incarnation, hash, state)
SELECT 'attendance.copy', 'academics', generate_series(0, 3), gen_random_uuid(), $1, 'running'
"""


class Settling:
    """Opens the real book and notes which courses are settled in it; `during` happens just before."""

    def __init__(self, pool):
        self.pool, self.courses, self.during = pool, [], None

    @asynccontextmanager
    async def open_book(self):
        async with open_book(self.pool, Outbox(SHARDS), lambda *_shards: None) as book:
            yield NotingBook(book, self)


class NotingBook:
    def __init__(self, book, noted):
        self._book, self._noted = book, noted

    def __getattr__(self, name):
        return getattr(self._book, name)

    async def settle(self, course_id, *, at):
        self._noted.courses.append(course_id)
        if self._noted.during:
            await self._noted.during()
        await self._book.settle(course_id, at=at)


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test", transaction_ms=10_000) as made:
        await made.execute(CHECKPOINT, bytes(32))
        yield made


@pytest.fixture
async def feed(pool):
    feed = Feed(pool)
    await feed.preferences()
    return feed


@pytest.fixture
def sheets():
    return PostgresSheets(Outbox(SHARDS))


@pytest.fixture
def settling(pool):
    return Settling(pool)


@pytest.fixture
def bearings():
    """Academics' clock is somewhat ahead of ours."""
    made = Bearings()
    made.note_clock(NINE + APART, sent_at=NINE, heard_at=NINE)
    return made


@pytest.fixture
def look(pool, sheets, settling, bearings):
    """Look at the due sheets when it is `at`, the copy being sure of everything before."""

    async def look_(at, as_of=None, bearings=bearings):
        await pool.execute("UPDATE streams_checkpoint SET as_of = $1", as_of or at)
        job = SheetJob(pool=pool, sheets=sheets, open_book=settling.open_book, bearings=bearings, now=lambda: at)
        return await job.look()

    return look_


@pytest.fixture
def said(pool):
    """What was published since the last time."""
    seen = 0

    async def said_():
        nonlocal seen
        rows = await pool.fetch("SELECT id, body FROM streams_pending WHERE id > $1 ORDER BY id", seen)
        seen = max([seen, *(row["id"] for row in rows)])
        return [json.loads(row["body"]) for row in rows]

    return said_


async def sign(pool, course, student, status="ACCEPTED"):
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK_ALL, [lock_number(course)], [lock_number(course, student)])
        await connection.execute(SIGN, course, "student", student, status)
        await connection.execute(MARK, course)


def news(events):
    return [(event["type"].split(".")[2], event["aggver"]) for event in events]


def counts(event):
    return {k: v for k, v in event["data"].items() if k not in ("course_id", "school_id", "absent_ids")}


@pytest.fixture
async def class_of_four(feed):
    """A course that was signed by one, late by one, whose third is undecided and whose fourth was refused."""
    students = sorted(uuid4() for _ in range(4))
    course = await feed.course(group_ids=[await feed.group(*students)])
    for student, status in zip(students, ("ACCEPTED", "LATE", "PENDING", "REFUSED"), strict=True):
        await sign(feed.pool, course, student, status)
    return course, students


async def test_a_closed_course_has_its_sheet_published(feed, look, said, class_of_four):
    course, students = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)

    await look(CLOSING + SURE)

    [event] = await said()
    assert (event["type"], event["subject"]) == ("attendance.sheet.closed.v1", f"sheet/{course}")
    assert (event["aggver"], event["actor"], event["partitionkey"]) == (1, {"type": "job"}, event["data"]["school_id"])
    assert event["data"]["absent_ids"] == [str(students[3])]
    assert counts(event) == {
        "expected": 4,
        "accepted": 1,
        "late": 1,
        "pending": 1,
        "refused": 1,
        "provisional": True,
    }


async def test_a_sheet_waits_until_the_copy_is_sure_of_the_closing(feed, look, said, class_of_four):
    await feed.course(class_of_four[0], **CLOSED, at=CLOSING)

    await look(CLOSING + HOUR / 4, as_of=CLOSING + SURE - timedelta(microseconds=1))
    assert await said() == []

    await look(CLOSING + HOUR / 4, as_of=CLOSING + SURE)
    assert news(await said()) == [("closed", 1)]


@pytest.mark.parametrize("state", ["repair", "halted"])
async def test_a_sheet_waits_while_the_copy_does_not_run(pool, feed, look, said, class_of_four, state):
    await feed.course(class_of_four[0], **CLOSED, at=CLOSING)
    await pool.execute("UPDATE streams_checkpoint SET state = $1", state)

    assert await look(CLOSING + SURE) == 0
    assert await said() == []


@pytest.mark.parametrize("parked", ["course", "group", "unreadable", "somebody else's"])
async def test_a_sheet_waits_while_what_it_counts_is_not_copied_soundly(pool, feed, look, said, parked):
    group = await feed.group(uuid4())
    course = await feed.course(group_ids=[group], **CLOSED, at=CLOSING)
    aggregate = {"course": course, "group": group, "unreadable": None}.get(parked, uuid4())
    await pool.execute(PARK, feed.said[0].shard, aggregate)
    closed = [("closed", 1)]
    at_once, later = (closed, []) if parked == "somebody else's" else ([], closed)

    await look(CLOSING + SURE)
    assert news(await said()) == at_once

    await pool.execute("DELETE FROM streams_parked")
    await look(CLOSING + SURE + MINUTE)
    assert news(await said()) == later


async def test_sheets_that_wait_do_not_hold_up_others(pool, feed, look, said, monkeypatch):
    monkeypatch.setattr(sheets_module, "CLAIM_LIMIT", 1)
    waiting, course = await feed.course(**CLOSED, at=CLOSING), await feed.course(**CLOSED, at=CLOSING + SECOND)
    await pool.execute(PARK, feed.said[0].shard, waiting)

    for after in (0 * SECOND, SECOND):
        await look(CLOSING + MINUTE + after)

    assert [event["subject"] for event in await said()] == [f"sheet/{course}"]


async def test_a_published_sheet_is_revised_once_for_all_that_changed(pool, feed, look, said, class_of_four):
    course, students = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await said()

    await sign(pool, course, students[2], "LATE")
    await sign(pool, course, students[3], "LATE")
    await look(CLOSING + MINUTE)

    [event] = await said()
    assert news([event]) == [("revised", 2)]
    assert (event["data"]["late"], event["data"]["pending"], event["data"]["absent_ids"]) == (3, 0, [])
    assert await pool.fetchval("SELECT count(*) FROM sheet_change") == 0


async def test_a_change_that_says_nothing_new_is_not_published(pool, feed, look, said, class_of_four):
    course, students = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await said()

    await sign(pool, course, students[3], "REFUSED")
    assert await look(CLOSING + MINUTE) == 1
    assert await look(CLOSING + MINUTE) == 0

    assert await said() == []


async def test_a_sheet_is_revised_once_a_second_at_most(pool, feed, look, said, class_of_four):
    course, students = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await said()
    await sign(pool, course, students[2], "LATE")

    await look(CLOSING + SURE + SECOND - timedelta(microseconds=1))
    assert await said() == []

    await look(CLOSING + SURE + SECOND)
    assert news(await said()) == [("revised", 2)]


async def test_before_the_sheet_is_published_nobody_marks_it(pool, class_of_four):
    assert await pool.fetchval("SELECT count(*) FROM sheet_change") == 0


async def test_a_course_is_settled_once_when_the_copy_is_sure_that_it_is_over(feed, look, settling, class_of_four):
    course, _ = class_of_four

    await look(END + DAY / 4, as_of=END + SURE - timedelta(microseconds=1))
    assert settling.courses == []
    for at in (END + SURE, END + SURE + MINUTE, END + 2 * DAY):
        await look(at)

    assert settling.courses == [course]


async def test_a_sheet_is_final_at_the_end_when_everybody_is_there(feed, look, said):
    student = uuid4()
    course = await feed.course(group_ids=[await feed.group(student)])
    await sign(feed.pool, course, student)
    await feed.course(course, **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await look(END + SURE)

    closed, final = await said()

    assert news([closed, final]) == [("closed", 1), ("final", 2)]
    assert not closed["data"]["provisional"] and not final["data"]["provisional"]


async def test_a_sheet_with_absences_is_final_a_day_after_the_end(feed, look, said, class_of_four):
    await feed.course(class_of_four[0], **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await look(END + SURE)
    await look(END + DAY, as_of=END + DAY)
    assert news(await said()) == [("closed", 1)]

    await look(END + DAY + SURE)
    [final] = await said()
    assert news([final]) == [("final", 2)]
    assert final["data"]["provisional"], "somebody is undecided still"


async def test_a_final_sheet_is_revised_when_a_human_decides(pool, feed, look, said, class_of_four):
    course, students = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await look(END + SURE)
    await look(END + DAY + SURE)
    await said()

    await sign(pool, course, students[3], "ACCEPTED")
    await look(END + 5 * DAY)

    [event] = await said()
    assert news([event]) == [("revised", 3)]
    assert event["data"]["absent_ids"] == []


async def test_a_course_that_nobody_closed_has_its_sheet_after_the_end(look, said, class_of_four):
    await look(END + SURE)

    assert news(await said()) == [("closed", 1)]


async def test_an_extended_course_is_open_for_its_teacher_again(pool, feed, look, settling, class_of_four):
    course, _ = class_of_four
    await look(END + SURE)
    assert await pool.fetchval("SELECT count(*) FROM course_settled") == 1

    await feed.course(course, end_at=END + HOUR, at=END + MINUTE)
    assert await pool.fetchval("SELECT count(*) FROM course_settled") == 0
    await look(END + 2 * MINUTE)
    assert settling.courses == [course]

    await look(END + HOUR + SURE)
    assert settling.courses == [course, course]
    assert await pool.fetchval("SELECT count(*) FROM course_settled") == 1


async def test_a_course_extended_while_it_is_settled_is_settled_again_at_its_new_end(
    pool, feed, look, settling, class_of_four
):
    course, _ = class_of_four
    settling.during = partial(feed.course, course, end_at=END + HOUR, at=END + SECOND)
    await look(END + SURE)
    settling.during = None
    assert await pool.fetchval("SELECT count(*) FROM course_settled") == 0

    await look(END + HOUR + SURE)

    assert settling.courses == [course, course]


async def test_nobody_is_expected_in_a_cancelled_course(feed, look, said, class_of_four):
    course, _ = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    await look(CLOSING + SURE)
    await said()

    await feed.course(course, cancelled=True, at=CLOSING + MINUTE)
    await look(CLOSING + MINUTE + SURE)

    [event] = await said()
    assert (event["data"]["expected"], event["data"]["absent_ids"]) == (0, [])


async def test_who_joined_the_group_after_the_course_was_not_absent(feed, look, said):
    group = await feed.group(uuid4())
    await feed.course(group_ids=[group])
    await feed.members(group, added=[uuid4()], at=END + MINUTE)

    await look(END + HOUR)

    assert [event["data"]["expected"] for event in await said()] == [1]


async def test_publishing_waits_for_whoever_is_just_signing(pool, feed, look, said, class_of_four):
    course, students = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)

    async def is_waiting():
        return await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(LOCK_ALL, [lock_number(course)], [lock_number(course, students[3])])
        looking = asyncio.create_task(look(CLOSING + SURE))
        await until(is_waiting)
        await connection.execute(SIGN, course, "student", students[3], "LATE")
    await looking

    [event] = await said()
    assert event["data"]["absent_ids"] == []


async def test_the_further_the_clocks_are_apart_the_longer_a_sheet_waits(feed, look, class_of_four):
    course, _ = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    apart = Bearings()
    apart.note_clock(NINE - 3 * SECOND, sent_at=NINE, heard_at=NINE)

    assert await look(CLOSING + HOUR / 4, as_of=CLOSING + 4 * SECOND - timedelta(microseconds=1), bearings=apart) == 0
    assert await look(CLOSING + HOUR / 4, as_of=CLOSING + 4 * SECOND, bearings=apart) == 1


async def test_no_sheet_is_looked_at_before_the_clocks_were_compared(feed, look, class_of_four):
    course, _ = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)

    assert await look(CLOSING + HOUR / 4, bearings=Bearings()) == 0
    assert await look(CLOSING + HOUR / 4) == 1


async def test_teachers_are_not_counted(pool, feed, look, said):
    teacher = uuid4()
    course = await feed.course(teacher_ids=[teacher], group_ids=[await feed.group(teacher)])
    await pool.execute(SIGN, course, "teacher", teacher, "ACCEPTED")

    await look(END + SURE)

    assert (await said())[0]["data"]["accepted"] == 0


async def test_a_sheet_that_was_taken_is_left_alone_for_ten_seconds(pool, feed, sheets, class_of_four):
    course, _ = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)
    now = CLOSING + SURE
    await pool.execute("UPDATE streams_checkpoint SET as_of = $1", now)

    moments = [now + after for after in (0 * SECOND, 10 * SECOND - SURE / 2, 10 * SECOND)]
    claims = [await sheets.claim(pool, moment, margin=SURE) for moment in moments]

    due = DueSheet(course_id=course)
    assert claims == [[due], [], [due]]


async def test_replicas_publish_a_sheet_once(pool, feed, sheets, said, class_of_four):
    course, _ = class_of_four
    await feed.course(course, **CLOSED, at=CLOSING)

    async def publish():
        async with pool.acquire() as connection, connection.transaction():
            await sheets.publish(connection, DueSheet(course_id=course), CLOSING + SURE)

    await asyncio.gather(*(publish() for _ in range(3)))

    assert news(await said()) == [("closed", 1)]


async def test_a_replay_publishes_nothing_again(feed, look, said, class_of_four):
    await feed.course(class_of_four[0], **CLOSED, at=CLOSING)
    for at in (CLOSING + SURE, END + SURE, END + DAY + SURE):
        await look(at)
    await said()

    await feed.repeat(*feed.said)
    await feed.door.forget_shard(feed.pool, feed.said[0].shard)
    await feed.repeat(*feed.said)
    await look(END + 2 * DAY)

    assert await said() == []
