"""What academics needs from the outside, in its own words.

The books work in the transaction of whoever opened them. Everything they keep is announced in it, and every period of
history ends and begins in it. `lock` waits for others who change the same thing; `hold` only keeps it from being
changed. Locks are taken in one order: school, preferences, courses, then groups and classrooms.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from academics_svc.domain import Course, Part, Preferences, School
from contracts.events.academics import (
    CourseState,
    GroupMembershipChanged,
    PreferencesUpdated,
    SchoolState,
)
from contracts.events.envelope import Cause, Event
from contracts.ids import SchoolId

UserKind = Literal["student", "teacher"]


class People(Protocol):
    """Who there is (identity_svc)."""

    async def find_kinds(self, user_ids: Collection[UUID], *, school_id: SchoolId) -> Mapping[UUID, str]:
        """Return the type ("student") of each of the users that is known in this school; others are left out.

        user_ids: any number. Raises: UnavailableError("identity_down").
        """
        ...

    async def may_enter(self, user_id: UUID, kind: UserKind, *, school_id: SchoolId) -> bool:
        """Return whether the user is of that kind and that school, with an account that is not shut.

        Raises: UnavailableError("identity_down").
        """
        ...


class BeaconDirectory(Protocol):
    """Which beacons stand where (beacon_svc)."""

    async def has_beacons(self, classroom_id: UUID, *, school_id: SchoolId) -> bool:
        """Return whether a beacon is assigned to the room. Raises: UnavailableError("beacon_down")."""
        ...


class SchoolBook(Protocol):
    """Schools and their preferences."""

    async def add(
        self, school: School, preferences: Preferences, *, digest: bytes, announce: tuple[SchoolState, Event]
    ) -> None:
        """Keep a new school with its preferences. A repeat of the same request, by its digest, changes nothing.

        Raises: ConflictError("idempotency_key_reused").
        """
        ...

    async def lock(self, school_id: SchoolId) -> School:
        """Return the school, retired or not. Raises: NotFoundError("not_found")."""
        ...

    async def hold(self, school_id: SchoolId) -> School:
        """Return the school, not retired, nor until this transaction ends. Raises: NotFoundError("not_found")."""
        ...

    async def change(self, school: School, announce: SchoolState) -> School:
        """Keep the locked school's new state; return it with its version."""
        ...

    async def is_needed(self, school_id: SchoolId, now: datetime) -> bool:
        """Return whether rooms, groups or coming courses are left in it."""
        ...

    async def lock_preferences(self, school_id: SchoolId) -> Preferences:
        """Raises: NotFoundError("not_found")."""
        ...

    async def hold_preferences(self, school_ids: Collection[SchoolId]) -> Mapping[SchoolId, Preferences]:
        """Return the preferences of these schools, unchanged until this transaction ends."""
        ...

    async def change_preferences(self, preferences: Preferences, announce: PreferencesUpdated) -> Preferences:
        """Keep the locked preferences' new state; return them with their version."""
        ...


class PartBook(Protocol):
    """The classrooms, or the groups, of all schools."""

    async def add(self, part: Part, *, digest: bytes, announce: Event) -> None:
        """Keep a new part. A repeat of the same request, by its digest, changes nothing.

        Raises: ConflictError("idempotency_key_reused" | "name_taken").
        """
        ...

    async def lock(self, part_id: UUID, *, school_id: SchoolId) -> Part:
        """Return the part, retired or not. Raises: NotFoundError("not_found")."""
        ...

    async def hold(self, part_ids: Collection[UUID], *, school_id: SchoolId) -> None:
        """Keep these parts of the school from being retired.

        Raises: NotFoundError("not_found") when one is not there.
        """
        ...

    async def change(self, part: Part, announce: Event) -> Part:
        """Keep the locked part's new state; return it with its version. Raises: ConflictError("name_taken")."""
        ...

    async def is_needed(self, part_id: UUID, now: datetime) -> bool:
        """Return whether a coming course that is not cancelled is linked to it."""
        ...


class MemberBook(Protocol):
    """Who belongs to which group."""

    async def find(self, group_id: UUID, student_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of the students who are members of the locked group."""
        ...

    async def change(self, group: Part, announce: GroupMembershipChanged) -> Part:
        """Let the students of `announce` join and leave the locked group; return it with its version."""
        ...


class CourseBook(Protocol):
    """Courses and what they are linked to."""

    async def add(self, course: Course, *, digest: bytes, announce: CourseState) -> None:
        """Keep a new course. A repeat of the same request, by its digest, changes nothing.

        Raises: ConflictError("idempotency_key_reused").
        """
        ...

    async def find_known(self, course_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of the ids that are a course's. Locks nothing."""
        ...

    async def lock(self, course_id: UUID, *, school_id: SchoolId) -> Course:
        """Raises: NotFoundError("not_found")."""
        ...

    async def change(self, before: Course, after: Course, announce: CourseState) -> Course:
        """Keep the locked course's new state; return it with its version."""
        ...

    async def change_signing(self, news: Sequence[tuple[Course, CourseState]]) -> None:
        """Keep the signing state of many locked courses."""
        ...

    async def lock_closed_by_job(self, school_id: SchoolId, now: datetime) -> list[Course]:
        """Return the school's courses that still go on and that the job has closed."""
        ...

    async def find_due(self, now: datetime, limit: int) -> Mapping[UUID, SchoolId]:
        """Return courses whose signing should be closed, with their schools; nothing is locked."""
        ...

    async def lock_free(self, course_ids: Collection[UUID]) -> list[Course]:
        """Return those of the courses that nobody else changes right now, in the order of their ids."""
        ...


class CalendarBook(Protocol):
    """Whose calendar URLs were made void."""

    async def revoke(self, user_id: UUID) -> None:
        """Make the URLs void that were handed out to this person so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything that is kept, in one transaction."""

    schools: SchoolBook
    classrooms: PartBook
    groups: PartBook
    members: MemberBook
    courses: CourseBook
    calendars: CalendarBook


# Opens the books and their transaction: leaving commits, an exception rolls everything back.
OpenBooks = Callable[[Cause], AbstractAsyncContextManager[Books]]
