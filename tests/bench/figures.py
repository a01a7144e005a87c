"""From samples of several rounds to figures: percentiles, medians, the worst, ratios. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan, nan
from statistics import median

# Above this share of the machine, the work of others decides what is measured.
MOST_FOREIGN_SHARE = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one round of one piece showed.

    count: what was done, in seconds_s. cpu_us: of each program, per thing done, the load generator left out.
    foreign_share: of all processors, by programs that are not measured. failures: answers that were not as
    they should be.
    first_ms, last_ms: of a burst, from its start to the first and the last answer.
    """

    name: str
    count: int
    seconds_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: Mapping[str, float]
    foreign_share: float
    measured_s: float
    failures: Sequence[str] = ()
    first_ms: float | None = None
    last_ms: float | None = None

    @property
    def per_second(self) -> float:
        return over(self.count, self.seconds_s)

    @property
    def total_cpu_us(self) -> float:
        return sum(self.cpu_us.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The middle and the worst of several rounds."""

    median: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What several rounds of one piece showed. cpu_by_program: medians."""

    name: str
    count: int
    per_second: Figure
    cpu_us: Figure
    p50_ms: Figure
    p99_ms: Figure
    cpu_by_program: Mapping[str, float]
    failures: Sequence[str] = field(default_factory=list)
    first_ms: Figure | None = None
    last_ms: Figure | None = None


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent do not exceed (nearest rank); of none, not a number."""
    if not values:
        return nan
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def row_of(samples: Sequence[Sample]) -> Row:
    """Sum up the rounds of one piece."""
    programs = list(dict.fromkeys(name for sample in samples for name in sample.cpu_us))
    return Row(
        name=samples[0].name,
        count=sum(sample.count for sample in samples),
        per_second=figure(samples, lambda s: s.per_second, worst=min),
        cpu_us=figure(samples, lambda s: s.total_cpu_us),
        p50_ms=figure(samples, lambda s: s.p50_ms),
        p99_ms=figure(samples, lambda s: s.p99_ms),
        cpu_by_program={
            name: figure(samples, lambda s, name=name: s.cpu_us.get(name, nan)).median for name in programs
        },
        failures=[failure for sample in samples for failure in sample.failures],
        first_ms=figure(samples, lambda s: s.first_ms) if samples[0].first_ms is not None else None,
        last_ms=figure(samples, lambda s: s.last_ms) if samples[0].last_ms is not None else None,
    )


def figure(
    samples: Sequence[Sample],
    of: Callable[[Sample], float],
    worst: Callable[[Sequence[float]], float] = max,
) -> Figure:
    """Return the middle and the worst of a property of the samples that have it; not a number when none has."""
    values = [of(sample) for sample in samples]
    return Figure(median=median_of(values), worst=worst(numbers(values)))


def median_of(values: Sequence[float]) -> float:
    """Return the middle of the values that are numbers; not a number when none is."""
    return median(numbers(values))


def numbers(values: Sequence[float]) -> list[float]:
    """Return the values that are numbers, and one that is none when none is."""
    return [value for value in values if not isnan(value)] or [nan]


def over(value: float, by: float) -> float:
    """Return a ratio; not a number when there is nothing to divide by."""
    return value / by if by else nan


def foreign_share(samples: Sequence[Sample]) -> float:
    """Return how much of the machine others used while we measured, each sample weighing as much as it took."""
    measured_s = sum(sample.measured_s for sample in samples)
    return sum(sample.foreign_share * sample.measured_s for sample in samples) / measured_s


def is_quiet(samples: Sequence[Sample]) -> bool:
    """Return whether others left so much of the machine that a run may judge."""
    return foreign_share(samples) <= MOST_FOREIGN_SHARE


def company(samples: Sequence[Sample]) -> str:
    """Say in a sentence whether figures of this run may be compared with those of another."""
    share = foreign_share(samples)
    if not is_quiet(samples):
        return f"Others used {share:.0%} of the machine, more than {MOST_FOREIGN_SHARE:.0%}: this run judges nothing."
    return f"Others used {share:.0%} of the machine: the figures hold for it."
