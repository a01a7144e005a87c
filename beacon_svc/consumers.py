"""Stream door of beacon_svc: what happens here when academics says that something changed there."""

from typing import Protocol
from uuid import UUID

from beacon_svc.ports import PlaceKind
from contracts.events.academics import (
    ClassroomCreated,
    ClassroomDeleted,
    ClassroomState,
    ClassroomUpdated,
    SchoolCreated,
    SchoolDeleted,
    SchoolState,
    SchoolUpdated,
)
from infra.postgres import Connection
from streams.codec import Delivered
from streams.parking import Handlers


class AcademicsCopy(Protocol):
    """The copy of academics, in the consumer's own transaction."""

    async def keep(
        self, connection: Connection, kind: PlaceKind, id: UUID, *, is_retired: bool, event: Delivered
    ) -> None:
        """Keep this version of a school or a room, unless a later one is there."""


class AcademicsDoor:
    """Takes the events of academics about schools and rooms; no rule here asks about anything else."""

    def __init__(self, copy: AcademicsCopy) -> None:
        self._copy = copy

    def handlers(self) -> Handlers:
        """Return who takes which event."""
        schools = dict.fromkeys((kind.type for kind in (SchoolCreated, SchoolUpdated, SchoolDeleted)), self.on_school)
        rooms = (ClassroomCreated, ClassroomUpdated, ClassroomDeleted)
        return schools | dict.fromkeys((kind.type for kind in rooms), self.on_classroom)

    async def on_school(self, connection: Connection, event: Delivered) -> None:
        school = SchoolState.model_validate(event.data)
        await self._copy.keep(connection, "school", school.school_id, is_retired=school.retired, event=event)

    async def on_classroom(self, connection: Connection, event: Delivered) -> None:
        room = ClassroomState.model_validate(event.data)
        await self._copy.keep(connection, "classroom", room.classroom_id, is_retired=room.retired, event=event)
