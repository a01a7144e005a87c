"""When a beacon saw something, by our clock."""

from datetime import UTC, datetime, timedelta

from beacon_svc.domain.clock_model import (
    Anchor,
    EffectiveTime,
    Reading,
    effective_time,
    typical_offset,
    uncertainty_over,
)

NINE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def an_anchor(*, boot=1, uptime=HOUR, server_at=NINE, ahead=timedelta(0)):
    return Anchor(
        boot=boot, uptime_ms=uptime // timedelta(milliseconds=1), told_at=server_at + ahead, server_at=server_at
    )


def a_reading(*, boot=1, uptime=HOUR, observed_at=NINE, synced=True):
    return Reading(
        boot=boot,
        uptime_ms=uptime // timedelta(milliseconds=1),
        observed_at=observed_at,
        sync_age_ms=1000 if synced else None,
    )


def test_uptime_counts_from_the_anchor_whatever_the_clock_said():
    wrong = a_reading(uptime=HOUR + 90 * SECOND, observed_at=datetime(1990, 1, 1, tzinfo=UTC), synced=False)

    when = effective_time(wrong, near=[an_anchor(ahead=-9 * HOUR)], latest=None)

    assert when == EffectiveTime(at=NINE + 90 * SECOND, uncertainty=timedelta(seconds=1, milliseconds=13.5))


def test_the_nearest_anchor_of_the_same_boot_counts():
    anchors = [
        an_anchor(),
        an_anchor(uptime=3 * HOUR, server_at=NINE + 2 * HOUR + SECOND),
        an_anchor(boot=2, uptime=2 * HOUR + timedelta(minutes=1)),
    ]

    early = effective_time(a_reading(uptime=HOUR + timedelta(minutes=59)), near=anchors, latest=None)
    late = effective_time(a_reading(uptime=2 * HOUR + timedelta(minutes=1)), near=anchors, latest=None)

    assert early.at == NINE + timedelta(minutes=59)
    assert late.at == NINE + timedelta(minutes=61) + SECOND


def test_a_reading_before_its_anchor_counts_backwards():
    when = effective_time(a_reading(uptime=timedelta(0)), near=[an_anchor()], latest=None)

    assert when.at == NINE - HOUR
    assert when.uncertainty == uncertainty_over(HOUR)


def test_without_an_anchor_of_its_boot_the_last_known_offset_counts():
    latest = an_anchor(boot=1, ahead=7 * SECOND)

    when = effective_time(a_reading(boot=2, observed_at=NINE + HOUR + 7 * SECOND), near=[latest], latest=latest)

    assert when == EffectiveTime(at=NINE + HOUR, uncertainty=uncertainty_over(HOUR))


def test_a_clock_that_was_never_set_is_believed_nothing():
    for latest, synced in ((an_anchor(), False), (None, True)):
        when = effective_time(a_reading(boot=2, synced=synced), near=[], latest=latest)

        assert when == EffectiveTime(at=NINE, uncertainty=None)


def test_a_day_from_the_anchor_a_beacon_may_be_fourteen_seconds_off():
    assert uncertainty_over(24 * HOUR) == timedelta(seconds=13.96)
    assert uncertainty_over(-24 * HOUR) == timedelta(seconds=13.96)


def test_a_crystal_at_its_limit_stays_within_the_uncertainty():
    for ppm in (-150, 150):
        true_distance = 24 * HOUR
        shown = true_distance + true_distance * ppm / 1_000_000

        when = effective_time(a_reading(uptime=HOUR + shown), near=[an_anchor()], latest=None)

        assert abs(when.at - (NINE + true_distance)) <= when.uncertainty


def test_bounds_are_met_with_the_uncertainty():
    when = EffectiveTime(at=NINE, uncertainty=SECOND)

    assert [when.may_be_before(NINE + shift) for shift in (-SECOND, timedelta(0))] == [False, True]
    assert [when.may_be_from(NINE + shift) for shift in (SECOND, SECOND + timedelta.resolution)] == [True, False]
    unknown = EffectiveTime(at=NINE, uncertainty=None)
    assert unknown.may_be_before(NINE - 999 * HOUR)
    assert unknown.may_be_from(NINE + 999 * HOUR)


def test_the_middle_of_the_last_offsets_is_typical():
    most = 30 * SECOND

    assert typical_offset([], most=most) == timedelta(0)
    assert typical_offset([20 * SECOND, 9000 * HOUR, 21 * SECOND], most=most) == 21 * SECOND
    assert typical_offset([-90 * SECOND], most=most) == -most
