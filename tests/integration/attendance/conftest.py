"""A migrated database of attendance_svc, a course in it, and the people who know about it."""

import json
from dataclasses import dataclass, replace
from functools import partial

import asyncpg
import pytest

from attendance_svc.commands.asking import Sources
from attendance_svc.store.signatures import open_book
from infra.postgres import create_pool
from streams.outbox import Outbox
from streams.schema import prepare
from tests.fakes.attendance import (
    InMemoryCodes,
    InMemoryDirectory,
    InMemoryPhones,
    InMemoryTimetable,
    a_plan,
)


@dataclass
class School:
    """One course, those who know about it, and the book its signatures go into."""

    pool: object
    directory: InMemoryDirectory
    timetable: InMemoryTimetable
    phones: InMemoryPhones
    codes: InMemoryCodes
    open_book: object
    admin_url: str

    @property
    def course(self):
        return self.directory.plan.course

    @property
    def sources(self):
        return Sources(directory=self.directory, timetable=self.timetable, phones=self.phones, codes=self.codes)

    def prefer(self, **changes):
        plan = self.directory.plan
        self.directory.plan = replace(plan, preferences=replace(plan.preferences, **changes))

    async def events(self):
        """What was announced, in order: (type without prefix and version, data)."""
        rows = await self.pool.fetch("SELECT type, body FROM streams_pending ORDER BY id")
        return [(row["type"].removeprefix("attendance.")[:-3], json.loads(row["body"])) for row in rows]

    async def news(self):
        return [type_ for type_, _ in await self.events()]

    async def count(self, table):
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetchval(f"SELECT count(*) FROM {table}")
        finally:
            await connection.close()


@pytest.fixture
async def school(databases):
    database = await databases("attendance")
    connection = await asyncpg.connect(database.migrate_url)
    await prepare(connection, source="attendance", shard_count=4)
    await connection.close()
    async with create_pool(database.app_url, name="attendance-tests", size=8) as pool:
        yield School(
            pool=pool,
            directory=InMemoryDirectory(a_plan()),
            timetable=InMemoryTimetable(),
            phones=InMemoryPhones(),
            codes=InMemoryCodes(),
            open_book=partial(open_book, pool, Outbox(4), lambda: None),
            admin_url=database.admin_url,
        )
