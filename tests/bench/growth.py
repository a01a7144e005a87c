"""How the cost of a proof grows with what is stored, as curves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.figures import median_of, over

# So far a cost may be from that of the smallest size: more is growth, less is a measurement to doubt.
BAND = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What a proof costs at one size. cost_us: of each time it was measured."""

    size: int
    cost_us: Sequence[float]

    @property
    def median_us(self) -> float:
        return median_of(self.cost_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The cost of a proof against one size ("schools"); points by rising size."""

    of: str
    points: Sequence[Point]

    @property
    def relative(self) -> list[tuple[int, float]]:
        """Return each size and its cost by that of the smallest."""
        first = self.points[0].median_us
        return [(point.size, over(point.median_us, first)) for point in self.points]

    @property
    def is_flat(self) -> bool:
        """Whether every point lies within the band."""
        return all(abs(share - 1) <= BAND for _, share in self.relative)
