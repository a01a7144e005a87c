"""The rounds of a run: floors, the naive variant and the system in turns, so that all meet the same machine."""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.clock import utc_now
from infra.process import spare_the_collector
from tests.bench.baseline import Baseline, baseline
from tests.bench.cpu import CpuMeter
from tests.bench.floors import Ground, ground, measure_floors
from tests.bench.hall import HallLoad
from tests.bench.kept import look
from tests.bench.lag import SETTINGS, LagLoad
from tests.bench.lag import plan as plan_lags
from tests.bench.load import CONNECTIONS
from tests.bench.pieces import LEAST_REPLAYED, REPLAYED, measure_pieces
from tests.bench.pieces_ground import workshop
from tests.bench.proofs import A_CROWD, Piece, ProofLoad, batches, in_one_process, singles, wide
from tests.bench.replay import replaying
from tests.bench.run import Run
from tests.bench.running import TIMES, System, running
from tests.bench.schools import Room, Schools, distinct_numbers, plan_schools
from tests.bench.seeding import seed

LIMITS = f"Each caller may come {TIMES:,} times as often as the edge would let them; no other limit is raised."
IDLE_S = 2.0
WARM_UP_PROOFS = 5
WIDE_CONNECTIONS = 256
CROWD_BEACONS = 30

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything one round does. singles, wide, naive: proofs of each connection.

    batch_rooms: beacons that push a hundred at a time, batches: so often. most_s: where a slow machine stops a piece.
    share: of what the pieces of streams and commits do when they are measured alone. lag_proofs: of each beacon while
    news are watched. late_rounds: of these two, and of what is measured as one process.
    """

    rounds: int
    floor_s: float
    singles: int
    wide: int
    naive: int
    batch_rooms: int
    batches: int
    most_s: float
    share: float
    late_rounds: int
    lag_proofs: int

    def codes(self) -> list[int]:
        """Return how many codes each room needs for all rounds and the warm-up."""
        batch_turns = -(-self.batch_rooms * (self.rounds + 1) // CONNECTIONS)
        each_round = 2 * self.singles + self.wide + A_CROWD.codes
        near = 2 * WARM_UP_PROOFS + self.rounds * each_round + batch_turns * batches(self.batches).codes
        far = WARM_UP_PROOFS + self.rounds * self.wide
        return [near] * CONNECTIONS + [far] * (WIDE_CONNECTIONS - CONNECTIONS)


QUICK = Size(
    rounds=3,
    floor_s=0.3,
    singles=20,
    wide=6,
    naive=6,
    batch_rooms=4,
    batches=3,
    most_s=1.2,
    share=0.05,
    late_rounds=1,
    lag_proofs=5,
)
FULL = Size(
    rounds=3,
    floor_s=2.0,
    singles=150,
    wide=40,
    naive=40,
    batch_rooms=16,
    batches=8,
    most_s=15.0,
    share=0.5,
    late_rounds=3,
    lag_proofs=40,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the rounds work on. later: schools that only come to be when it is watched how long news take."""

    system: System
    on: Ground
    naive: Baseline
    schools: Schools
    later: Schools
    size: Size

    @property
    def bystanders(self) -> list[int]:
        """What is ours, but no part of the system."""
        return [*self.on.pids, *(pid for pids in self.naive.programs.values() for pid in pids)]

    def batch_rooms(self, turn: int) -> list[Room]:
        """Return the rooms whose beacons push batches in this turn; turn 0 warms up."""
        count = self.size.batch_rooms
        return [self.schools.rooms[(turn * count + n) % CONNECTIONS] for n in range(count)]

    def pushes(self, turn: int) -> list[tuple[Piece, list[Room]]]:
        """Return what beacons do in a round, and which of them."""
        size, rooms = self.size, list(self.schools.rooms)
        return [
            (singles(size.singles), rooms[:CONNECTIONS]),
            (wide(size.wide), rooms),
            (batches(size.batches), self.batch_rooms(turn)),
            (A_CROWD, rooms[:CROWD_BEACONS]),
        ]


