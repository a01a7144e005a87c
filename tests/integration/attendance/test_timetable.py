"""What attendance's own copy of academics can tell about rooms, courses and who is expected."""

from uuid import uuid4

import pytest

from attendance_svc.commands.academics import Academics
from attendance_svc.domain.bearings import Bearings
from attendance_svc.store.copied_courses import CopiedCourses
from attendance_svc.store.timetable import CopiedTimetable
from contracts.problems import UnavailableError
from infra.postgres import create_pool
from tests.integration.attendance.academics_feed import HOUR, MINUTE, NINE, Feed

CHECKPOINT = """
INSERT INTO streams_checkpoint (consumer, source, shard, incarnation, hash, as_of, state)
VALUES ('attendance.copy', 'academics', $1, gen_random_uuid(), $2, $3, $4)
"""
ROOM = uuid4()
SECOND = MINUTE / 60


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test") as made:
        yield made


@pytest.fixture
async def feed(pool):
    made = Feed(pool)
    await made.preferences()
    return made


def remembered(pool):
    """Academics as attendance remembers it; nobody is asked."""
    return Academics(copy=CopiedCourses(pool, shard_count=4), directory=None, bearings=Bearings())


async def proved(pool, as_of, state="running"):
    for shard in range(4):
        await pool.execute(CHECKPOINT, shard, bytes(32), as_of, state)


@pytest.mark.parametrize(
    ("courses", "behind", "is_told"),
    [
        (1, 0, True),
        (1, 5, True),
        (1, 5.001, False),
        (0, -1, True),
        (0, -0.999, False),
        (2, -1, True),
        (2, -0.999, False),
    ],
)
async def test_a_yes_may_be_five_seconds_old_and_a_no_may_not(pool, feed, courses, behind, is_told):
    planned = {await feed.course(classroom_ids=[ROOM]) for _ in range(courses)}
    await proved(pool, NINE - behind * SECOND)

    found = await CopiedTimetable(pool).find_in_room(ROOM, NINE, margin=SECOND)

    assert (None if found is None else set(found)) == (planned if is_told else None)


async def test_a_copy_that_is_made_anew_tells_nothing(pool, feed):
    course_id = await feed.course(classroom_ids=[ROOM])
    await proved(pool, NINE + HOUR, state="repair")

    assert await CopiedTimetable(pool).find_in_room(ROOM, NINE, margin=SECOND) is None
    assert await remembered(pool).recall(course_id, NINE) is None


async def test_before_the_clocks_were_compared_no_room_is_told(pool, feed):
    await feed.course(classroom_ids=[ROOM])
    await proved(pool, NINE + HOUR)

    assert await CopiedTimetable(pool).find_in_room(ROOM, NINE, margin=None) is None


async def test_a_course_is_shown_with_its_teachers(pool, feed):
    teacher = uuid4()
    course_id = await feed.course(teacher_ids=[teacher])
    await proved(pool, NINE - HOUR)

    known = await remembered(pool).recall(course_id, NINE)

    assert (known.plan.course.id, known.plan.course.start_at, known.teacher_ids) == (course_id, NINE, {teacher})
    assert await remembered(pool).recall(uuid4(), NINE) is None


async def test_who_is_expected_is_in_a_group_of_the_course(pool, feed):
    students = [uuid4(), uuid4()]
    course_id = await feed.course(group_ids=[await feed.group(*students)])
    await proved(pool, NINE - HOUR)

    assert await CopiedTimetable(pool).list_expected(course_id, NINE) == sorted(students)


@pytest.mark.parametrize(("as_of", "state"), [(NINE, "repair"), (NINE, "halted"), (None, "running")])
async def test_while_the_copy_is_made_anew_nobody_can_say_who_is_expected(pool, feed, as_of, state):
    course_id = await feed.course(group_ids=[await feed.group(uuid4())])
    await proved(pool, as_of, state)

    for each in (course_id, uuid4()):
        with pytest.raises(UnavailableError):
            await CopiedTimetable(pool).list_expected(each, NINE)
