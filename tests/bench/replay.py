"""Catch-up: an empty copy of academics is filled from the log, by attendance's own consumer (G15).

`python -m tests.bench.replay catch-up --events 1000000` shows it with a progress bar.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import asyncpg
import grpc.aio
import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from attendance_svc.consumers import ACADEMICS, COPY
from attendance_svc.wiring import build_door
from contracts.rpc.streams.api.v1.streams_pb2_grpc import add_EventLogServiceServicer_to_server
from infra.local.variables import SHARD_COUNT
from infra.postgres import BACKGROUND_TRANSACTION_MS, create_pool
from infra.process import spare_the_collector
from streams.checkpoint import Checkpoint, Lease
from streams.consumer import OrderedConsumer, OrderedSink
from streams.log import LogRefused
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from tests.bench.cpu import Used
from tests.bench.figures import Sample, over
from tests.bench.pieces_ground import Workshop, child, workshop
from tests.bench.pieces_log import fill

ONE_BY_ONE = "replay, a transaction per event"
TOGETHER = "replay into attendance's copy"
POOL_SIZE = 8
LOOK_EVERY_S = 0.1
PAGE = 200
APPLIED = "SELECT coalesce(sum(pos), 0)::bigint FROM streams_checkpoint WHERE consumer = $1"
EMPTY = """
TRUNCATE streams_checkpoint, streams_parked, copy_course, copy_course_room, copy_preferences, copy_group,
         copy_membership, course_closing, sheet, course_settled
"""
Note = Callable[[int], None]


@dataclass(kw_only=True)
class Replay:
    """A log of academics, served by a process of its own, and a database of attendance that starts empty."""

    ground: Workshop
    events: int
    server_pid: int
    log: GrpcEventLog
    pool: asyncpg.Pool
    admin: asyncpg.Connection
    failures: list[str] = field(default_factory=list)

    async def one_by_one(self, count: int) -> Sample:
        """Apply `count` events, each in a transaction of its own: what a consumer does that does not batch."""
        await self.admin.execute(EMPTY)
        lease = Lease(
            consumer=COPY,
            source=ACADEMICS,
            shards=tuple(range(SHARD_COUNT)),
            owner="bench",
            lasts=timedelta(minutes=10),
        )
        epochs = await lease.acquire(self.admin)
        sinks = [self._sink(Checkpoint(lease=lease, shard=shard, epoch=epochs[shard])) for shard in epochs]
        for sink in sinks:
            await sink.start_anew(await self.log.head(sink.checkpoint.shard), "new")

        async def drive(sink: OrderedSink) -> int:
            place, done = await sink.standing(), 0
            while done < count // len(sinks):
                page = await self.log.read(sink.checkpoint.shard, place, upto=None, limit=PAGE)
                if isinstance(page, LogRefused) or not page.entries:
                    return done
                for entry in page.entries:
                    await sink.apply(place, [entry])
                    place, done = entry.place, done + 1
            return done

        with self._meter() as used:
            started = time.perf_counter()
            done = sum(await asyncio.gather(*map(drive, sinks)))
            elapsed_s = time.perf_counter() - started
        return sample(ONE_BY_ONE, done, elapsed_s, used)

    async def together(self, note: Note = lambda _applied: None) -> Sample:
        """Let the consumer, as attendance wires it, fill the empty copy with all there is."""
        await self.admin.execute(EMPTY)
        door, stop, applied = build_door(), asyncio.Event(), 0
        consumer = OrderedConsumer(
            name=COPY,
            source=ACADEMICS,
            owner="bench",
            shards=range(SHARD_COUNT),
            pool=self.pool,
            redis_url=self.ground.valkey.url(),
            log=self.log,
            handlers=door.handlers(),
            together=door.on_events,
            reset=door.forget_shard,
        )
        with self._meter() as used:
            started = time.perf_counter()
            running = asyncio.create_task(consumer.run(stop))
            while applied < self.events and not running.done():
                await asyncio.sleep(LOOK_EVERY_S)
                applied = await self.admin.fetchval(APPLIED, COPY)
                note(applied)
            elapsed_s = time.perf_counter() - started
        stop.set()
        await running
        return sample(TOGETHER, applied, elapsed_s, used, await self._faults())

    async def _faults(self) -> list[str]:
        parked = await self.admin.fetchval("SELECT count(*) FROM streams_parked")
        return [f"{parked} events parked"] if parked else []

    def _sink(self, checkpoint: Checkpoint) -> OrderedSink:
        door = build_door()
        return OrderedSink(
            checkpoint=checkpoint, pool=self.pool, log=self.log, handlers=door.handlers(), reset=door.forget_shard
        )

    def _meter(self):
        return self.ground.meter({"attendance": [os.getpid()], "academics": [self.server_pid]})


def sample(name: str, count: int, elapsed_s: float, used: Used, failures: Sequence[str] = ()) -> Sample:
    """Return what a replay showed; it has no latencies."""
    return Sample(
        name=name,
        count=count,
        seconds_s=elapsed_s,
        p50_ms=float("nan"),
        p99_ms=float("nan"),
        cpu_us=used.per(count),
        foreign_share=used.foreign_share,
        measured_s=used.elapsed_s,
        failures=failures,
    )


def gain(together: Sample, one_by_one: Sample) -> float:
    """Return G15: how many events are applied together for the CPU of one by itself."""
    return over(one_by_one.total_cpu_us, together.total_cpu_us)


@asynccontextmanager
async def replaying(ground: Workshop, events: int, note: Note = lambda _sealed: None) -> AsyncIterator[Replay]:
    """Seal `events` into a log, serve it, and make a database of attendance."""
    academics = await ground.blank_database()
    await fill(academics, events, note)
    app_url, admin_url = await ground.service_database("attendance")
    admin = await asyncpg.connect(admin_url)
    try:
        async with (
            child("tests.bench.replay", "serve", academics) as (pid, port),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
            create_pool(app_url, name="bench", size=POOL_SIZE, transaction_ms=BACKGROUND_TRANSACTION_MS) as pool,
        ):
            yield Replay(
                ground=ground, events=events, server_pid=pid, log=GrpcEventLog(channel), pool=pool, admin=admin
            )
    finally:
        await admin.close()


class Rate(ProgressColumn):
    """How many a second, lately."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


