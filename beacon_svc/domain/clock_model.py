"""When a beacon saw something, by our clock: beacons drift, reboot, and may never have been told the time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts.values import value

# Source: crystals of small devices, 20 to 100 ppm over temperature, with a margin.
DRIFT_PPM = 150
LEAST_UNCERTAINTY = timedelta(seconds=1)


@value
class Anchor:
    """What a beacon's clocks showed at a time of ours. told_at: by its own clock. uptime_ms: since its boot."""

    boot: int
    uptime_ms: int
    told_at: datetime
    server_at: datetime

    @property
    def offset(self) -> timedelta:
        """How far the beacon's clock is ahead of ours."""
        return self.told_at - self.server_at


@value
class Reading:
    """What a beacon's clocks showed when it saw a code. sync_age_ms: None when its clock was never set."""

    boot: int
    uptime_ms: int
    observed_at: datetime
    sync_age_ms: int | None


@value
class EffectiveTime:
    """When it was, by our clock. uncertainty: how far off that may be; None: nobody knows."""

    at: datetime
    uncertainty: timedelta | None

    def may_be_before(self, moment: datetime) -> bool:
        """Return whether it may have been before `moment`."""
        return self.uncertainty is None or self.at - self.uncertainty < moment

    def may_be_from(self, moment: datetime) -> bool:
        """Return whether it may have been at `moment` or later."""
        return self.uncertainty is None or self.at + self.uncertainty >= moment


def effective_time(reading: Reading, *, near: Sequence[Anchor], latest: Anchor | None) -> EffectiveTime:
    """Return when `reading` was made. near: anchors around it; those of other boots are left aside.

    Uptime needs no correct clock, so an anchor of the same boot beats what the beacon believed the time to be.
    """
    same_boot = [anchor for anchor in near if anchor.boot == reading.boot]
    if same_boot:
        anchor = min(same_boot, key=lambda known: abs(known.uptime_ms - reading.uptime_ms))
        distance = timedelta(milliseconds=reading.uptime_ms - anchor.uptime_ms)
        return EffectiveTime(at=anchor.server_at + distance, uncertainty=uncertainty_over(distance))
    if latest is None or reading.sync_age_ms is None:
        return EffectiveTime(at=reading.observed_at, uncertainty=None)
    distance = reading.observed_at - latest.told_at
    return EffectiveTime(at=reading.observed_at - latest.offset, uncertainty=uncertainty_over(distance))


def uncertainty_over(distance: timedelta) -> timedelta:
    """Return how far a beacon's clock may be off at `distance` from an anchor."""
    return LEAST_UNCERTAINTY + abs(distance) * DRIFT_PPM / 1_000_000


def typical_offset(offsets: Sequence[timedelta], *, most: timedelta) -> timedelta:
    """Return the middle of the last offsets, at most `most` either way; zero when none is known.

    The middle forgets the one wild offset of a cold start, after which the beacon has set its clock.
    """
    if not offsets:
        return timedelta(0)
    return max(-most, min(most, sorted(offsets)[len(offsets) // 2]))
