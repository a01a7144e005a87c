"""Academics goes away while students sign: in the end everybody is judged as if it had been there."""

import pytest

from tests.faults.table import Figures
from tests.integration.attendance.conftest import a_school
from tests.integration.attendance.test_outages_change_nothing import OUTAGE, Play, World

pytestmark = pytest.mark.slow
# One that another signature answers for waits for nothing.
KEPT = """
SELECT idempotency_key AS name, superseded_by IS NULL AND reason = 'awaiting_validation' AS is_waiting FROM signature
"""
# Other worlds than those of the test that `./dev test` plays.
SEEDS = range(2, 6)


@pytest.mark.fault(15)
@pytest.mark.parametrize("seed", SEEDS)
async def test_attempts_that_met_an_outage_are_judged_as_those_that_met_none(databases, figures, seed):
    world = World(seed)
    async with a_school(databases) as usual, a_school(databases) as hit:
        without, with_ = Play(world, usual, None), Play(world, hit, OUTAGE)

        await without.run()
        await with_.run()

        figures.add(await count(with_, without))
    assert figures.is_clean, figures


async def count(with_, without):
    """Count what became of each attempt of the run with the outage; false is what the other run says otherwise."""
    kept = await with_.school.pool.fetch(KEPT)
    waiting = [row for row in kept if row["is_waiting"]]
    sent, names = {act.name for act in with_.world.acts}, {row["name"] for row in kept}
    first_steps = await with_.first_steps()
    return Figures(
        injected=sum(number for (status, basis), number in first_steps.items() if (status, basis) == ("PENDING", None)),
        committed=len(sent),
        applied=len(kept) - len(waiting),
        lost=len(sent - names) + len(waiting),
        doubled=len(kept) - len(names),
        false_as_of=differing(await with_.states(), await without.states())
        + differing_in_both(await with_.verdicts(), await without.verdicts()),
    )


def differing(found, wanted):
    return len(dict(found.items() ^ wanted.items()))


def differing_in_both(found, wanted):
    """Count attempts that both runs judged, each for itself, and not alike."""
    return sum(found[name] != wanted[name] for name in found.keys() & wanted.keys())
