"""Events that are applied together have the effect that they have one by one."""

import random
from datetime import timedelta
from uuid import UUID

import pytest

from infra.postgres import create_pool, transaction
from tests.integration.attendance.academics_feed import DAY, HOUR, MINUTE, NINE, PLANNED, SCHOOL, Feed

OTHER_SCHOOL = UUID(int=2)
TABLES = (
    *("copy_course", "copy_course_room", "copy_preferences", "copy_group", "copy_membership"),
    *("course_closing", "sheet", "course_settled"),
)
# Sheets that were published already, and courses that were settled: what a copy that is made anew finds.
PUBLISH = """
INSERT INTO sheet (course_id, school_id, shard, version, is_final, settled_end_at, look_at, expected, accepted, late,
                   pending, refused, absent_ids, provisional)
VALUES ($1, $2, 0, 3, $3, $4, 'infinity', 0, 0, 0, 0, 0, '{}', false)
"""
SETTLE = "INSERT INTO course_settled (course_id, settled_at) VALUES ($1, $2)"


class Story(Feed):
    """Tells what happens without anybody listening."""

    async def say(self, event):
        self.said.append(event)


async def a_story(seed):
    """Two schools with courses, groups and preferences that change, versions in order, clocks now and then back."""
    chance, story = random.Random(seed), Story(None)  # noqa: S311 -- a story, no secret
    schools, students = [SCHOOL, OTHER_SCHOOL], [UUID(int=n) for n in range(100, 106)]
    rooms, at = [UUID(int=n) for n in range(200, 203)], PLANNED
    courses, groups = [], []
    for _ in range(120):
        at += timedelta(minutes=chance.randint(-3, 30))
        school = chance.choice(schools)
        match chance.randrange(12):
            case 0:
                await story.preferences(school=school, at=at, late_grace_minutes=chance.randrange(3))
            case 1:
                groups.append((await story.group(*chance.sample(students, 2), school=school, at=at), school))
            case 2 | 3 | 4 if groups:
                group, of = chance.choice(groups)
                joined, left = chance.sample(students, 2), chance.sample(students, 2)
                await story.members(group, added=joined, removed=left, school=of, at=at)
            case 5 | 6 | 7:
                courses.append((await story.course(school=school, at=at, classroom_ids=rooms[:2]), school))
            case _ if courses:
                course, of = chance.choice(courses)
                await story.course(course, school=of, at=at, **a_change(chance, groups, rooms))
    return story


def a_change(chance, groups, rooms):
    return chance.choice(
        [
            {"end_at": NINE + chance.randint(1, 5) * HOUR},
            {"signature_closed": True, "signature_closed_at": NINE + 15 * MINUTE, "closed_by": "hand"},
            {"signature_closed": False, "signature_closed_at": None, "signing_open_until": NINE + DAY},
            {"cancelled": chance.random() < 0.5},
            {"closing_delay_minutes": chance.choice([None, 5, 20])},
            {"group_ids": [group for group, _ in chance.sample(groups, min(2, len(groups)))]},
            {"classroom_ids": chance.sample(rooms, chance.randrange(3))},
        ]
    )


@pytest.fixture
async def pool(databases):
    # The superuser's: only the owner of tables may empty them.
    async with create_pool((await databases("attendance")).admin_url, name="test", transaction_ms=10_000) as made:
        yield made


async def prepare(pool, story):
    """Make the database what it was before the story, with some of its sheets published."""
    await pool.execute(f"TRUNCATE {', '.join(TABLES)}")
    courses = sorted({event.agg_id for event in story.said if event.subject.startswith("course/")})
    for n, course in enumerate(courses):
        if n % 3:
            await pool.execute(PUBLISH, course, SCHOOL, n % 2 == 0, NINE + 2 * HOUR)
            await pool.execute(SETTLE, course, NINE)


async def rows(pool):
    return {table: sorted(map(str, await pool.fetch(f"SELECT * FROM {table}"))) for table in TABLES}


@pytest.mark.parametrize("seed", range(6))
async def test_a_story_told_in_pieces_of_any_size_leaves_the_same_rows(pool, seed):
    story, chance = await a_story(seed), random.Random(seed)  # noqa: S311 -- no secret
    told = Feed(pool)
    await prepare(pool, story)
    await told.repeat(*story.said)
    one_by_one = await rows(pool)
    await prepare(pool, story)

    left = list(story.said)
    while left:
        size = chance.choice([1, 2, 7, 40, 200])
        # Some of what was told is told again.
        again = story.said[: len(story.said) - len(left)][-chance.randrange(5) or len(story.said) :]
        async with transaction(pool) as connection:
            await told.door.on_events(connection, [*again, *left[:size]])
        left = left[size:]

    assert await rows(pool) == one_by_one
    assert all(one_by_one.values())
