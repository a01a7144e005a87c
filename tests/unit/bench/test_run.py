from datetime import UTC, datetime

import pytest

from tests.bench.names import BASELINE, BATCH, BATCHED_ROW, BURST, CHAIN, CHECKS, CROWD, ONE_PROCESS, SINGLE, WIDE
from tests.bench.run import Run, readings
from tests.unit.bench.samples import a_sample

FLOORS = {*CHAIN, CHECKS, BASELINE}


def a_run(*rounds):
    run = Run(started_at=datetime(2026, 1, 1, tzinfo=UTC), machine="", limits="")
    for measured in rounds:
        for name, fields in measured.items():
            (run.add_floor if name in FLOORS else run.add)(a_sample(name=name, **fields))
    return run


def cpu(microseconds):
    return {"cpu_us": {"all": float(microseconds)}}


def rate(count):
    return {"count": count, "seconds_s": 1.0}


def chain(each):
    return dict.fromkeys(CHAIN, cpu(each))


def test_the_hot_path_is_compared_with_the_chain_of_its_own_round():
    run = a_run(chain(50) | {SINGLE: cpu(100)}, chain(25) | {SINGLE: cpu(400)})

    assert readings(run)["G1"].values == [2.0, 0.25]


@pytest.mark.parametrize(
    ("goal", "measured", "value"),
    [
        ("G2", {SINGLE: rate(800), BASELINE: rate(100)}, 8.0),
        ("G4", {SINGLE: {"p50_ms": 4.0, "p99_ms": 10.0}}, 2.5),
        ("G6", {WIDE: rate(90), SINGLE: rate(100)}, 0.9),
        ("G9", {BATCH: rate(10_000), BATCHED_ROW: cpu(100)}, 50.0),
        ("G11", {BURST: {"last_ms": 60.0}, CHECKS: {"p50_ms": 20.0}}, 3.0),
        ("G11 beacons", {CROWD: {"last_ms": 40.0}, CHECKS: {"p50_ms": 20.0}}, 2.0),
        ("G19", {SINGLE: cpu(300), ONE_PROCESS: cpu(200)}, 1.5),
    ],
)
def test_a_goal_is_read_from_what_was_measured(goal, measured, value):
    assert readings(a_run(measured))[goal].values == [value]


def test_many_connections_that_met_an_error_are_a_fault():
    run = a_run({WIDE: rate(100) | {"failures": ["503"]}, SINGLE: rate(100)})

    assert readings(run)["G6"].fault == "1 errors"
    assert readings(a_run({WIDE: rate(100), SINGLE: rate(100)}))["G6"].fault == ""


def test_what_other_modules_measure_is_judged_too():
    run = a_run({SINGLE: {}})
    run.add_ratio("G15", 12.0)
    run.add_ratio("G15", 20.0)

    judged = {each.goal.number: each.verdict for each in run.judged()}

    assert (judged["G15"], judged["G14"]) == ("met must", "not measured")


def test_a_round_that_did_nothing_says_nothing_of_a_goal():
    run = a_run({SINGLE: rate(100), BASELINE: rate(0)})

    assert {each.goal.number: each.verdict for each in run.judged()}["G2"] == "not measured"