async def measured(folder: Path, size: Size, say: Say) -> Run:
    """Start everything, measure every round, check what was kept."""
    run = Run(started_at=utc_now(), machine=machine(), limits=LIMITS)
    say("starting PostgreSQL, Valkey, Envoy and the services")
    async with started(folder) as (system, on, naive):
        say("seeding schools, courses, students, beacons and codes")
        numbers = distinct_numbers()
        plan = plan_schools(origin=system.origin, codes=size.codes(), hall_count=size.rounds + 1, numbers=numbers)
        await seed(plan, system.stack)
        later = plan_lags(system.origin, rounds=size.late_rounds, proofs=size.lag_proofs, numbers=numbers)
        bench = Bench(system=system, on=on, naive=naive, schools=plan, later=later, size=size)
        await measure_rounds(run, bench, say)
    say("measuring streams and commits by themselves")
    await measure_alone(run, folder, size)
    return run


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[tuple[System, Ground, Baseline]]:
    """Start the system and, beside it, the bare servers of the floors and the naive ones."""
    async with (
        running(folder, settings=SETTINGS) as system,
        ground(folder, bystanders=system.pids()) as on,
        baseline(folder, on) as naive,
    ):
        yield system, on, naive


async def measure_rounds(run: Run, bench: Bench, say: Say) -> None:
    """Fill `run`."""
    proofs = ProofLoad(bench.system, bystanders=bench.bystanders, most_s=bench.size.most_s)
    async with HallLoad.opened(bench.system, bystanders=bench.bystanders) as hall:
        say("looking at the system at rest")
        run.idle = await at_rest(bench)
        say("warming up")
        await warm_up(bench, proofs, hall)
        for turn in range(1, bench.size.rounds + 1):
            say(f"round {turn} of {bench.size.rounds}")
            await measure_round(run, bench, proofs, hall, turn=turn)
    say("watching how long news are under way")
    lagging = await measure_lags(run, bench)
    say("measuring beacon_svc and attendance_svc as one process")
    await measure_one_process(run, bench, proofs)
    say("checking what was kept")
    run.kept = await look(bench.system, proofs.acknowledged + hall.acknowledged + lagging)


async def measure_lags(run: Run, bench: Bench) -> list[str]:
    """Watch the news of every round; return the signatures that were promised meanwhile."""
    await seed(bench.later, bench.system.stack)
    load = LagLoad(bench.system, bench.later, bench.system.stack.folder, bystanders=bench.bystanders)
    for turn in range(bench.size.late_rounds):
        for goal, value in (await load.measure(turn, proofs=bench.size.lag_proofs)).items():
            run.add_ratio(goal, value)
    return load.acknowledged


async def measure_alone(run: Run, folder: Path, size: Size) -> None:
    """Measure the pieces that need none of the services, when those have ended."""
    spare_the_collector()  # as every service does
    async with workshop(folder) as on, replaying(on, int(REPLAYED * size.share) + LEAST_REPLAYED) as replay:
        for _ in range(size.late_rounds):
            samples, ratios = await measure_pieces(replay, share=size.share)
            for sample in samples:
                run.add(sample)
            for goal, value in ratios.items():
                run.add_ratio(goal, value)


async def warm_up(bench: Bench, proofs: ProofLoad, hall: HallLoad) -> None:
    """Do a little of everything."""
    await proofs.measure(wide(WARM_UP_PROOFS), bench.schools.rooms)
    await proofs.measure(batches(1), bench.batch_rooms(0))
    await bench.naive.measure(WARM_UP_PROOFS, most_s=bench.size.most_s)
    await hall.burst(bench.schools.halls[0])
    await hall.codes(bench.schools.halls[0])


async def measure_round(run: Run, bench: Bench, proofs: ProofLoad, hall: HallLoad, *, turn: int) -> None:
    """Measure everything once."""
    for floor in await measure_floors(bench.on, bench.size.floor_s):
        run.add_floor(floor)
    run.add_floor(await bench.naive.measure(bench.size.naive, most_s=bench.size.most_s))
    for piece, rooms in bench.pushes(turn):
        run.add(await proofs.measure(piece, rooms))
    run.add(await hall.burst(bench.schools.halls[turn]))
    run.add(await hall.codes(bench.schools.halls[turn]))


async def measure_one_process(run: Run, bench: Bench, proofs: ProofLoad) -> None:
    """Measure single proofs once more; last, because the system is another one from then on."""
    rooms = bench.schools.rooms[:CONNECTIONS]
    await bench.system.join()
    await proofs.measure(in_one_process(WARM_UP_PROOFS), rooms)
    for _ in range(bench.size.late_rounds):
        run.add(await proofs.measure(in_one_process(bench.size.singles), rooms))


async def at_rest(bench: Bench) -> dict[str, float]:
    """Return the share of one processor that each program uses while nobody asks for anything."""
    with CpuMeter(bench.system.programs(), bystanders=bench.bystanders) as used:
        await asyncio.sleep(IDLE_S)
    return {name: seconds / used.elapsed_s for name, seconds in used.by_program.items()}


def machine() -> str:
    """Say what this ran on."""
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    return f"{psutil.cpu_count()} processors ({platform.machine()}), {memory_gib} GiB, {platform.system()}"
