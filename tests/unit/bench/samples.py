"""Samples to judge."""

from tests.bench.figures import Sample


def a_sample(**more):
    fields = {
        "name": "proofs",
        "count": 100,
        "seconds_s": 1.0,
        "p50_ms": 10.0,
        "p99_ms": 20.0,
        "cpu_us": {"beacon": 100.0, "postgres": 50.0},
        "foreign_share": 0.0,
        "measured_s": 1.0,
    }
    return Sample(**fields | more)
