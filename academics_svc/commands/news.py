"""Say in contract terms what became of something."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

from academics_svc.domain import Course, Part, PartKind, Preferences, School
from contracts.events.academics import (
    ClassroomCreated,
    ClassroomDeleted,
    ClassroomState,
    ClassroomUpdated,
    CourseState,
    GroupCreated,
    GroupDeleted,
    GroupState,
    GroupUpdated,
    PreferencesUpdated,
    SchoolState,
)

C = TypeVar("C", bound=CourseState)
S = TypeVar("S", bound=SchoolState)

CREATED: Mapping[PartKind, type[ClassroomState | GroupState]] = {"classroom": ClassroomCreated, "group": GroupCreated}
UPDATED: Mapping[PartKind, type[ClassroomState | GroupState]] = {"classroom": ClassroomUpdated, "group": GroupUpdated}
DELETED: Mapping[PartKind, type[ClassroomState | GroupState]] = {"classroom": ClassroomDeleted, "group": GroupDeleted}


def news_of_school(school: School, said: type[S]) -> S:
    """Return the event about the school."""
    return said(school_id=school.id, retired=school.retired)


def news_of_preferences(preferences: Preferences) -> PreferencesUpdated:
    """Return the event about the preferences."""
    rules = {f.name: getattr(preferences, f.name) for f in fields(preferences) if f.name not in ("id", "version")}
    return PreferencesUpdated(preferences_id=preferences.id, **rules)


def news_of_part(part: Part, said: Mapping[PartKind, type[ClassroomState | GroupState]]) -> ClassroomState | GroupState:
    """Return the event about the classroom or group. said: CREATED, UPDATED or DELETED."""
    facts = {f"{part.kind}_id": part.id, "school_id": part.school_id, "retired": part.retired}
    return said[part.kind].model_validate(facts)


def news_of_course(course: Course, said: type[C]) -> C:
    """Return the event about the course: its whole state."""
    return said(
        course_id=course.id,
        school_id=course.school_id,
        start_at=course.start_at,
        end_at=course.end_at,
        is_online=course.is_online,
        closing_delay_minutes=course.closing_delay_minutes,
        signature_closed=course.signature_closed,
        signature_closed_at=course.signature_closed_at,
        closed_by=course.closed_by,
        signing_open_until=course.signing_open_until,
        cancelled=course.cancelled,
        teacher_ids=sorted(course.teacher_ids),
        group_ids=sorted(course.group_ids),
        classroom_ids=sorted(course.classroom_ids),
    )
