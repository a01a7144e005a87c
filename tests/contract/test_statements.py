"""Every statement fits the migrated schema, and none compares what grows with what grows, however old its plan is."""

import pytest

from tests.plans import comparisons_of, counted_empty, statements_of

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
