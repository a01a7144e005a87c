"""`./dev bench`: start the system, measure it and the bare floors of this machine in turns, show both."""

import asyncio
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer
import uvloop
from rich.console import Console

from infra.clock import utc_now
from infra.local.children import LocalStackError
from tests.bench.cpu import CpuMeter
from tests.bench.floors import Ground, ground, measure_floors
from tests.bench.hall import HallLoad
from tests.bench.kept import look
from tests.bench.load import CONNECTIONS
from tests.bench.proofs import PROOFS_PER_BATCH, BeaconFailedError, ProofLoad
from tests.bench.report import Run, show, write
from tests.bench.running import System, running
from tests.bench.schools import Room, Schools, plan_schools
from tests.bench.seeding import seed

LIMITS = "Limits are those of the system, none is raised."
IDLE_S = 2.0
FILE_COLUMNS = 120
WARM_UP_PROOFS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything one round does. singles: proofs of each of 64 beacons. batch_rooms: beacons that push a
    hundred at a time, batches: so often. most_s: where a slow machine stops, for each of the two.
    """

    rounds: int
    floor_s: float
    singles: int
    batch_rooms: int
    batches: int
    most_s: float

    @property
    def codes_per_room(self) -> int:
        """How many codes each room needs for all rounds and the warm-up."""
        turns = -(-self.batch_rooms * (self.rounds + 1) // CONNECTIONS)
        in_batches = turns * self.batches * PROOFS_PER_BATCH
        return WARM_UP_PROOFS + self.rounds * self.singles + in_batches


QUICK = Size(rounds=3, floor_s=0.7, singles=20, batch_rooms=2, batches=3, most_s=5.0)
FULL = Size(rounds=5, floor_s=2.0, singles=80, batch_rooms=8, batches=4, most_s=60.0)

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: about a minute.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all rounds to this file.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; the figures are their medians.")] = None,
) -> None:
    """Measure what an attempt costs through the public doors, beside the bare floors of this machine."""
    size = QUICK if quick else FULL
    if rounds is not None:
        size = Size(**{name: getattr(size, name) for name in size.__slots__} | {"rounds": rounds})
    folder = Path(tempfile.mkdtemp(prefix="rollcall-bench-"))
    console = Console()
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    try:
        run = uvloop.run(measured(folder, size, Console(stderr=True)))
    except (LocalStackError, BeaconFailedError) as error:
        typer.echo(f"bench: {error}\nthe logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1) from error
    show(run, console)
    if json_ is not None:
        write(run, json_)
    if not run.is_sound:
        typer.echo(f"the logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1)
    shutil.rmtree(folder)


async def measured(folder: Path, size: Size, progress: Console) -> Run:
    """Start everything, measure every round, check what was kept."""
    run = Run(started_at=utc_now(), machine=machine(), limits=LIMITS)
    with progress.status("starting PostgreSQL, Valkey, Envoy and the services") as status:
        async with started(folder) as (system, on):
            status.update("seeding schools, courses, students, beacons and codes")
            schools = plan_schools(
                origin=system.origin,
                codes_per_room=size.codes_per_room,
                room_count=CONNECTIONS,
                hall_count=size.rounds + 1,
            )
            await seed(schools, system.stack)
            await measure_rounds(run, Bench(system=system, on=on, schools=schools, size=size), status.update)
    return run


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[System, Ground]]:
    """Start the system and, beside it, the bare servers of the floors."""
    async with running(folder) as system, ground(folder, bystanders=system.pids()) as on:
        yield system, on


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the rounds work on."""

    system: System
    on: Ground
    schools: Schools
    size: Size

    def batch_rooms(self, turn: int) -> list[Room]:
        """Return the rooms whose beacons push batches in this turn; turn 0 warms up."""
        rooms, count = self.schools.rooms, self.size.batch_rooms
        return [rooms[(turn * count + n) % len(rooms)] for n in range(count)]


async def measure_rounds(run: Run, bench: Bench, say) -> None:
    """Fill `run`: floors and system in turns, so that both meet the same machine."""
    size, rooms = bench.size, list(bench.schools.rooms)
    proofs = ProofLoad(bench.system, bystanders=bench.on.pids, most_s=size.most_s)
    async with HallLoad.opened(bench.system, bystanders=bench.on.pids) as hall:
        say("looking at the system at rest")
        run.idle = await at_rest(bench)
        say("warming up")
        await proofs.singles(rooms, per_room=WARM_UP_PROOFS)
        await proofs.batches(bench.batch_rooms(0), per_room=1)
        await hall.burst(bench.schools.halls[0])
        await hall.codes(bench.schools.halls[0])
        for turn in range(1, size.rounds + 1):
            say(f"round {turn} of {size.rounds}")
            run.floors.append(await measure_floors(bench.on, size.floor_s))
            run.add(await proofs.singles(rooms, per_room=size.singles))
            run.add(await proofs.batches(bench.batch_rooms(turn), per_room=size.batches))
            run.add(await hall.burst(bench.schools.halls[turn]))
            run.add(await hall.codes(bench.schools.halls[turn]))
    say("checking what was kept")
    run.kept = await look(bench.system, proofs.acknowledged + hall.acknowledged)


async def at_rest(bench: Bench) -> dict[str, float]:
    """Return the share of one processor that each program uses while nobody asks for anything."""
    with CpuMeter(bench.system.programs(), bystanders=bench.on.pids) as used:
        await asyncio.sleep(IDLE_S)
    return {name: seconds / used.elapsed_s for name, seconds in used.by_program.items()}


def machine() -> str:
    """Say what this ran on."""
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    return f"{psutil.cpu_count()} processors ({platform.machine()}), {memory_gib} GiB, {platform.system()}"


if __name__ == "__main__":
    app()
