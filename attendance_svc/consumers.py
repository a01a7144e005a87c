"""Stream door of attendance_svc: what happens here when academics says that something changed there."""

from typing import Protocol

from contracts.events.academics import (
    CourseCancelled,
    CourseCreated,
    CourseSignatureClosed,
    CourseSignatureReopened,
    CourseState,
    CourseUpdated,
    GroupCreated,
    GroupDeleted,
    GroupMembershipChanged,
    GroupState,
    GroupUpdated,
    PreferencesUpdated,
)
from infra.postgres import Connection
from streams.codec import Delivered
from streams.parking import Handlers

COPY = "attendance.copy"
ACADEMICS = "academics"


class AcademicsCopy(Protocol):
    """The copy of academics. Each method returns False when this version, or a later one, was there."""

    async def keep_course(self, connection: Connection, course: CourseState, event: Delivered) -> bool:
        """Keep this version of a course."""

    async def keep_preferences(self, connection: Connection, preferences: PreferencesUpdated, event: Delivered) -> bool:
        """Keep this version of a school's preferences."""

    async def keep_group(self, connection: Connection, group: GroupState, event: Delivered) -> bool:
        """Note that the group reached this version."""

    async def keep_membership(self, connection: Connection, change: GroupMembershipChanged, event: Delivered) -> bool:
        """Apply who joined and who left a group."""

    async def truncate_shard(self, connection: Connection, shard: int) -> None:
        """Empty the copy of one shard."""


class ClosingTimers(Protocol):
    """The timers that close courses."""

    async def follow_course(self, connection: Connection, course: CourseState, event: Delivered) -> None:
        """Arm, re-arm, finish or cancel the timer of a course whose newest state this is."""

    async def follow_preferences(self, connection: Connection, preferences: PreferencesUpdated) -> None:
        """Move the timers of the school's courses that are still open."""

    async def forget_shard(self, connection: Connection, shard: int) -> None:
        """Drop the timers of one shard: the log tells them anew."""


class Sheets(Protocol):
    """What is published about who was there."""

    async def follow_course(self, connection: Connection, course: CourseState, event: Delivered) -> None:
        """Note when the sheet of a course whose newest state this is has to be looked at."""


class AcademicsDoor:
    """Takes the events of academics. Copy, timers and sheets advance together, in the consumer's own transaction."""

    def __init__(self, *, copy: AcademicsCopy, timers: ClosingTimers, sheets: Sheets) -> None:
        self._copy, self._timers, self._sheets = copy, timers, sheets

    def handlers(self) -> Handlers:
        """Return who takes which event. Schools and classrooms are not copied: no rule asks about them."""
        return {
            PreferencesUpdated.type: self.on_preferences_updated,
            GroupCreated.type: self.on_group_changed,
            GroupUpdated.type: self.on_group_changed,
            GroupDeleted.type: self.on_group_changed,
            GroupMembershipChanged.type: self.on_membership_changed,
            CourseCreated.type: self.on_course_changed,
            CourseUpdated.type: self.on_course_changed,
            CourseCancelled.type: self.on_course_changed,
            CourseSignatureClosed.type: self.on_course_changed,
            CourseSignatureReopened.type: self.on_course_changed,
        }

    async def on_course_changed(self, connection: Connection, event: Delivered) -> None:
        course = CourseState.model_validate(event.data)
        if await self._copy.keep_course(connection, course, event):
            await self._timers.follow_course(connection, course, event)
            await self._sheets.follow_course(connection, course, event)

    async def on_preferences_updated(self, connection: Connection, event: Delivered) -> None:
        preferences = PreferencesUpdated.model_validate(event.data)
        if await self._copy.keep_preferences(connection, preferences, event):
            await self._timers.follow_preferences(connection, preferences)

    async def on_group_changed(self, connection: Connection, event: Delivered) -> None:
        await self._copy.keep_group(connection, GroupState.model_validate(event.data), event)

    async def on_membership_changed(self, connection: Connection, event: Delivered) -> None:
        await self._copy.keep_membership(connection, GroupMembershipChanged.model_validate(event.data), event)

    async def forget_shard(self, connection: Connection, shard: int) -> None:
        """Empty one shard's copy: its source starts a new log, or the copy is made anew."""
        await self._copy.truncate_shard(connection, shard)
        await self._timers.forget_shard(connection, shard)