app = typer.Typer(add_completion=False)


@app.command()
def serve(database_url: str) -> None:
    """Serve the log of the database as academics does; print the port."""

    async def forever() -> None:
        async with create_pool(database_url, name="academics", size=POOL_SIZE) as pool:
            server = grpc.aio.server()
            add_EventLogServiceServicer_to_server(EventLogServicer(PostgresEventLog(pool)), server)
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            typer.echo(port)
            sys.stdout.flush()
            await server.wait_for_termination()

    with suppress(KeyboardInterrupt):
        uvloop.run(forever())


@app.command()
def catch_up(
    events: Annotated[int, typer.Option(min=1_000, help="How many events the log holds.")] = 1_000_000,
    sample_size: Annotated[int, typer.Option(min=100, help="How many are applied one by one, to compare.")] = 2_000,
) -> None:
    """Fill an empty copy from a log of many events, with a progress bar, and say how fast that was."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-replay-"))
    try:
        slow, quick = uvloop.run(measured(folder, events, sample_size))
    finally:
        shutil.rmtree(folder)
    console = Console()
    for each in (slow, quick):
        shown = ", ".join(f"{name} {us:,.0f}" for name, us in each.cpu_us.items())
        console.print(f"{each.name}: {each.count:,} events in {each.seconds_s:,.1f} s, {each.per_second:,.0f} a second")
        console.print(f"  CPU µs an event: {each.total_cpu_us:,.0f} ({shown})")
    rate = over(quick.per_second, slow.per_second)
    console.print(f"together: {gain(quick, slow):.1f} times as many for the same CPU, {rate:.1f} as many a second")
    console.print(f"others used {quick.foreign_share:.0%} of the machine")


async def measured(folder: Path, events: int, sample_size: int) -> tuple[Sample, Sample]:
    """Return the samples of one by one and of together."""
    spare_the_collector()  # as every service does
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        async with workshop(folder) as ground:
            sealing = progress.add_task("sealing the log", total=events)
            async with replaying(ground, events, lambda count: progress.advance(sealing, count)) as replay:
                comparing = progress.add_task("one by one", total=1)
                slow = await replay.one_by_one(sample_size)
                progress.advance(comparing)
                filling = progress.add_task("catching up", total=events)
                quick = await replay.together(lambda applied: progress.update(filling, completed=applied))
    return slow, quick


if __name__ == "__main__":
    app()
