"""How far academics' clock is off ours, and which log it writes."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

WINDOW = timedelta(minutes=10)
# A write of academics takes at most this long between the time it is recorded at and its commit.
WRITE_BOUND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One comparison of clocks. offset: theirs minus ours. uncertainty: half of what the question took."""

    offset: timedelta
    uncertainty: timedelta

    @property
    def at_most(self) -> timedelta:
        """How far the clocks may be apart."""
        return abs(self.offset) + self.uncertainty

    @property
    def at_least(self) -> timedelta:
        """How far the clocks are apart for sure."""
        return max(abs(self.offset) - self.uncertainty, timedelta(0))


@dataclass(slots=True)
class Bearings:
    """What this process has learnt of academics' database by asking it the time.

    The last ten minutes in which it answered count, however long ago they were: what was certain stays so while it is
    away.
    """

    # Falling: the first one is the largest of the window.
    _bounds: deque[tuple[datetime, timedelta]] = field(default_factory=deque)
    _logs: dict[int, UUID] = field(default_factory=dict)

    def note_clock(self, theirs: datetime, *, sent_at: datetime, heard_at: datetime) -> ClockReading | None:
        """Note what their clock said between our asking and hearing; None when our own clock was set meanwhile."""
        if heard_at < sent_at:
            return None
        uncertainty = (heard_at - sent_at) / 2
        reading = ClockReading(offset=theirs - (sent_at + uncertainty), uncertainty=uncertainty)
        while self._bounds and self._bounds[-1][1] <= reading.at_most:
            self._bounds.pop()
        self._bounds.append((heard_at, reading.at_most))
        while heard_at - self._bounds[0][0] > WINDOW:
            self._bounds.popleft()
        return reading

    def note_log(self, shard: int, incarnation: UUID) -> None:
        """Note which log academics writes in a shard."""
        self._logs[shard] = incarnation

    def offset(self) -> timedelta | None:
        """Return how far the clocks may be apart; None while they were never compared."""
        return self._bounds[0][1] if self._bounds else None

    def margin(self) -> timedelta | None:
        """Return how far the copy must be beyond a moment to be certain of it; None while that is not known."""
        offset = self.offset()
        return None if offset is None else offset + WRITE_BOUND

    def is_current(self, shard: int, incarnation: UUID | None) -> bool:
        """Return whether this log is the one that academics writes, as far as it said."""
        return incarnation is not None and self._logs.get(shard, incarnation) == incarnation
