"""`./dev bench --grow`: what a proof costs as schools, stored signatures and courses grow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from infra.clock import utc_now
from tests.bench.figures import Sample, is_quiet
from tests.bench.growth import Curve, Point
from tests.bench.kept import Kept, look
from tests.bench.load import CONNECTIONS
from tests.bench.proofs import ProofLoad, singles
from tests.bench.rounds import Say, machine
from tests.bench.running import System, running
from tests.bench.schools import ROOM_STUDENTS, Room, distinct_numbers, plan_schools
from tests.bench.seeding import seed
from tests.bench.stored import add_signatures, stored_in

SCHOOLS = (1, 10, 50, 200)
SCHOOLS_OF_A_SIZE = 8
# The load itself adds the first thousands.
SIGNATURES = (0, 10_000, 100_000, 1_000_000)
STUDENTS = (30, 300, 3_000)
TIMES = 3
# Fewer would not outweigh the hundredths of a second in which the kernel counts.
PROOFS_EACH = 32
WARM_UP_EACH = 2
A_POINT = TIMES * (WARM_UP_EACH + PROOFS_EACH)
MOST_S = 6.0


@dataclass(kw_only=True)
class Growth:
    """What a run found."""

    started_at: datetime
    machine: str
    curves: list[Curve] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    kept: Kept | None = None

    @property
    def is_sound(self) -> bool:
        """Whether nothing failed and everything that was promised is there."""
        failed = any(sample.failures for sample in self.samples)
        return not failed and self.kept is not None and self.kept.is_complete

    @property
    def is_too_steep(self) -> bool:
        """Whether a cost is not flat, as far as this machine could tell."""
        return is_quiet(self.samples) and not all(curve.is_flat for curve in self.curves)


@dataclass(kw_only=True)
class Field:
    """Where the curves are measured: one system, in which everything grows and nothing shrinks.

    rooms: of the first two curves. seeded: signatures that nobody was promised.
    """

    system: System
    proofs: ProofLoad
    growth: Growth
    say: Say
    rooms: list[Room] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=distinct_numbers)
    seeded: int = 0

    async def add(self, *, rooms: int, codes: int, schools: int, students: int = ROOM_STUDENTS) -> Sequence[Room]:
        """Add schools and return their rooms. codes: of each room."""
        plan = plan_schools(
            origin=self.system.origin,
            codes=[codes] * rooms,
            school_count=schools,
            students=students,
            numbers=self.numbers,
        )
        await seed(plan, self.system.stack)
        return plan.rooms

    async def point(self, size: int, rooms_of: Callable[[int], Sequence[Room]]) -> Point:
        """Measure single proofs at this size. rooms_of: which beacons push, time by time."""
        costs = []
        for time in range(TIMES):
            rooms = rooms_of(time)
            await self.proofs.measure(singles(WARM_UP_EACH), rooms)
            sample = await self.proofs.measure(singles(PROOFS_EACH), rooms)
            self.growth.samples.append(sample)
            costs.append(sample.total_cpu_us)
        return Point(size=size, cost_us=costs)


async def grown(folder: Path, say: Say) -> Growth:
    """Start everything and measure the three curves."""
    growth = Growth(started_at=utc_now(), machine=machine())
    say("starting PostgreSQL, Valkey, Envoy and the services")
    async with running(folder) as system:
        proofs = ProofLoad(system, bystanders=[], most_s=MOST_S)
        on = Field(system=system, proofs=proofs, growth=growth, say=say)
        say("seeding one school")
        codes = WARM_UP_EACH + A_POINT * (len(SIGNATURES) + len(SCHOOLS))
        on.rooms += await on.add(rooms=CONNECTIONS, codes=codes, schools=1)
        await proofs.measure(singles(WARM_UP_EACH), on.rooms)
        # Signatures first: the least of them is what the other curves would leave behind.
        for curve in (by_signatures, by_schools, by_students):
            growth.curves.append(await curve(on))
        say("checking what was kept")
        kept = await look(system, proofs.acknowledged)
        growth.kept = replace(kept, surplus=kept.surplus - on.seeded)
    return growth


async def by_signatures(on: Field) -> Curve:
    """From a thousand to a million stored signatures."""
    points = []
    for wanted in SIGNATURES:
        on.say(f"storing {wanted:,} signatures")
        on.seeded += await add_signatures(on.system, up_to=wanted)
        on.say(f"measuring at {wanted:,} signatures")
        before = await stored_in(on.system)
        found = await on.point(wanted, lambda _: on.rooms)
        # The load itself adds some, so that the size is that in the middle.
        points.append(Point(size=(before + await stored_in(on.system)) // 2, cost_us=found.cost_us))
    return Curve(of="stored signatures", points=points)


async def by_schools(on: Field) -> Curve:
    """From one school to two hundred, the same load spread over as many as there are."""
    points, there = [], 1
    for n, wanted in enumerate(SCHOOLS):
        on.say(f"measuring with {wanted} schools")
        if more := wanted - there:
            rooms_each = max(1, -(-CONNECTIONS // wanted))
            on.rooms += await on.add(rooms=more * rooms_each, codes=A_POINT * len(SCHOOLS[n:]), schools=more)
            there = wanted
        points.append(await on.point(wanted, lambda time: spread(on.rooms, time)))
    return Curve(of="schools", points=points)


async def by_students(on: Field) -> Curve:
    """From courses of thirty students to courses of three thousand."""
    points = []
    for wanted in STUDENTS:
        on.say(f"measuring with {wanted:,} students in a course")
        rooms = await on.add(rooms=CONNECTIONS, codes=A_POINT, schools=SCHOOLS_OF_A_SIZE, students=wanted)
        points.append(await on.point(wanted, lambda _, rooms=rooms: rooms))
    return Curve(of="students in a course", points=points)


def spread(rooms: Sequence[Room], time: int) -> list[Room]:
    """Return as many rooms as there are connections, of as many schools as possible, others each time."""
    by_school: dict[object, list[Room]] = {}
    for room in rooms:
        by_school.setdefault(room.school_id, []).append(room)
    turns = [(n, place, room) for place, own in enumerate(by_school.values()) for n, room in enumerate(own)]
    in_turn = [room for _, _, room in sorted(turns, key=lambda turn: turn[:2])]
    return [in_turn[(time * CONNECTIONS + n) % len(in_turn)] for n in range(CONNECTIONS)]
