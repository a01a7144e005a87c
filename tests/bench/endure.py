"""`./dev bench --endure`: what the services hold in memory while two hundred thousand proofs come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil

from infra.clock import utc_now
from infra.envoy.routes import SERVICES
from tests.bench.cpu import family
from tests.bench.kept import Kept, look
from tests.bench.proofs import PROOFS_PER_BATCH, ProofLoad, batches
from tests.bench.rounds import Say, machine
from tests.bench.running import System, running
from tests.bench.schools import distinct_numbers, plan_schools
from tests.bench.seeding import seed

ROOMS = 20
REQUESTS_EACH = 10
CHUNK = ROOMS * REQUESTS_EACH * PROOFS_PER_BATCH
# Until then pools, caches and allocators grow to what they need.
SETTLED_AFTER = 0.25
# Allocators do not give back every page at once.
BAND, SLACK_MIB = 0.10, 8.0
MIB = 2**20
MOST_S = 120.0


@dataclass(kw_only=True)
class Endurance:
    """What a run found. resident_mib: of each service, after so many proofs."""

    started_at: datetime
    machine: str
    resident_mib: dict[int, Mapping[str, float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    kept: Kept | None = None

    @property
    def growth_mib(self) -> dict[str, tuple[float, float]]:
        """Return what each service held once it had settled, and at the end."""
        counts = sorted(self.resident_mib)
        settled = next(count for count in counts if count >= SETTLED_AFTER * counts[-1])
        return {name: (self.resident_mib[settled][name], held) for name, held in self.resident_mib[counts[-1]].items()}

    @property
    def is_flat(self) -> bool:
        """Whether no service holds noticeably more at the end than once it had settled."""
        return all(is_flat(settled, last) for settled, last in self.growth_mib.values())

    @property
    def is_good(self) -> bool:
        return self.is_flat and not self.failures and self.kept is not None and self.kept.is_complete


def is_flat(settled_mib: float, last_mib: float) -> bool:
    """Return whether memory stayed as it was, but for what allocators keep."""
    return last_mib <= settled_mib + max(SLACK_MIB, BAND * settled_mib)


async def endured(folder: Path, say: Say, *, proofs: int) -> Endurance:
    """Start everything and push so many proofs, a hundred in a request."""
    found = Endurance(started_at=utc_now(), machine=machine())
    say("starting PostgreSQL, Valkey, Envoy and the services")
    async with running(folder) as system:
        load, numbers = ProofLoad(system, bystanders=[], most_s=MOST_S), distinct_numbers()
        while len(load.acknowledged) < proofs and not found.failures:
            done = len(load.acknowledged)
            say(f"{done:,} of {proofs:,} proofs: planning the next {CHUNK:,}")
            codes = [REQUESTS_EACH * PROOFS_PER_BATCH] * ROOMS
            plan = plan_schools(origin=system.origin, codes=codes, numbers=numbers)
            await seed(plan, system.stack)
            say(f"{done:,} of {proofs:,} proofs: pushing the next {CHUNK:,}")
            sample = await load.measure(batches(REQUESTS_EACH), list(plan.rooms))
            found.failures += sample.failures
            found.resident_mib[len(load.acknowledged)] = resident_mib(system)
        say("checking what was kept")
        found.kept = await look(system, load.acknowledged)
    return found


def resident_mib(system: System) -> dict[str, float]:
    """Return what each of our services holds in memory. The servers behind them keep what they are told to keep."""
    programs = system.programs()
    return {name: sum(map(rss, pids)) / MIB for name, pids in programs.items() if name in SERVICES}


def rss(pid: int) -> int:
    return sum(process.memory_info().rss for process in living(family(pid)))


def living(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if process.is_running()]
