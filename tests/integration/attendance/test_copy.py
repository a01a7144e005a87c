"""The copy of academics answers as of a moment, as academics itself would have then."""

import importlib
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from attendance_svc.domain.copy import Question
from attendance_svc.store import academics_copy, academics_history
from infra.postgres import create_pool
from tests.integration.attendance.academics_feed import (
    DAY,
    HOUR,
    MINUTE,
    NINE,
    PLANNED,
    SCHOOL,
    SHARDS,
    Feed,
    shard_in,
)

MICROSECOND = timedelta(microseconds=1)
STUDENT, ROOM = uuid4(), uuid4()
COPIES = ("copy_course", "copy_preferences", "copy_group", "copy_membership")
TABLES = (*COPIES, "copy_course_room")
CHECKPOINT = """
INSERT INTO streams_checkpoint (consumer, source, shard, incarnation, hash, as_of, state)
VALUES ('attendance.copy', 'academics', $1, gen_random_uuid(), $2, $3, $4)
"""
PARK = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, reason)
VALUES ('attendance.copy', 'academics', $1, 1, 1, $2, 'poison')
"""
# Its shard is another one than that of the first school.
OTHER_SCHOOL = UUID(int=2)


@pytest.fixture
async def pool(databases):
    async with create_pool((await databases("attendance")).app_url, name="test") as made:
        yield made


@pytest.fixture
def feed(pool):
    return Feed(pool)


async def facts(pool, course, *, at, student=STUDENT, room=ROOM, school=None):
    asked = Question(course_id=course, at=at, student_id=student, classroom_id=room, school_id=school)
    [found] = await academics_copy.look_up(pool, [asked], shard_count=SHARDS)
    return found


async def rows(pool):
    return {table: sorted(map(str, await pool.fetch(f"SELECT * FROM {table}"))) for table in TABLES}


async def proved(pool, shard=0, *, as_of=NINE, state="running"):
    await pool.execute(CHECKPOINT, shard, bytes(32), as_of, state)


async def test_a_course_counts_from_the_moment_it_was_recorded(pool, feed):
    await feed.preferences()
    course = await feed.course(at=NINE)

    assert (await facts(pool, course, at=NINE - MICROSECOND)).plan.course is None
    known = (await facts(pool, course, at=NINE)).plan
    assert (known.course.id, known.course.version, known.basis) == (course, 1, "copy")


async def test_what_was_recorded_later_does_not_count_earlier(pool, feed):
    await feed.preferences()
    course = await feed.course(classroom_ids=[ROOM])
    await feed.course(course, at=NINE, start_at=NINE + HOUR, end_at=NINE + 2 * HOUR, is_online=True, classroom_ids=[])

    before, after = (
        (await facts(pool, course, at=NINE - MICROSECOND)).plan,
        (await facts(pool, course, at=NINE)).plan,
    )

    assert (before.course.start_at, before.course.is_online, before.has_rooms) == (NINE, False, True)
    assert (after.course.start_at, after.course.is_online, after.has_rooms) == (NINE + HOUR, True, False)


async def test_closed_reopened_and_closed_again_is_known_for_every_moment(pool, feed):
    await feed.preferences()
    course = await feed.course()
    closed = {"signature_closed": True, "closed_by": "hand", "signature_closed_at": NINE + 5 * MINUTE}
    reopened = {"signature_closed": False, "closed_by": None, "signature_closed_at": None}
    await feed.course(course, at=NINE + 5 * MINUTE, **closed)
    await feed.course(course, at=NINE + 9 * MINUTE, **reopened, signing_open_until=NINE + 20 * MINUTE)
    later = {"signature_closed": True, "closed_by": "job", "signature_closed_at": NINE + 20 * MINUTE}
    await feed.course(course, at=NINE + 21 * MINUTE, **later, signing_open_until=None)

    seen = [(await facts(pool, course, at=NINE + n * MINUTE)).plan.course for n in (4, 5, 9, 21)]

    assert [each.is_closed for each in seen] == [False, True, False, True]
    assert [each.closed_at for each in seen] == [None, NINE + 5 * MINUTE, None, NINE + 20 * MINUTE]
    assert [each.open_until for each in seen] == [None, None, NINE + 20 * MINUTE, None]


async def test_a_student_who_changed_groups_was_still_enrolled_before(pool, feed):
    await feed.preferences()
    group = await feed.group(STUDENT)
    course = await feed.course(group_ids=[group, uuid4()])
    await feed.members(group, removed=[STUDENT], at=NINE)
    await feed.members(group, added=[STUDENT], at=NINE + HOUR)

    enrolled = [
        (await facts(pool, course, at=at)).plan.is_enrolled
        for at in (PLANNED, NINE - MICROSECOND, NINE, NINE + HOUR - MICROSECOND, NINE + HOUR)
    ]

    assert enrolled == [True, True, False, False, True]
    assert not (await facts(pool, course, at=PLANNED, student=uuid4())).plan.is_enrolled


async def test_a_groups_link_to_the_course_counts_as_of_the_moment(pool, feed):
    await feed.preferences()
    group = await feed.group(STUDENT)
    course = await feed.course(group_ids=[])
    await feed.course(course, group_ids=[group], at=NINE)

    assert not (await facts(pool, course, at=NINE - MICROSECOND)).plan.is_enrolled
    assert (await facts(pool, course, at=NINE)).plan.is_enrolled


@pytest.mark.parametrize(
    ("rooms", "room", "has_rooms", "is_linked"),
    [([ROOM], ROOM, True, True), ([uuid4()], ROOM, True, False), ([], ROOM, False, False), ([ROOM], None, True, False)],
    ids=["its room", "another room", "no rooms", "no room proved"],
)
async def test_the_proved_room_is_one_of_the_courses_or_not(pool, feed, rooms, room, has_rooms, is_linked):
    await feed.preferences()
    course = await feed.course(classroom_ids=rooms)

    plan = (await facts(pool, course, at=NINE, room=room)).plan

    assert (plan.has_rooms, plan.is_room_linked) == (has_rooms, is_linked)


async def test_preferences_count_as_of_the_moment_and_a_courses_own_delay_goes_first(pool, feed):
    await feed.preferences()
    default, own = await feed.course(), await feed.course(closing_delay_minutes=0)
    changed = {"late_grace_minutes": 7, "enable_nfc": False}
    await feed.preferences(at=NINE, default_signature_closing_delay_minutes=30, **changed)

    before = (await facts(pool, default, at=NINE - MICROSECOND)).plan
    after = (await facts(pool, default, at=NINE)).plan

    assert (before.course.closing_delay, before.preferences.late_grace) == (15 * MINUTE, timedelta(0))
    assert (after.course.closing_delay, after.preferences.late_grace) == (30 * MINUTE, 7 * MINUTE)
    assert (before.preferences.enable_nfc, after.preferences.enable_nfc) == (True, False)
    assert (before.preferences.version, after.preferences.version) == (1, 2)
    assert (await facts(pool, own, at=NINE)).plan.course.closing_delay == timedelta(0)


async def test_without_preferences_the_facts_are_not_known(pool, feed):
    course = await feed.course()

    assert (await facts(pool, course, at=NINE)).plan is None


async def test_the_assigned_teachers_are_told_with_the_facts(pool, feed):
    await feed.preferences()
    teacher = uuid4()
    course = await feed.course(teacher_ids=[teacher])

    assert (await facts(pool, course, at=NINE)).teacher_ids == {teacher}


async def test_a_replay_changes_nothing(pool, feed):
    await feed.preferences()
    await feed.preferences(at=NINE, late_grace_minutes=5)
    group = await feed.group(STUDENT)
    await feed.members(group, removed=[STUDENT], at=NINE)
    await feed.members(group, added=[STUDENT], at=NINE + MINUTE)
    course = await feed.course(group_ids=[group], classroom_ids=[ROOM])
    await feed.course(course, at=NINE, cancelled=True)
    before = await rows(pool)

    await feed.repeat(*feed.said)
    await feed.repeat(*reversed(feed.said))

    assert await rows(pool) == before


async def test_versions_stay_in_order_when_academics_clock_goes_back(pool, feed):
    await feed.preferences()
    group = await feed.group()
    course = await feed.course(at=NINE)
    await feed.course(course, at=NINE - MINUTE, is_online=True)
    await feed.members(group, added=[STUDENT], at=NINE)
    await feed.members(group, removed=[STUDENT], at=NINE - MINUTE)

    assert (await facts(pool, course, at=NINE - MINUTE)).plan.course is None
    assert (await facts(pool, course, at=NINE)).plan.course.is_online


async def test_the_shard_of_the_course_vouches_for_the_facts(pool, feed):
    await feed.preferences(school=OTHER_SCHOOL)
    course = await feed.course(school=OTHER_SCHOOL)
    await proved(pool, shard_in(OTHER_SCHOOL), as_of=NINE)
    await proved(pool, shard_in(SCHOOL), as_of=NINE + HOUR)

    assert (await facts(pool, course, at=NINE)).state.as_of == NINE


async def test_an_unknown_course_is_judged_by_the_askers_shard_or_by_the_whole_copy(pool):
    await proved(pool, shard_in(SCHOOL), as_of=NINE)
    await proved(pool, shard_in(OTHER_SCHOOL), as_of=NINE + HOUR)

    assert (await facts(pool, uuid4(), at=NINE, school=OTHER_SCHOOL)).state.as_of == NINE + HOUR
    assert (await facts(pool, uuid4(), at=NINE)).state.as_of == NINE
    await pool.execute("UPDATE streams_checkpoint SET as_of = NULL WHERE shard = $1", shard_in(OTHER_SCHOOL))
    assert (await facts(pool, uuid4(), at=NINE)).state.as_of is None


@pytest.mark.parametrize("state", ["repair", "halted"])
async def test_a_copy_that_does_not_run_vouches_for_nothing(pool, feed, state):
    await feed.preferences()
    course = await feed.course()
    await proved(pool, shard_in(SCHOOL), state=state)

    assert not (await facts(pool, course, at=NINE)).state.is_running


async def test_without_a_checkpoint_nothing_is_vouched_for(pool):
    state = (await facts(pool, uuid4(), at=NINE)).state

    assert (state.as_of, state.is_running, state.logs) == (None, False, frozenset())


async def test_what_could_not_be_applied_taints_what_it_was_about(pool, feed):
    preferences = await feed.preferences()
    group = await feed.group(STUDENT)
    course, stranger = await feed.course(group_ids=[group]), await feed.course()

    for aggregate, tainted in [(uuid4(), []), (course, [course]), (group, [course]), (preferences.agg_id, None)]:
        await pool.execute(PARK, shard_in(SCHOOL), aggregate)
        found = [each for each in (course, stranger) if (await facts(pool, each, at=NINE)).state.is_tainted]
        assert found == ([course, stranger] if tainted is None else tainted)
        await pool.execute("DELETE FROM streams_parked")


async def test_an_unreadable_event_taints_its_whole_shard_until_it_is_dropped(pool, feed):
    await feed.preferences()
    course = await feed.course()
    await pool.execute(PARK, shard_in(OTHER_SCHOOL), None)
    assert not (await facts(pool, course, at=NINE)).state.is_tainted

    await pool.execute("UPDATE streams_parked SET shard = $1", shard_in(SCHOOL))
    assert (await facts(pool, course, at=NINE)).state.is_tainted

    await pool.execute("UPDATE streams_parked SET dropped_at = now()")
    assert not (await facts(pool, course, at=NINE)).state.is_tainted


async def in_room(pool, at, room=ROOM):
    return await academics_copy.find_courses_in_room(pool, room, at)


async def test_the_course_in_a_room_is_found_by_its_window(pool, feed):
    await feed.preferences(early_open_minutes=10)
    course = await feed.course(classroom_ids=[uuid4(), ROOM])

    found = [await in_room(pool, at) for at in (NINE - 10 * MINUTE, NINE, NINE + HOUR)]
    missed = [await in_room(pool, at) for at in (NINE - 10 * MINUTE - MICROSECOND, NINE + HOUR + MICROSECOND)]

    assert found == [[course]] * 3
    assert missed == [[], []]
    assert await in_room(pool, NINE, uuid4()) == []


async def test_two_courses_in_a_room_are_both_found(pool, feed):
    await feed.preferences()
    courses = {await feed.course(classroom_ids=[ROOM]), await feed.course(classroom_ids=[ROOM])}

    assert set(await in_room(pool, NINE)) == courses


async def test_a_cancelled_course_gives_way_to_the_one_that_takes_place(pool, feed):
    await feed.preferences()
    cancelled = await feed.course(classroom_ids=[ROOM], cancelled=True)
    assert await in_room(pool, NINE) == [cancelled]

    course = await feed.course(classroom_ids=[ROOM])
    assert await in_room(pool, NINE) == [course]


async def test_a_course_that_moved_to_another_room_was_in_the_old_one_before(pool, feed):
    await feed.preferences()
    course = await feed.course(classroom_ids=[ROOM])
    await feed.course(course, classroom_ids=[uuid4()], at=NINE + MINUTE)

    assert await in_room(pool, NINE) == [course]
    assert await in_room(pool, NINE + MINUTE) == []


async def test_the_roster_is_that_of_the_moment_and_names_nobody_twice(pool, feed):
    anna, ben, carla = sorted(uuid4() for _ in range(3))
    first, second = await feed.group(anna, ben), await feed.group(ben)
    course = await feed.course(group_ids=[first, second])
    await feed.members(second, added=[carla], at=NINE + MINUTE)
    await feed.members(first, removed=[anna, ben], at=NINE + HOUR)

    assert await academics_copy.roster(pool, course, NINE) == [anna, ben]
    assert await academics_copy.roster(pool, course, NINE + MINUTE) == [anna, ben, carla]
    assert await academics_copy.roster(pool, course, NINE + DAY) == [ben, carla]
    assert await academics_copy.roster(pool, uuid4(), NINE) == []


async def test_a_course_entered_afterwards_has_the_roster_it_began_with(pool, feed):
    group = await feed.group(STUDENT, at=NINE + DAY)
    course = await feed.course(group_ids=[group], at=NINE + 2 * DAY)
    await feed.course(course, group_ids=[], at=NINE + 3 * DAY)

    assert await academics_copy.roster(pool, course, NINE + HOUR) == [STUDENT]


async def test_emptying_a_shard_leaves_the_others(pool, feed):
    for school in (SCHOOL, OTHER_SCHOOL):
        await feed.preferences(school=school)
        await feed.course(group_ids=[await feed.group(STUDENT, school=school)], school=school)

    await academics_history.truncate_shard(pool, shard_in(SCHOOL))

    left = [{row["shard"] for row in await pool.fetch(f"SELECT shard FROM {table}")} for table in COPIES]
    assert left == [{shard_in(OTHER_SCHOOL)}] * 4


async def test_what_is_forgotten_first_is_filled_the_same_by_a_replay(pool, feed):
    await feed.preferences()
    course = await feed.course(group_ids=[await feed.group(STUDENT)], classroom_ids=[ROOM])
    await feed.course(course, at=NINE, is_online=True)
    before = await rows(pool)

    await feed.door.forget_shard(pool, shard_in(SCHOOL))
    assert not any((await rows(pool)).values())
    await feed.repeat(*feed.said)

    assert await rows(pool) == before


async def test_old_versions_are_forgotten_but_not_what_a_sheet_is_counted_by(pool, feed):
    await feed.preferences(at=PLANNED)
    await feed.preferences(at=PLANNED + DAY, late_grace_minutes=1)
    course = await feed.course(at=PLANNED, classroom_ids=[ROOM])
    for version, at in enumerate((PLANNED + DAY, NINE + 2 * HOUR, NINE + 3 * HOUR), start=2):
        await feed.course(course, at=at, closing_delay_minutes=version)

    await academics_history.prune(pool, NINE + DAY)

    kept = await pool.fetch("SELECT version FROM copy_course ORDER BY version")
    assert [row["version"] for row in kept] == [2, 4]
    assert [row["version"] for row in await pool.fetch("SELECT version FROM copy_preferences")] == [2]


async def test_of_what_was_forgotten_the_copy_says_that_it_knows_too_little(pool, feed):
    await proved(pool, shard_in(SCHOOL), as_of=NINE + DAY)
    course = await feed.course(at=PLANNED)

    await academics_history.prune(pool, NINE)

    assert (await facts(pool, course, at=NINE)).state.facts_since == NINE
    await academics_history.prune(pool, NINE - DAY)
    assert (await facts(pool, course, at=NINE)).state.facts_since == NINE


async def test_a_version_that_still_counted_within_the_time_kept_stays(pool, feed):
    course = await feed.course(at=PLANNED)
    await feed.course(course, at=NINE, is_online=True)

    await academics_history.prune(pool, NINE)

    assert await pool.fetchval("SELECT count(*) FROM copy_course") == 2


@pytest.mark.parametrize("spoil", [{"end_at": "soon"}, {"group_ids": ["x"]}, {"cancelled": None}])
async def test_an_event_that_its_model_refuses_leaves_no_trace(pool, feed, spoil):
    await feed.course()
    event = replace(feed.said[0], aggver=2, data=feed.said[0].data | spoil)
    before = await rows(pool)

    with pytest.raises(ValidationError):
        await feed.say(event)

    assert await rows(pool) == before


async def test_an_event_that_does_not_say_when_it_was_recorded_is_refused(pool, feed):
    await feed.course()

    with pytest.raises(academics_history.IncompleteEventError):
        await feed.say(replace(feed.without_recorded_time(feed.said[0]), aggver=2))


@pytest.mark.parametrize("module", ["academics_copy", "academics_history", "closing", "sheets"])
async def test_every_statement_prepares_on_the_migrated_schema(module, pool):
    values = vars(importlib.import_module(f"attendance_svc.store.{module}")).items()
    statements = [v for k, v in values if k.isupper() and isinstance(v, str)]
    assert statements
    async with pool.acquire() as connection:
        for sql in statements:
            await connection.prepare(sql)
