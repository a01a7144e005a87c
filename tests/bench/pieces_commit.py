"""What it brings to commit for many callers at once, and what it costs a caller who is alone (G7)."""

import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import repeat
from statistics import median
from uuid import UUID, uuid4

import asyncpg

from infra.coalescer import Coalescer
from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample, over
from tests.bench.floors import ADD_ONE, SCHEMA
from tests.bench.load import Call, closed_loop
from tests.bench.pieces_ground import Workshop

EACH = "a commit per request, 256 callers"
GROUPED = "group commit, 256 callers"
CALLERS = 256
POOL_SIZE = 10
WARM_UP_S = 0.3
# A few calls would compare two moments of the disk.
LEAST_ALONE_S = 2.0
TEXT, BODY = "x" * 300, b"y" * 600
# The rows of ADD_ONE, for many.
ADD_MANY = """
WITH i AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS t (id, key, text, body)),
     a AS (INSERT INTO a SELECT id, key, text FROM i), b AS (INSERT INTO b SELECT id, 1, text FROM i)
INSERT INTO c (body) SELECT body FROM i
"""

Work = Callable[[], Awaitable[None]]


async def measure_commits(ground: Workshop, seconds: float) -> tuple[list[Sample], dict[str, float]]:
    """Return the samples and G7: how many together for the CPU of one by itself, and per cent lost by being alone."""
    async with asyncpg.create_pool(ground.postgres.admin_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        await pool.execute(SCHEMA)
        coalescer: Coalescer[UUID, None] = Coalescer(Batches(pool).keep)

        async def one() -> None:
            made = uuid4()
            await pool.execute(ADD_ONE, made, str(made), TEXT, BODY)

        async def grouped() -> None:
            await coalescer.submit(uuid4())

        each = await measure(ground, EACH, one, CALLERS, seconds)
        many = await measure(ground, GROUPED, grouped, CALLERS, seconds)
        alone_s, grouped_s = await in_turns(one, grouped, max(seconds, LEAST_ALONE_S))
    return [each, many], {
        "G7": over(each.total_cpu_us, many.total_cpu_us),
        "G7 alone": max(0.0, over(median(grouped_s), median(alone_s)) - 1) * 100,
    }


async def in_turns(one: Work, other: Work, seconds: float) -> tuple[list[float], list[float]]:
    """Return the seconds of each call of a single caller, who does both in turns: so both meet the same disk."""
    taken: tuple[list[float], list[float]] = ([], [])
    ends_at = time.perf_counter() + seconds
    while time.perf_counter() < ends_at or not taken[1]:
        for work, of_work in zip((one, other), taken, strict=True):
            started = time.perf_counter()
            await work()
            of_work.append(time.perf_counter() - started)
    return taken


class Batches:
    """Keeps rows in one statement and one commit."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def keep(self, ids: Sequence[UUID]) -> list[None]:
        count = len(ids)
        await self._pool.execute(ADD_MANY, ids, list(map(str, ids)), [TEXT] * count, [BODY] * count)
        return [None] * count


async def measure(ground: Workshop, name: str, work: Work, callers: int, seconds: float) -> Sample:
    """Let so many callers do it again and again."""

    async def call() -> str | None:
        await work()
        return None

    def lines() -> Iterator[Iterator[Call]]:
        return repeat(repeat(call), callers)

    await closed_loop(lines(), seconds=WARM_UP_S)
    programs = {"client": [os.getpid()], "postgres": [ground.postgres.child.pid]}
    with CpuMeter(programs, bystanders=[*ground.bystanders, ground.valkey.child.pid]) as used:
        load = await closed_loop(lines(), seconds=seconds)
    return load.sample(name, used)
