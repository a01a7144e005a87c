"""A log of academics as a year would leave it, sealed by the product's own functions and put into the table by SQL."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import asyncpg

from contracts.events.academics import (
    CourseCreated,
    CourseSignatureClosed,
    CourseUpdated,
    GroupCreated,
    GroupMembershipChanged,
    PreferencesUpdated,
)
from contracts.events.envelope import Aggregate, Cause, Envelope, Event, wrap
from contracts.ids import new_id
from infra.local.variables import SHARD_COUNT
from streams import schema
from streams.chain import seal_after
from streams.entries import Entry, Place
from streams.names import shard_of
from streams.outbox import Outbox

SOURCE = "academics"
BEGAN = datetime(2025, 9, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVENTS_PER_SCHOOL = 5_000
GROUPS, STUDENTS = 20, 30
AT_ONCE = 2_000
COLUMNS = (
    *("shard", "sealed_ms", "pos", "event_id", "agg_type", "agg_id", "aggver", "tenant", "type", "body"),
    *("salt", "commit", "prev_hash", "hash"),
)
FIND_SHARDS = "SELECT shard, incarnation, base_hash FROM streams_shard ORDER BY shard"
MOVE = """
UPDATE streams_shard SET last_pos = $2, last_ms = $3, last_hash = $4, closed_pos = $2, closed_t = clock_timestamp()
WHERE shard = $1
"""
Progress = Callable[[int], None]


@dataclass
class Teller:
    """Tells what happens in one school: a few groups, then courses that are planned, changed and closed."""

    school_id: UUID
    chance: random.Random
    at: datetime = BEGAN
    groups: list[UUID] = field(default_factory=list)
    versions: dict[UUID, int] = field(default_factory=dict)

    def wrapped(self, kind: str, id_: UUID, event: Event) -> Envelope:
        self.at += MINUTE / 10
        self.versions[id_] = self.versions.get(id_, 0) + 1
        of = Aggregate(type=kind, id=id_, version=self.versions[id_], school_id=self.school_id, recorded_at=self.at)
        return wrap(event, id=new_id(), of=of, cause=Cause(at=self.at, actor_type="admin", request_id="bench"))

    def events(self) -> Iterator[Envelope]:
        """Yield without end."""
        yield self.preferences()
        for _ in range(GROUPS):
            yield from self.group()
        while True:
            yield from self.course()

    def preferences(self) -> Envelope:
        id_ = self.id()
        said = PreferencesUpdated(
            preferences_id=id_,
            school_id=self.school_id,
            default_signature_closing_delay_minutes=15,
            teacher_can_modify_closing_delay=True,
            students_can_sign_before_teacher=True,
            enable_flash=True,
            enable_nfc=True,
            enable_qr=True,
            disable_course_modification_from_ui=False,
            early_open_minutes=0,
            late_grace_minutes=0,
        )
        return self.wrapped("preferences", id_, said)

    def group(self) -> Iterator[Envelope]:
        id_ = self.id()
        self.groups.append(id_)
        yield self.wrapped("group", id_, GroupCreated(group_id=id_, school_id=self.school_id, retired=False))
        students = [self.id() for _ in range(STUDENTS)]
        joined = GroupMembershipChanged(group_id=id_, school_id=self.school_id, added=students, removed=[])
        yield self.wrapped("group", id_, joined)

    def course(self) -> Iterator[Envelope]:
        id_, start_at = self.id(), self.at + timedelta(days=7)
        plan = {
            "course_id": id_,
            "school_id": self.school_id,
            "start_at": start_at,
            "end_at": start_at + timedelta(hours=2),
            "is_online": False,
            "closing_delay_minutes": None,
            "signature_closed": False,
            "signature_closed_at": None,
            "closed_by": None,
            "signing_open_until": None,
            "cancelled": False,
            "teacher_ids": [self.id()],
            "group_ids": [self.chance.choice(self.groups)],
            "classroom_ids": [self.id()],
        }
        yield self.wrapped("course", id_, CourseCreated(**plan))
        if self.chance.random() < 0.2:
            plan |= {"end_at": start_at + timedelta(hours=3)}
            yield self.wrapped("course", id_, CourseUpdated(**plan))
        plan |= {"signature_closed": True, "signature_closed_at": start_at + 15 * MINUTE, "closed_by": "job"}
        yield self.wrapped("course", id_, CourseSignatureClosed(**plan))

    def id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128), version=4)


def told(count: int) -> Iterator[Envelope]:
    """Yield so many events of as many schools as they take, the schools in turns as in life."""
    school_count = max(2, count // EVENTS_PER_SCHOOL // SHARD_COUNT) * SHARD_COUNT
    chance = random.Random(1)  # noqa: S311 -- every run tells the same
    lines = [Teller(school, chance).events() for school in schools(school_count, chance)]
    told_by_turns = (next(line) for _ in range(-(-count // school_count)) for line in lines)
    return islice(told_by_turns, count)


def schools(count: int, chance: random.Random) -> Iterator[UUID]:
    """Yield the ids of schools, as many in each shard."""
    for n in range(count):
        while shard_of(made := UUID(int=chance.getrandbits(128), version=4), SHARD_COUNT) != n % SHARD_COUNT:
            pass
        yield made


@dataclass
class Shelf:
    """One shard as it is filled."""

    shard: int
    last: Place

    def seal(self, body: bytes, ms: int) -> Entry:
        entry = seal_after(self.last, self.shard, ms, body)
        self.last = entry.place
        return entry


async def fill(url: str, count: int, note: Progress) -> None:
    """Make the tables of academics' log in the empty database at `url` and seal `count` events into them."""
    connection = await asyncpg.connect(url)
    try:
        for statement in schema.statements(*schema.PRODUCER):
            await connection.execute(statement)
        await schema.prepare(connection, source=SOURCE, shard_count=SHARD_COUNT)
        rows = await connection.fetch(FIND_SHARDS)
        shelves = [
            Shelf(row["shard"], Place(incarnation=row["incarnation"], pos=0, ms=0, hash=row["base_hash"]))
            for row in rows
        ]
        outbox, events = Outbox(SHARD_COUNT), told(count)
        while some := list(islice(events, AT_ONCE)):
            records = sealed(outbox, shelves, some)
            await connection.copy_records_to_table("streams_log", columns=COLUMNS, records=records)
            note(len(some))
        for shelf in shelves:
            await connection.execute(MOVE, shelf.shard, shelf.last.pos, shelf.last.ms, shelf.last.hash)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def sealed(outbox: Outbox, shelves: Sequence[Shelf], events: Sequence[Envelope]) -> list[tuple]:
    """Return the rows of `streams_log` that these events are."""
    records = []
    for shard, *of, body in zip(*outbox.rows(*events), strict=True):
        ms = int(events[len(records)].time.timestamp() * 1000)
        entry = shelves[shard].seal(body, ms)
        records.append((shard, ms, entry.pos, *of, body, entry.salt, entry.commit, entry.prev_hash, entry.hash))
    return records
