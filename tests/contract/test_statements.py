"""Every statement fits the migrated schema, and none goes through what grows, however old its plan is."""

import pytest

from attendance_svc.queries import LIST_COUNTING, LIST_STATES
from tests.plans import comparisons_of, counted_empty, indexes_of, scans_of, statements_of

SERVICES = ("academics", "attendance", "beacon", "identity")
# Statements that compare each row of a few with each of a few, and why they are few.
FEW = {
    "academics": {
        "queries.as_of.GROUPS_AS_OF",  # the groups of a course with those of a student
        "queries.courses.ATTENDS",  # the same
        "queries.courses.LIST_COURSES",  # planned anew each time
    },
    "attendance": {
        "store.closing.PUT_OFF",  # the timers that were claimed, with themselves
        "store.sheets.CLAIM",  # the sheets that are claimed, with themselves; shards
        "store.signatures.CHANGE",  # what was found by its place, whether it is of the version that was read
    },
    "beacon": set(),
    "identity": set(),
}
# Statements that read all of a table or of a partial index, and why that is little or seldom.
WHOLE = {
    "academics": {
        "queries.courses.LIST_COURSES",  # planned anew each time
        "queries.parts.LIST_CLASSROOMS",  # planned anew each time
        "queries.parts.LIST_GROUPS",  # planned anew each time
        "queries.schools.LIST_SCHOOLS",  # schools are few
        "store.schools.END_PREFERENCES_VERSION",  # one row per school
    },
    "attendance": {
        "queries.LIST_SIGNATURES",  # planned anew each time
        "store.academics_history.PRUNE_PREFERENCES",  # schools are few
        "store.closing.FORGET",  # when a shard is copied anew
        "store.closing.OLDEST_DUE",  # the timers that run
        "store.closing.RUNNING",  # when a school changes its preferences
        "store.reports.LIST_COURSES",  # planned anew each time
        "store.sheets.CLAIM",  # what changed since its sheet was published
        "store.waiting.COUNT_PENDING",  # what is pending
    },
    "beacon": {
        "jobs.FORGET_ANCHORS",  # beacons, now and then
        "queries.beacons.LIST",  # planned anew each time
    },
    "identity": {
        "jobs.FORGET_CHALLENGES",  # of an hour
        "jobs.FORGET_RESETS",  # of an hour
        "queries.LIST_ACCOUNTS",  # planned anew each time
        "store.accounts.FIND_BY_EMAILS",  # planned anew each time
        "store.accounts.FIND_CREDENTIAL",  # of two partial indexes that cost nothing yet it takes the wrong one
        "store.accounts.FIND_DEV",  # when a service is set up
        "store.devices.UNBIND",  # as FIND_CREDENTIAL, and seldom
        "store.keys.LOCK_KEYS",  # keys are few
    },
}


@pytest.mark.parametrize("service", SERVICES)
async def test_every_statement_prepares_on_the_migrated_schema(databases, service):
    statements = statements_of(service)

    assert len(statements) > 30
    async with counted_empty(await databases(service)) as connection:
        for sql in statements.values():
            await connection.prepare(sql)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_plan_that_was_made_for_empty_tables_compares_only_few_rows(databases, service):
    async with counted_empty(await databases(service)) as connection:
        compared = {name for name, sql in statements_of(service).items() if await comparisons_of(connection, sql)}

    assert compared == FEW[service]


@pytest.mark.parametrize("service", SERVICES)
async def test_a_plan_that_was_made_for_empty_tables_reads_only_small_ones_whole(databases, service):
    async with counted_empty(await databases(service)) as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = {row["tablename"] for row in rows}
        scans = {name: await scans_of(connection, sql, tables) for name, sql in statements_of(service).items()}

    assert {name for name, (_, whole) in scans.items() if whole} == WHOLE[service]


async def test_a_plan_that_was_made_for_empty_tables_looks_at_one_courses_signatures_to_show_them(databases):
    async with counted_empty(await databases("attendance")) as connection:
        for sql in (LIST_COUNTING, LIST_STATES):
            assert await indexes_of(connection, sql, "signature") <= {"signature_standing", "signature_subject"}
