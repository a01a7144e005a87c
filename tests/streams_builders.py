"""Events and what writes them, for the tests of streams."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from contracts.events.envelope import Aggregate, Cause, Envelope, Event, wrap
from contracts.ids import new_id
from streams.outbox import Outbox

SOURCE = "academics"
NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)
# With four shards each in another one, 0 to 3; with two, in 0 1 0 1.
SCHOOLS = [UUID(int=n) for n in (4, 2, 5, 1)]


class RoomPainted(Event):
    """A room has another colour."""

    type = "academics.room.painted.v1"
    colour: str
    coats: int = 1
    note: str | None = None


def an_event(*, room=None, version=1, school=None, colour="blue", **data) -> Envelope:
    return wrap(
        RoomPainted(colour=colour, **data),
        id=new_id(),
        of=Aggregate(type="room", id=room or uuid4(), version=version, school_id=school),
        cause=Cause(at=NINE, actor_type="service", request_id="r-1"),
    )


class Writer:
    """Writes events as a service does: in a transaction, versions of a room in order."""

    def __init__(self, pool, shard_count):
        self.pool, self.outbox, self.versions = pool, Outbox(shard_count), {}

    def next(self, *, room=None, **changes):
        room = room or uuid4()
        self.versions[room] = self.versions.get(room, 0) + 1
        return an_event(room=room, version=self.versions[room], **changes)

    async def write(self, *events):
        async with self.pool.acquire() as connection, connection.transaction():
            await self.outbox.add(connection, *events)
        return [event.id for event in events]

    async def paint(self, count=1, **changes):
        return await self.write(*(self.next(**changes) for _ in range(count)))
