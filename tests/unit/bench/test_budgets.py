from datetime import UTC, datetime

import pytest

from tests.bench.budgets import budgets
from tests.bench.names import BATCH, BATCHED_ROW, BURST, CHAIN, CHECKS, CROWD, SINGLE
from tests.bench.run import Run
from tests.unit.bench.samples import a_sample

USED = {"beacon": 50.0, "attendance": 40.0, "postgres": 30.0, "valkey": 20.0, "envoy": 10.0}


@pytest.fixture
def run():
    run = Run(started_at=datetime(2026, 1, 1, tzinfo=UTC), machine="", limits="")
    for name in CHAIN:
        run.add_floor(a_sample(name=name, cpu_us={"server": 90.0}))
    run.add_floor(a_sample(name=CHECKS, p50_ms=30.0))
    for name in (SINGLE, BATCH, BURST, CROWD):
        run.add(a_sample(name=name, cpu_us=USED))
    return run


@pytest.mark.parametrize(
    ("goal", "allowed_us"),
    [
        ("G1", 4 * 90 / 1.2),
        ("G9", 90 / 0.45),
        ("G11", 5 * 30_000 * 2 / 300),
        ("G11 beacons", 5 * 30_000 * 2 / 300),
    ],
)
def test_a_must_allows_what_its_floor_says(run, goal, allowed_us):
    assert BATCHED_ROW in CHAIN

    assert {each.goal: each.allowed_us for each in budgets(run)}[goal] == pytest.approx(allowed_us)


def test_what_is_used_says_how_much_of_it_programs_use_that_are_not_ours(run):
    assert {(each.used_us, each.given_us) for each in budgets(run)} == {(150.0, 60.0)}


def test_what_was_not_measured_has_no_budget():
    nothing = Run(started_at=datetime(2026, 1, 1, tzinfo=UTC), machine="", limits="")

    assert [each.used_us == each.used_us for each in budgets(nothing)] == [False] * 4
