"""Which school a caller may reach, and what it may do there. Another school's things are not there at all."""

from collections.abc import Collection
from uuid import UUID

from academics_svc.domain import Course, Preferences
from contracts.ids import SchoolId
from contracts.problems import ForbiddenError, InvalidInputError, NotFoundError
from infra.tokens import Caller

DELAY = frozenset({"closing_delay_minutes"})


def school_to_write(caller: Caller, named: UUID | None) -> SchoolId:
    """Return the school that a change is for. A developer, who has none, must name it.

    Raises: InvalidInputError("school_id_required"), NotFoundError("not_found").
    """
    if caller.type == "dev" and named is None:
        raise InvalidInputError("school_id_required", fields=["school_id"])
    school_id = caller.school_id if named is None else named
    if school_id is None or (caller.type != "dev" and school_id != caller.school_id):
        raise NotFoundError("not_found")
    return SchoolId(school_id)


def school_to_read(caller: Caller, named: UUID | None = None) -> SchoolId | None:
    """Return the school that a read is limited to, None for all. Raises: NotFoundError("not_found")."""
    if caller.type == "dev":
        return None if named is None else SchoolId(named)
    return school_to_write(caller, named)


def check_course_change(caller: Caller, course: Course, preferences: Preferences, fields: Collection[str]) -> None:
    """Pass when `caller` may change these fields of the course.

    Raises: ForbiddenError("forbidden" | "closing_delay_locked" | "course_modification_disabled").
    """
    only_delay = set(fields) <= DELAY
    if caller.type == "teacher":
        if caller.id not in course.teacher_ids or not only_delay:
            raise ForbiddenError("forbidden")
        if not preferences.teacher_can_modify_closing_delay:
            raise ForbiddenError("closing_delay_locked")
    elif not only_delay:
        check_planning(caller, preferences)


def check_planning(caller: Caller, preferences: Preferences) -> None:
    """Pass when `caller` may plan courses by hand. Raises: ForbiddenError("course_modification_disabled")."""
    if caller.type != "dev" and preferences.disable_course_modification_from_ui:
        raise ForbiddenError("course_modification_disabled")


def check_signing_change(caller: Caller, course: Course, preferences: Preferences) -> None:
    """Pass when `caller` may open and close signing. Raises: ForbiddenError("forbidden" | "closing_delay_locked")."""
    if caller.type == "teacher":
        check_course_change(caller, course, preferences, DELAY)
