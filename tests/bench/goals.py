"""What the product must reach and what it aims at, and what a run says of each. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from tests.bench.figures import Figure, median_of, numbers

Better = Literal["more", "less"]
Verdict = Literal["met aim", "met must", "missed", "not judged", "not measured"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What to reach. unit: follows the number. decides: a miss fails the run; otherwise it warns.

    elsewhere: what measures it, when the bench does not.
    """

    number: str
    says: str
    must: float
    aim: float
    better: Better = "more"
    unit: str = ""
    decides: bool = False
    elsewhere: str = ""

    def holds(self, value: float, bound: float) -> bool:
        """Return whether `value` reaches `bound`."""
        return value >= bound if self.better == "more" else value <= bound

    def shown(self, value: float) -> str:
        """Return a value with its unit, in as many digits as matter."""
        digits = 0 if abs(value) >= 100 or float(value).is_integer() else 2
        return f"{value:,.{digits}f} {self.unit}".rstrip()


# CPU ratios decide, and so does what was lost; rates and latencies warn, since others of this machine reach them.
GOALS = (
    Goal(number="G1", says="chain CPU / hot-path CPU", must=1.2, aim=2.5, decides=True),
    Goal(number="G2", says="single proofs per second / those of baseline A", must=4, aim=8),
    Goal(number="G4", says="p99 / p50 of a single proof", must=3, aim=2, better="less"),
    Goal(number="G6", says="per second at 256 connections / at 64, no errors", must=0.9, aim=1.0),
    Goal(number="G7", says="group commit / a commit per request, 256 callers", must=3, aim=4.5, decides=True),
    Goal(
        number="G7 alone",
        says="what group commit costs a single caller",
        must=15,
        aim=10,
        better="less",
        unit="%",
        decides=True,
    ),
    Goal(
        number="G9",
        says="proofs per second in batches / the bound of 2 cores",
        must=45,
        aim=60,
        unit="%",
        decides=True,
    ),
    Goal(number="G11", says="300 phones at once: last answer / 300 checks", must=5, aim=3, better="less"),
    Goal(
        number="G11 beacons",
        says="30 beacons with 10 proofs each: last answer / 300 checks",
        must=5,
        aim=3,
        better="less",
    ),
    Goal(number="G13", says="p99 of academics' commit → attendance's copy", must=100, aim=25, better="less", unit="ms"),
    Goal(
        number="G13 burst",
        says="p99 of attendance's commit → a consumer, in a burst",
        must=150,
        aim=50,
        better="less",
        unit="ms",
    ),
    Goal(number="G14", says="replay into memory / raw XREAD", must=0.35, aim=0.60),
    Goal(number="G15", says="replay into PostgreSQL / a transaction per event", must=10, aim=18, decides=True),
    Goal(number="G16", says="events relayed per second / pipelined XADD", must=1, aim=2),
    Goal(
        number="G19",
        says="hot-path CPU / the same logic in one process",
        must=2.0,
        aim=1.4,
        better="less",
        decides=True,
    ),
    Goal(
        number="G20",
        says="lost or applied twice, whatever is killed",
        must=0,
        aim=0,
        better="less",
        decides=True,
        elsewhere="./dev faults",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was measured for a goal, a value per round. fault: why it is missed, whatever the values are."""

    values: Sequence[float]
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a run says of a goal. figure: None when nothing was measured. note: why, where the figure does not say."""

    goal: Goal
    figure: Figure | None
    verdict: Verdict
    note: str = ""

    @property
    def fails(self) -> bool:
        """Whether this ends the run with a failure."""
        return self.verdict == "missed" and self.goal.decides

    @property
    def times_short(self) -> float | None:
        """Return by what factor the figure misses the aim, None when it does not."""
        if self.figure is None or self.goal.holds(self.figure.median, self.goal.aim):
            return None
        low, high = sorted((self.figure.median, self.goal.aim))
        return high / low if low else None


def judge_all(readings: Mapping[str, Reading], *, is_quiet: bool) -> list[Judged]:
    """Say for every goal, in order, whether it was reached. is_quiet: others left enough of the machine to judge.

    Raises: KeyError for a reading of no goal.
    """
    if unknown := readings.keys() - {goal.number for goal in GOALS}:
        raise KeyError(f"no such goal: {', '.join(sorted(unknown))}")
    return [judge(goal, readings.get(goal.number), is_quiet=is_quiet) for goal in GOALS]


def judge(goal: Goal, reading: Reading | None, *, is_quiet: bool) -> Judged:
    """Say whether a goal was reached: by the middle of its rounds, since a single one may have been disturbed."""
    figure = None if reading is None else figure_of(goal, reading.values)
    if reading is None or figure is None or isnan(figure.median):
        note = (reading.fault if reading else "") or goal.elsewhere
        return Judged(goal=goal, figure=None, verdict="not measured", note=note)
    return Judged(
        goal=goal, figure=figure, verdict=verdict_on(goal, reading, figure, is_quiet=is_quiet), note=reading.fault
    )


def verdict_on(goal: Goal, reading: Reading, figure: Figure, *, is_quiet: bool) -> Verdict:
    """Return how a goal with these figures stands."""
    if not is_quiet:
        return "not judged"
    if reading.fault or not goal.holds(figure.median, goal.must):
        return "missed"
    return "met aim" if goal.holds(figure.median, goal.aim) else "met must"


def figure_of(goal: Goal, values: Sequence[float]) -> Figure:
    """Return the middle and the worst of the rounds."""
    worst = min if goal.better == "more" else max
    return Figure(median=median_of(values), worst=worst(numbers(values)))
