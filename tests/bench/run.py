"""Everything that one run measured, and what that says of each goal. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.bench.figures import Row, Sample, is_quiet, over, row_of
from tests.bench.goals import Judged, Reading, judge_all
from tests.bench.kept import Kept
from tests.bench.names import BASELINE, BATCH, BATCHED_ROW, BURST, CHAIN, CHECKS, CROWD, ONE_PROCESS, SINGLE, WIDE

CORES = 2


@dataclass(kw_only=True)
class Run:
    """Everything that one run measured, round by round. idle: programs at rest, share of one processor.

    floors, pieces: the rounds of each, by name. ratios: of goals that other modules measure, a value per round.
    """

    started_at: datetime
    machine: str
    limits: str
    floors: dict[str, list[Sample]] = field(default_factory=dict)
    pieces: dict[str, list[Sample]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    kept: Kept | None = None

    def add_floor(self, sample: Sample) -> None:
        self.floors.setdefault(sample.name, []).append(sample)

    def add(self, sample: Sample) -> None:
        self.pieces.setdefault(sample.name, []).append(sample)

    def add_ratio(self, goal: str, value: float) -> None:
        """Keep what a round says of a goal ("G15")."""
        self.ratios.setdefault(goal, []).append(value)

    @property
    def samples(self) -> list[Sample]:
        return [sample for of_one in (*self.floors.values(), *self.pieces.values()) for sample in of_one]

    @property
    def floor_rows(self) -> list[Row]:
        return [row_of(rounds) for rounds in self.floors.values()]

    @property
    def rows(self) -> list[Row]:
        return [row_of(rounds) for rounds in self.pieces.values()]

    @property
    def failures(self) -> list[str]:
        return [failure for row in (*self.floor_rows, *self.rows) for failure in row.failures]

    @property
    def is_sound(self) -> bool:
        """Whether nothing failed and everything that was promised is there."""
        return not self.failures and self.kept is not None and self.kept.is_complete

    def judged(self) -> list[Judged]:
        """Say of every goal whether it was reached."""
        return judge_all(readings(self), is_quiet=is_quiet(self.samples))

    def rounds_of(self, name: str) -> Sequence[Sample]:
        """Return the rounds of a floor or a piece; none when it was not measured."""
        return self.floors.get(name) or self.pieces.get(name, [])


def readings(run: Run) -> dict[str, Reading]:
    """Return what was measured of each goal, each round with its own floors."""
    wide_failed = sum(len(sample.failures) for sample in run.rounds_of(WIDE))
    found = {
        "G1": each(run, chain_over_hot_path, SINGLE, *CHAIN),
        "G2": each(run, lambda single, naive: over(single.per_second, naive.per_second), SINGLE, BASELINE),
        "G4": each(run, lambda single: over(single.p99_ms, single.p50_ms), SINGLE),
        "G6": each(run, lambda wide, single: over(wide.per_second, single.per_second), WIDE, SINGLE),
        "G9": each(run, batches_over_bound, BATCH, BATCHED_ROW),
        "G11": each(run, last_over_checks, BURST, CHECKS),
        "G11 beacons": each(run, last_over_checks, CROWD, CHECKS),
        "G19": each(run, lambda hot, alone: over(hot.total_cpu_us, alone.total_cpu_us), SINGLE, ONE_PROCESS),
    }
    readings_ = {goal: Reading(values=values) for goal, values in (found | run.ratios).items()}
    if wide_failed:
        readings_["G6"] = Reading(values=found["G6"], fault=f"{wide_failed} errors")
    return readings_


def each(run: Run, ratio: Callable[..., float], *names: str) -> list[float]:
    """Return the ratio of every round in which all these were measured."""
    return [ratio(*samples) for samples in zip(*map(run.rounds_of, names), strict=False)]


def chain_over_hot_path(single: Sample, *chain: Sample) -> float:
    return over(sum(floor.total_cpu_us for floor in chain), single.total_cpu_us)


def batches_over_bound(batch: Sample, floor: Sample) -> float:
    """Return per cent of what two cores could do that only check signatures and write rows in batches."""
    return over(batch.per_second, CORES * 1e6 / floor.total_cpu_us) * 100


def last_over_checks(burst: Sample, checks: Sample) -> float:
    return over(burst.last_ms or 0.0, checks.p50_ms)
