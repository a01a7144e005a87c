"""Memory is flat when it does not grow once the services have settled."""

from datetime import UTC, datetime

import pytest

from tests.bench.endure import Endurance, is_flat

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def run(*held):
    """What one service held after every thousand proofs."""
    resident = {1000 * (n + 1): {"beacon": mib} for n, mib in enumerate(held)}
    return Endurance(started_at=NOON, machine="", resident_mib=resident)


@pytest.mark.parametrize(("last", "flat"), [(100.0, True), (110.0, True), (110.1, False), (60.0, True)])
def test_a_tenth_more_is_what_allocators_keep(last, flat):
    assert is_flat(100.0, last) is flat


@pytest.mark.parametrize(("last", "flat"), [(28.0, True), (28.1, False)])
def test_of_little_memory_some_may_be_kept_anyway(last, flat):
    assert is_flat(20.0, last) is flat


def test_what_is_needed_to_settle_does_not_count():
    settling = run(50.0, 100.0, 101.0, 102.0, 103.0, 102.0, 104.0, 105.0)

    assert settling.growth_mib == {"beacon": (100.0, 105.0)}
    assert settling.is_flat


def test_a_leak_is_seen():
    assert not run(100.0, 110.0, 120.0, 130.0, 140.0).is_flat
