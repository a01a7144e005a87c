from math import isnan, nan

import pytest

from tests.bench.figures import company, foreign_share, is_quiet, over, percentile, row_of
from tests.unit.bench.samples import a_sample


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1), (0, 1)], ids=str)
def test_a_percentile_is_one_of_the_values_and_so_many_percent_do_not_exceed_it(percent, expected):
    assert percentile(list(range(100, 0, -1)), percent) == expected


def test_the_ninety_ninth_percentile_of_few_values_is_the_largest():
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_the_only_value_is_every_percentile():
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0


def test_the_cpu_of_a_sample_is_that_of_all_its_programs():
    assert a_sample().total_cpu_us == 150.0


def test_the_slowest_round_is_the_worst_of_a_rate_and_the_dearest_that_of_a_cost():
    samples = [a_sample(seconds_s=s, cpu_us={"beacon": c}) for s, c in ((1.0, 10.0), (4.0, 30.0), (2.0, 20.0))]

    row = row_of(samples)

    assert (row.per_second.median, row.per_second.worst) == (50.0, 25.0)
    assert (row.cpu_us.median, row.cpu_us.worst) == (20.0, 30.0)


def test_a_row_counts_what_all_its_rounds_did_and_keeps_every_failure():
    row = row_of([a_sample(failures=["503"]), a_sample(failures=["504"])])

    assert (row.count, row.failures) == (200, ["503", "504"])


def test_only_a_burst_has_a_first_and_a_last_answer():
    burst = row_of([a_sample(first_ms=5.0, last_ms=70.0), a_sample(first_ms=6.0, last_ms=90.0)])

    assert row_of([a_sample()]).last_ms is None
    assert (burst.last_ms.median, burst.last_ms.worst) == (80.0, 90.0)


def test_nothing_can_be_compared_with_nothing():
    assert isnan(over(1.0, 0.0))
    assert over(1.0, 4.0) == 0.25


def test_a_long_sample_weighs_more_in_what_others_used_than_a_short_one():
    samples = [a_sample(foreign_share=0.4, measured_s=1.0), a_sample(foreign_share=0.0, measured_s=3.0)]

    assert foreign_share(samples) == pytest.approx(0.1)


@pytest.mark.parametrize(("share", "judges"), [(0.2, True), (0.21, False)])
def test_a_run_judges_nothing_while_others_use_more_than_a_fifth_of_the_machine(share, judges):
    samples = [a_sample(foreign_share=share)]

    assert is_quiet(samples) is judges
    assert ("judges nothing" not in company(samples)) is judges


def test_a_round_in_which_nothing_worked_does_not_hide_the_figures_of_the_others():
    failed = a_sample(count=0, p50_ms=nan, p99_ms=nan, cpu_us={"beacon": nan, "postgres": nan}, failures=["503"])

    row = row_of([a_sample(), failed])

    assert (row.per_second.worst, row.cpu_us.median, row.p99_ms.worst) == (0.0, 150.0, 20.0)
    assert row.cpu_by_program == {"beacon": 100.0, "postgres": 50.0}


def test_a_piece_of_which_nothing_worked_has_no_figures():
    assert isnan(percentile([], 50))
    assert isnan(row_of([a_sample(count=0, cpu_us={"beacon": nan})]).cpu_us.median)
