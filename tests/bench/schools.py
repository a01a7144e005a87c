"""The schools that the load plays in: rooms with a beacon, students, and courses that take place now."""

import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

from contracts.ids import new_id
from infra.clock import Clock, utc_now
from infra.demo.devices import Beacon, Phone

# Everything was planned, bought and hung up an hour ago.
SINCE = timedelta(hours=1)
STARTED = timedelta(minutes=10)
LENGTH = timedelta(hours=4)

SCHOOLS = 8
ROOM_STUDENTS = 40
HALL_STUDENTS = 300
TOTP_KEY_BYTES = 32
CODE_BITS = 27


@dataclass(frozen=True, slots=True)
class Code:
    """A number that a student's phone blinks for a course."""

    number: int
    student_id: UUID
    course_id: UUID


@dataclass(kw_only=True)
class Room:
    """A room, its beacon, the group that sits there and its courses, all at the same time: an attempt needs a fresh
    pair of student and course. phones: of the students, where they are needed. codes: not blinked yet.
    """

    school_id: UUID
    beacon: Beacon
    student_ids: list[UUID]
    course_ids: list[UUID]
    phones: list[Phone] = field(default_factory=list)
    codes: deque[Code] = field(default_factory=deque)
    id: UUID = field(default_factory=new_id)
    group_id: UUID = field(default_factory=new_id)

    def take_codes(self, count: int) -> list[Code]:
        """Return codes that nobody has blinked. Raises: ValueError when too few were seeded."""
        if len(self.codes) < count:
            raise ValueError(f"{count} codes wanted, {len(self.codes)} left")
        return [self.codes.popleft() for _ in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schools:
    """Everybody. rooms: one for each connection. halls: one for each burst."""

    rooms: Sequence[Room]
    halls: Sequence[Room]
    issued: Sequence[Code]
    now: datetime

    @property
    def everywhere(self) -> list[Room]:
        return [*self.rooms, *self.halls]

    @property
    def school_ids(self) -> list[UUID]:
        return list(dict.fromkeys(room.school_id for room in self.everywhere))


def plan_schools(
    *,
    origin: str,
    codes: Sequence[int],
    hall_count: int = 0,
    school_count: int = SCHOOLS,
    students: int = ROOM_STUDENTS,
    numbers: Iterator[int] | None = None,
) -> Schools:
    """Invent everything that will be needed.

    origin: what devices sign for. codes: how many each room needs, one number per room. students: of each room.
    numbers: where those of codes come from; plans for the same system share them, so that none is given twice.
    """
    numbers = numbers or distinct_numbers()
    school_ids = [new_id() for _ in range(school_count)]

    def rooms_of(counts: Sequence[int], size: int) -> list[Room]:
        courses = (max(1, -(-count // size)) for count in counts)
        return [
            a_room(school_ids[n % school_count], origin=origin, students=size, courses=c) for n, c in enumerate(courses)
        ]

    rooms, halls = rooms_of(codes, students), rooms_of([0] * hall_count, HALL_STUDENTS)
    for hall in halls:
        hall.phones = [Phone(student_id=student_id, origin=origin) for student_id in hall.student_ids]
    for room, count in zip(rooms, codes, strict=True):
        pairs = ((course, student) for course in room.course_ids for student in room.student_ids)
        room.codes.extend(Code(next(numbers), student, course) for course, student in islice(pairs, count))
    issued = [code for room in rooms for code in room.codes]
    return Schools(rooms=rooms, halls=halls, issued=issued, now=utc_now())


def a_room(school_id: UUID, *, origin: str, students: int, courses: int, now: Clock = utc_now) -> Room:
    """Return a room with a beacon that has a clock, but no token yet."""
    serial = f"BENCH-{secrets.token_hex(6).upper()}"
    beacon = Beacon(id=new_id(), serial=serial, origin=origin, totp_key=secrets.token_bytes(TOTP_KEY_BYTES), now=now)
    return Room(
        school_id=school_id,
        beacon=beacon,
        student_ids=[uuid4() for _ in range(students)],
        course_ids=[new_id() for _ in range(courses)],
    )


def distinct_numbers() -> Iterator[int]:
    """Yield random codes, none twice."""
    seen: set[int] = set()
    while True:
        number = secrets.randbits(CODE_BITS)
        if number not in seen:
            seen.add(number)
            yield number
