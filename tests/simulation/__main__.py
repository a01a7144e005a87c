"""Play many schedules: `python -m tests.simulation 20000`, of each kind, from a seed if one is given."""

import sys

from tests.simulation.world import Rules, ViolationError, World

count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
bad = 0
for restores in (False, True):
    for seed in range(first, first + count):
        try:
            World(seed, Rules(restores=restores)).run()
        except ViolationError as violation:
            bad += 1
            sys.stdout.write(f"restores={restores} seed={seed}: {violation}\n")
sys.stdout.write(f"{bad} violations in {2 * count} schedules\n")
sys.exit(bad > 0)
