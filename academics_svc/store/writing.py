"""What every write of academics shares: who announces it, and what a repeat of it may do."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events.envelope import Aggregate, Cause, Event, wrap
from contracts.ids import SchoolId, new_id
from contracts.problems import ConflictError
from infra.postgres import Connection, Row
from streams.outbox import Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: an aggregate and the version that the write gave it."""

    kind: str
    id: UUID
    school_id: SchoolId
    version: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A transaction, and why it is made."""

    connection: Connection
    outbox: Outbox
    cause: Cause

    async def announce(self, *news: tuple[Event, Written]) -> None:
        """Queue the events of this transaction's writes."""
        events = [
            wrap(
                event,
                id=new_id(),
                of=Aggregate(
                    type=of.kind,
                    id=of.id,
                    version=of.version,
                    school_id=of.school_id,
                    recorded_at=of.recorded_at,
                ),
                cause=self.cause,
            )
            for event, of in news
        ]
        await self.outbox.add(self.connection, *events)


def check_repeat(earlier: Row | None, digest: bytes) -> None:
    """Pass when what is kept under the same id was made by the same request.

    Raises: ConflictError("idempotency_key_reused").
    """
    if earlier is None or earlier["request_digest"] != digest:
        raise ConflictError("idempotency_key_reused")
