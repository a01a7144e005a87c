"""What a goal allows an attempt to cost, and how much of it is spent before any code of ours runs. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import median_of
from tests.bench.goals import GOALS
from tests.bench.names import BATCH, BATCHED_ROW, BURST, CHAIN, CHECKS, CHECKS_COUNT, CROWD, SINGLE
from tests.bench.run import CORES, Run

# Programs that we configure, but did not write.
GIVEN = ("postgres", "valkey", "envoy")
MUST = {goal.number: goal.must for goal in GOALS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """CPU µs of one attempt. allowed: by the must. used: by all programs. given: of that, by those we did not write."""

    goal: str
    piece: str
    allowed_us: float
    used_us: float
    given_us: float


def budgets(run: Run) -> Iterator[Budget]:
    """Yield the budget of every goal that sets one.

    Of a burst: both processors busy with nothing else until its last answer, and none of that for who sends it.
    """
    checks_us = median_of([sample.p50_ms for sample in run.rounds_of(CHECKS)]) * 1000
    in_burst_us = MUST["G11"] * checks_us * CORES / CHECKS_COUNT
    yield budget(run, "G1", SINGLE, sum(cpu_us(run, floor) for floor in CHAIN) / MUST["G1"])
    yield budget(run, "G9", BATCH, cpu_us(run, BATCHED_ROW) / (MUST["G9"] / 100))
    yield budget(run, "G11", BURST, in_burst_us)
    yield budget(run, "G11 beacons", CROWD, in_burst_us)


def budget(run: Run, goal: str, piece: str, allowed_us: float) -> Budget:
    """Compare what is allowed with what the piece used; medians of the rounds."""
    given = [sum(sample.cpu_us.get(name, 0.0) for name in GIVEN) for sample in run.rounds_of(piece)]
    return Budget(goal=goal, piece=piece, allowed_us=allowed_us, used_us=cpu_us(run, piece), given_us=median_of(given))


def cpu_us(run: Run, name: str) -> float:
    """Return what one of a piece costs all programs."""
    return median_of([sample.total_cpu_us for sample in run.rounds_of(name)])
