"""The copy of academics, read outside of any transaction: one statement, one snapshot."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from attendance_svc.domain.copy import CopiedFacts, Question
from attendance_svc.domain.freshness import Kind, SeenVersion
from attendance_svc.store.academics_copy import look_up
from infra.coalescer import Coalescer, in_groups
from infra.postgres import Pool, connection

HAS_COURSE = "SELECT EXISTS (SELECT FROM copy_course WHERE course_id = $1 AND version >= $2)"
HAS_GROUP = "SELECT EXISTS (SELECT FROM copy_group WHERE group_id = $1 AND version >= $2)"
HAS_PREFERENCES = "SELECT EXISTS (SELECT FROM copy_preferences WHERE preferences_id = $1 AND version >= $2)"
FIND_AS_OF = """
SELECT max(as_of) FROM streams_checkpoint
WHERE consumer = 'attendance.copy' AND source = 'academics' AND state = 'running'
"""
HAS: dict[Kind, str] = {"course": HAS_COURSE, "group": HAS_GROUP, "preferences": HAS_PREFERENCES}

READS_AT_ONCE = 2
# What was committed just now is in the copy a moment later; whoever cannot wait longer asks academics.
PATIENCE_S = 0.3
LOOK_EVERY_S = 0.02


class CopiedCourses:
    """Satisfies ports.CourseCopy. What is asked while it is being read is read together, the next time."""

    def __init__(self, pool: Pool, *, shard_count: int) -> None:
        self._pool, self._shard_count = pool, shard_count
        self._reading: Coalescer[Sequence[Question], Sequence[CopiedFacts]] = Coalescer(
            in_groups(self._read), concurrent_count=READS_AT_ONCE, weigh=len
        )

    async def look_up(self, questions: Sequence[Question]) -> Sequence[CopiedFacts]:
        return await self._reading.submit(questions) if questions else []

    async def _read(self, questions: Sequence[Question]) -> Sequence[CopiedFacts]:
        async with connection(self._pool) as lent:
            return await look_up(lent, questions, shard_count=self._shard_count)

    async def has(self, seen: SeenVersion) -> bool:
        ends_at = time.monotonic() + PATIENCE_S
        while not await self._has_now(seen):
            if time.monotonic() >= ends_at:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True

    async def _has_now(self, seen: SeenVersion) -> bool:
        async with connection(self._pool) as lent:
            return bool(await lent.fetchval(HAS[seen.kind], seen.id, seen.version))

    async def find_as_of(self) -> datetime | None:
        async with connection(self._pool) as lent:
            as_of: datetime | None = await lent.fetchval(FIND_AS_OF)
            return as_of
