"""Stream door of attendance_svc: what happens here when academics says that something changed there."""

from collections.abc import Sequence
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

CourseNews = tuple[CourseState, Delivered]
GroupNews = tuple[GroupState | GroupMembershipChanged, Delivered]

COPY = "attendance.copy"
ACADEMICS = "academics"
COURSES = frozenset(
    kind.type
    for kind in (CourseCreated, CourseUpdated, CourseCancelled, CourseSignatureClosed, CourseSignatureReopened)
)
GROUPS = frozenset(kind.type for kind in (GroupCreated, GroupUpdated, GroupDeleted))


class AcademicsCopy(Protocol):
    """The copy of academics. What is there already, or a later version of it, is left as it is."""

    async def keep_courses(self, connection: Connection, news: Sequence[CourseNews]) -> list[CourseNews]:
        """Keep these versions of courses, in their order; return those that are new."""

    async def keep_preferences(self, connection: Connection, preferences: PreferencesUpdated, event: Delivered) -> bool:
        """Keep this version of a school's preferences; return whether it is new."""

    async def keep_groups(self, connection: Connection, news: Sequence[GroupNews]) -> None:
        """Note that groups reached these versions, and apply who joined and who left, in their order."""

    async def truncate_shard(self, connection: Connection, shard: int) -> None:
        """Empty the copy of one shard."""


class ClosingTimers(Protocol):
    """The timers that close courses."""

    async def follow_courses(self, connection: Connection, news: Sequence[CourseNews]) -> None:
        """Arm, re-arm, finish or cancel the timers of courses that these are the newest states of, in their order."""

    async def follow_preferences(self, connection: Connection, preferences: PreferencesUpdated) -> None:
        """Move the timers of the school's courses that are still open."""

    async def forget_shard(self, connection: Connection, shard: int) -> None:
        """Drop the timers of one shard: the log tells them anew."""


class Sheets(Protocol):
    """What is published about who was there."""

    async def follow_courses(self, connection: Connection, news: Sequence[CourseNews]) -> None:
        """Note when the sheets of courses that these are the newest states of have to be looked at, in their order."""


class AcademicsDoor:
    """Takes the events of academics. Copy, timers and sheets advance together, in the consumer's own transaction."""

    def __init__(self, *, copy: AcademicsCopy, timers: ClosingTimers, sheets: Sheets) -> None:
        self._copy, self._timers, self._sheets = copy, timers, sheets

    def handlers(self) -> Handlers:
        """Return who takes which event. Schools and classrooms are not copied: no rule asks about them."""
        return dict.fromkeys((PreferencesUpdated.type, GroupMembershipChanged.type, *GROUPS, *COURSES), self.on_event)

    async def on_event(self, connection: Connection, event: Delivered) -> None:
        await self.on_events(connection, [event])

    async def on_events(self, connection: Connection, events: Sequence[Delivered]) -> None:
        """Apply events of a shard, in their order, as if one by one, but with few statements."""
        courses, groups = list[CourseNews](), list[GroupNews]()
        for event in events:
            if event.type in COURSES:
                courses.append((CourseState.model_validate(event.data), event))
            elif event.type in GROUPS:
                groups.append((GroupState.model_validate(event.data), event))
            elif event.type == GroupMembershipChanged.type:
                groups.append((GroupMembershipChanged.model_validate(event.data), event))
            elif event.type == PreferencesUpdated.type:
                # The timers of courses count with what their school preferred at that point of the log.
                await self._keep_courses(connection, courses)
                courses.clear()
                await self._keep_preferences(connection, event)
        await self._keep_courses(connection, courses)
        if groups:
            await self._copy.keep_groups(connection, groups)

    async def _keep_courses(self, connection: Connection, news: Sequence[CourseNews]) -> None:
        new = await self._copy.keep_courses(connection, news) if news else []
        if new:
            await self._timers.follow_courses(connection, new)
            await self._sheets.follow_courses(connection, new)

    async def _keep_preferences(self, connection: Connection, event: Delivered) -> None:
        preferences = PreferencesUpdated.model_validate(event.data)
        if await self._copy.keep_preferences(connection, preferences, event):
            await self._timers.follow_preferences(connection, preferences)

    async def forget_shard(self, connection: Connection, shard: int) -> None:
        """Empty one shard's copy: its source starts a new log, or the copy is made anew."""
        await self._copy.truncate_shard(connection, shard)
        await self._timers.forget_shard(connection, shard)
