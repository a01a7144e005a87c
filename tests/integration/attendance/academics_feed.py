"""What academics says, given to attendance's stream door as the consumer would give it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from attendance_svc.consumers import AcademicsDoor
from attendance_svc.store import academics_history, closing, sheets
from contracts.events.academics import (
    CourseCreated,
    CourseUpdated,
    GroupCreated,
    GroupMembershipChanged,
    PreferencesUpdated,
)
from contracts.events.envelope import Aggregate, Cause, wrap
from contracts.ids import new_id
from infra.postgres import transaction
from streams.codec import Delivered, body_of
from streams.names import shard_of

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Long before anything happens in the tests, so that what is not about history need not think of it.
PLANNED = NINE - 30 * DAY
SHARDS = 4
SCHOOL = UUID(int=1)
PREFERENCES = {
    "default_signature_closing_delay_minutes": 15,
    "teacher_can_modify_closing_delay": True,
    "students_can_sign_before_teacher": True,
    "enable_flash": True,
    "enable_nfc": True,
    "enable_qr": True,
    "disable_course_modification_from_ui": False,
    "early_open_minutes": 0,
    "late_grace_minutes": 0,
}
COURSE = {
    "start_at": NINE,
    "end_at": NINE + HOUR,
    "is_online": False,
    "closing_delay_minutes": None,
    "signature_closed": False,
    "signature_closed_at": None,
    "closed_by": None,
    "signing_open_until": None,
    "cancelled": False,
    "teacher_ids": [],
    "group_ids": [],
    "classroom_ids": [],
}
CLOSED = {"signature_closed": True, "signature_closed_at": NINE + 15 * MINUTE, "closed_by": "job"}


def shard_in(school) -> int:
    return shard_of(school, SHARDS)


class Feed:
    """Says things as academics would, versions in order, and keeps what was said."""

    def __init__(self, pool):
        self.pool, self.said, self._versions, self._courses = pool, [], {}, {}
        self.door = AcademicsDoor(copy=academics_history, timers=closing, sheets=sheets)

    def event(self, said, *, aggregate, id, school, at) -> Delivered:
        version = self._versions[id] = self._versions.get(id, 0) + 1
        of = Aggregate(type=aggregate, id=id, version=version, school_id=school, recorded_at=at)
        envelope = wrap(said, id=new_id(), of=of, cause=Cause(at=at, actor_type="admin"))
        return Delivered(
            id=envelope.id,
            type=envelope.type,
            subject=envelope.subject,
            time=envelope.time,
            recorded_at=envelope.recordedtime,
            school_id=school,
            aggver=version,
            actor=envelope.actor,
            data=json.loads(body_of(envelope))["data"],
            correlation_id=None,
            causation_id=None,
            request_id=None,
            traceparent=None,
            shard=shard_in(school),
            pos=len(self.said) + 1,
            ms=0,
        )

    async def say(self, event: Delivered) -> None:
        async with transaction(self.pool) as connection:
            await self.door.handlers()[event.type](connection, event)
        self.said.append(event)

    async def repeat(self, *events: Delivered) -> None:
        for event in events:
            async with transaction(self.pool) as connection:
                await self.door.handlers()[event.type](connection, event)

    async def preferences(self, *, school=SCHOOL, at=PLANNED, **changes) -> Delivered:
        id = UUID(int=school.int + 10_000)
        said = PreferencesUpdated(preferences_id=id, school_id=school, **(PREFERENCES | changes))
        await self.say(event := self.event(said, aggregate="preferences", id=id, school=school, at=at))
        return event

    async def course(self, course_id=None, *, school=SCHOOL, at=PLANNED, **changes) -> UUID:
        """Say how a course is now: as it was, but for `changes`."""
        kind = CourseUpdated if course_id else CourseCreated
        course_id = course_id or uuid4()
        self._courses[course_id] = self._courses.get(course_id, COURSE) | changes
        said = kind(course_id=course_id, school_id=school, **self._courses[course_id])
        await self.say(self.event(said, aggregate="course", id=course_id, school=school, at=at))
        return course_id

    async def group(self, *students, school=SCHOOL, at=PLANNED) -> UUID:
        """Say that there is a group and who is in it."""
        id = uuid4()
        said = GroupCreated(group_id=id, school_id=school, retired=False)
        await self.say(self.event(said, aggregate="group", id=id, school=school, at=at))
        await self.members(id, added=students, school=school, at=at)
        return id

    async def members(self, group, *, added=(), removed=(), school=SCHOOL, at=PLANNED) -> Delivered:
        said = GroupMembershipChanged(group_id=group, school_id=school, added=list(added), removed=list(removed))
        await self.say(event := self.event(said, aggregate="group", id=group, school=school, at=at))
        return event

    def without_recorded_time(self, event: Delivered) -> Delivered:
        return replace(event, recorded_at=None)
