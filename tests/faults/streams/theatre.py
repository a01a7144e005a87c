"""The stage of a fault: a producer and a consumer as processes of their own, and what was seen of them."""

import asyncio
import json
import subprocess
import sys
from bisect import bisect_left
from contextlib import asynccontextmanager
from itertools import accumulate

import asyncpg

from infra.local.ports import free_port
from infra.postgres import DOWN
from tests.faults.streams.part import SHARDS
from tests.faults.table import Figures
from tests.streams_builders import SCHOOLS
from tests.waiting import until

# A machine may be busy; only what is promised in seconds is asserted in seconds.
PATIENCE_S = 30
AWAY = (TimeoutError, asyncpg.PostgresError, *DOWN)
AGES = """
SELECT shard, extract(epoch FROM clock_timestamp() - as_of)::float8 AS age_s FROM streams_checkpoint ORDER BY shard
"""
CLAIMS = """
SELECT c.shard, as_of, greatest(
    (SELECT max(pos) FROM effect e WHERE e.shard = c.shard),
    (SELECT max(pos) FROM streams_parked p WHERE p.shard = c.shard)) AS pos
FROM streams_checkpoint c WHERE as_of IS NOT NULL
"""
HELD = "SELECT count(*) > 0 FROM streams_checkpoint WHERE owner = $1 AND lease_until > clock_timestamp()"
LOG = "SELECT shard, pos, event_id, agg_id, type FROM streams_log ORDER BY shard, pos"
EFFECTS = "SELECT shard, pos, event_id FROM effect ORDER BY id"
# As academics records: while a clock repeats itself, from the newest moment that was promised.
RECORDED = "SELECT greatest(clock_timestamp(), (SELECT max(closed_t) FROM streams_shard))"
PARKED = "SELECT shard, pos FROM streams_parked"


