"""Write events in the transaction of the change they report."""

from dataclasses import dataclass
from uuid import UUID

from asyncpg.pgproto import pgproto

from contracts.events.envelope import Envelope
from infra.postgres import Connection
from streams.codec import body_of
from streams.names import shard_of

ADD = """
INSERT INTO streams_pending (shard, event_id, agg_type, agg_id, aggver, tenant, type, body)
SELECT shard, event_id, agg_type, agg_id, aggver, tenant, type, body
FROM unnest($1::smallint[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[], $8::bytea[])
     WITH ORDINALITY AS e (shard, event_id, agg_type, agg_id, aggver, tenant, type, body, place)
ORDER BY place
"""

Columns = tuple[
    list[int], list[UUID], list[str], list[UUID], list[int], list[UUID | None], list[str], list[bytes]
]  # as in ADD


@dataclass(frozen=True, slots=True)
class Outbox:
    """Queues events for publishing. shard_count: as in streams_meta."""

    shard_count: int

    async def add(self, connection: Connection, *events: Envelope) -> None:
        """Queue `events`, in this order. Nothing leaves before the caller commits.

        The caller holds the lock on each event's aggregate row, so that their order is the order of commits.
        Raises: asyncpg.UniqueViolationError when a version of an aggregate is announced twice.
        """
        if events:
            await connection.execute(ADD, *self.rows(*events))

    def shards_of(self, *events: Envelope) -> set[int]:
        """Return the shards that `events` go to, for `Relay.poke`."""
        return {shard_of(event.partitionkey, self.shard_count) for event in events}

    def rows(self, *events: Envelope) -> Columns:
        """Return the columns of ADD, for a service that writes all of a change in one statement."""
        parts = [event.subject.partition("/") for event in events]
        return (
            [shard_of(event.partitionkey, self.shard_count) for event in events],
            [event.id for event in events],
            [part[0] for part in parts],
            [pgproto.UUID(part[2]) for part in parts],
            [event.aggver for event in events],
            [event.partitionkey for event in events],
            [event.type for event in events],
            [body_of(event) for event in events],
        )
