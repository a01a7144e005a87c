"""Every measure that an operator was promised is there."""

import pytest
from prometheus_client import REGISTRY

import attendance_svc.jobs
import streams.metrics

PROMISED = [
    "streams_pending_rows",
    "streams_oldest_pending_seconds",
    "streams_relay_pos",
    "streams_relay_halted",
    "streams_append_mismatch",
    "streams_consumer_lag_positions",
    "streams_consumer_lag_seconds",
    "streams_consumer_pos",
    "streams_consumer_halted",
    "streams_as_of_age_seconds",
    "streams_gap_fill",
    "streams_fenced",
    "streams_repairs",
    "streams_parked",
    "closing_late_seconds",
    "freshness_decision",
    "accepted_on_recent_facts",
    "pending_signatures",
]
LOADED = (attendance_svc.jobs, streams.metrics)


@pytest.mark.parametrize("name", PROMISED)
def test_a_measure_is_there_and_says_what_it_means(name):
    known = {family.name: family.documentation for family in REGISTRY.collect()}

    assert known.get(name)
