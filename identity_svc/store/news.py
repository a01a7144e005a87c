"""Events, written in the transaction of the change they report."""

from uuid import UUID

from contracts.events.envelope import Aggregate, Cause, Event, wrap
from contracts.ids import new_id
from infra.postgres import Connection
from streams.outbox import Outbox


class News:
    """Announces what becomes of users, devices, sessions and keys, all by the same cause."""

    def __init__(self, connection: Connection, *, outbox: Outbox, cause: Cause) -> None:
        self._connection, self._outbox = connection, outbox
        self.cause = cause

    async def announce(self, kind: str, id: UUID, *events: tuple[int, Event], school_id: UUID | None) -> None:
        """Queue what happened to one thing, each event with the version that it made."""
        wrapped = [
            wrap(
                event,
                id=new_id(),
                of=Aggregate(type=kind, id=id, version=version, school_id=school_id),
                cause=self.cause,
            )
            for version, event in events
        ]
        await self._outbox.add(self._connection, *wrapped)