class Theatre:
    """Where a fault is played: two databases, a Redis, processes, and what was seen of them.

    skipped: types that the consumer may pass over. by_aggregate: order is promised of each aggregate, not each shard.
    """

    def __init__(self, *, postgres, valkey, producer, copy, folder):
        self.postgres, self.valkey, self.folder = postgres, valkey, folder
        self.producer, self.copy, self.port = producer, copy, free_port()
        self.processes, self.acknowledged, self.samples = [], [], []
        self.pool, self.copy_pool, self.writer = None, None, None
        self.injected, self.skipped, self.by_aggregate, self.lease_s = 0, set(), False, 2
        self.turned_away = 0

    def start(self, part, **settings):
        """Start a process; return it."""
        database = self.copy if part == "consumer" else self.producer
        settings = {"database": database, "redis": self.valkey.url(), "port": self.port, **settings}
        if part == "consumer":
            settings = {"lease_s": self.lease_s, **settings}
        command = [sys.executable, "-m", "tests.faults.streams.part", part, json.dumps(settings)]
        with (self.folder / f"{part}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def both(self):
        """Start one relay and one consumer."""
        return self.start("relay"), self.start("consumer", owner="a")

    async def write(self, count=1, pause_s=0.005, **changes):
        """Write events one by one, coming back when the database is away; note those that were acknowledged."""
        for n in range(count):
            try:
                ids = await self.writer.paint(**({"school": SCHOOLS[n % 3]} | changes))
                self.acknowledged.append((ids[0], await self.pool.fetchval(RECORDED)))
            except AWAY:
                self.turned_away += 1
                await asyncio.sleep(0.05)
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def load(self):
        """Write all the time."""
        task = asyncio.create_task(self.write(10**6))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def log(self):
        return [(row["shard"], row["pos"], row["event_id"]) for row in await self.pool.fetch(LOG)]

    async def effects(self):
        rows = await self.copy_pool.fetch(EFFECTS)
        return sorted(((row["shard"], row["pos"], row["event_id"]) for row in rows), key=lambda effect: effect[0])

    async def ages_s(self):
        """Seconds since the moment at which each shard of the copy was exact; infinite while unknown."""
        rows = await self.copy_pool.fetch(AGES)
        ages = [float("inf") if row["age_s"] is None else row["age_s"] for row in rows]
        return ages if len(ages) == SHARDS else [float("inf")] * SHARDS

    async def as_of_age_s(self):
        return max(await self.ages_s())

    async def is_fresh(self):
        return await self.as_of_age_s() < 1.0

    async def watch(self):
        """Note what the copy claims and has, again and again."""
        while True:
            try:
                rows = await self.copy_pool.fetch(CLAIMS)
                self.samples += [(row["shard"], row["as_of"], row["pos"] or 0) for row in rows]
            except AWAY:
                pass
            await asyncio.sleep(0.03)

    async def settled(self):
        """Wait until all is applied; nothing was lost, doubled, reordered or claimed too early."""

        async def same():
            pending = await self.pool.fetchval("SELECT count(*) FROM streams_pending")
            return pending == 0 and await self.log() == await self.effects()

        try:
            await until(same, PATIENCE_S)
        except TimeoutError:
            log, effects = await self.log(), await self.effects()
            missing, extra = set(log) - set(effects), set(effects) - set(log)
            raise AssertionError(f"{len(log)} sealed, {len(effects)} applied, {missing=}, {extra=}") from None
        found = await self.figures()
        assert found.is_clean, found

    async def figures(self):
        """Count what became of every event so far."""
        log, pending = await self.pool.fetch(LOG), await self.pool.fetch("SELECT event_id FROM streams_pending")
        effects = await self.copy_pool.fetch(EFFECTS)
        parked = {(row["shard"], row["pos"]) for row in await self.copy_pool.fetch(PARKED)}
        places = {row["event_id"]: (row["shard"], row["pos"]) for row in log}
        applied = {row["event_id"] for row in effects}
        waiting = {row["event_id"] for row in pending}
        excused = {row["event_id"] for row in log if places[row["event_id"]] in parked or row["type"] in self.skipped}
        acknowledged = {id_ for id_, _ in self.acknowledged}
        return Figures(
            injected=self.injected,
            committed=len(log) + len(waiting),
            applied=len(effects),
            lost=len((acknowledged - places.keys() - waiting) | (places.keys() - applied - excused)),
            doubled=len(effects) - len(applied),
            out_of_order=self._out_of_order(effects, {row["event_id"]: row["agg_id"] for row in log}),
            false_as_of=self._false_claims(places),
        )

    def _out_of_order(self, effects, aggregates):
        last, count = {}, 0
        for effect in effects:
            key = aggregates.get(effect["event_id"]) if self.by_aggregate else effect["shard"]
            count += effect["pos"] < last.get(key, 0)
            last[key] = max(effect["pos"], last.get(key, 0))
        return count

    def _false_claims(self, places):
        """Count the samples that lacked an event which was committed before the moment they claimed."""
        count = 0
        for shard in range(SHARDS):
            due = sorted((at, places[id_][1]) for id_, at in self.acknowledged if places.get(id_, (None,))[0] == shard)
            times, highest = [at for at, _ in due], list(accumulate((pos for _, pos in due), max, initial=0))
            for sampled, as_of, applied in self.samples:
                count += sampled == shard and highest[bisect_left(times, as_of)] > applied
        return count

    async def running(self, name="a"):
        """Wait until a replica holds the lease."""
        await until(lambda: self.copy_pool.fetchval(HELD, name), PATIENCE_S)

    async def acknowledged_more(self, count):
        """Wait until so many more events were acknowledged to the load."""
        goal = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= goal, PATIENCE_S)

    async def applied(self, count):
        """Wait until so many events have taken effect."""
        await until(lambda: self.copy_pool.fetchval("SELECT count(*) >= $1 FROM effect", count), PATIENCE_S)
