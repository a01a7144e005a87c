"""What academics knows and decides: schools, their parts, their courses, and when signing closes."""

import base64
import binascii
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from contracts.ids import CourseId, SchoolId
from contracts.problems import ConflictError, InvalidInputError

MAX_MINUTES = 1440  # a day: longer delays are typing errors

PartKind = Literal["classroom", "group"]
LinkKind = Literal["teacher", "group", "classroom"]
ClosedBy = Literal["job", "hand"]
Attendee = Literal["student", "teacher"]

ATTENDEES: Final[tuple[Attendee, ...]] = ("student", "teacher")
COUNTER_BYTES, MAC_BYTES = 4, 32
FEED_BYTES = 16 + 16 + 1 + COUNTER_BYTES + MAC_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class School:
    """A tenant: everything else belongs to one."""

    id: SchoolId
    name: str
    retired: bool = False
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A school's rules of signing. The defaults are those of a new school."""

    id: UUID
    school_id: SchoolId
    default_signature_closing_delay_minutes: int = 15
    teacher_can_modify_closing_delay: bool = True
    students_can_sign_before_teacher: bool = True
    enable_flash: bool = True
    enable_nfc: bool = True
    enable_qr: bool = True
    disable_course_modification_from_ui: bool = False
    early_open_minutes: int = 0
    late_grace_minutes: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A named part of a school: a classroom or a group of students."""

    kind: PartKind
    id: UUID
    school_id: SchoolId
    name: str
    retired: bool = False
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One sitting with a start and an end, and whom and what it is linked to.

    closing_delay_minutes: its own; None: the school's default counts. signature_closed_at: the nominal due time when
    a job closed signing. signing_open_until: set while signing is reopened.
    """

    id: CourseId
    school_id: SchoolId
    name: str
    start_at: datetime
    end_at: datetime
    is_online: bool = False
    closing_delay_minutes: int | None = None
    signature_closed_at: datetime | None = None
    closed_by: ClosedBy | None = None
    signing_open_until: datetime | None = None
    cancelled: bool = False
    version: int = 1
    teacher_ids: frozenset[UUID] = frozenset()
    group_ids: frozenset[UUID] = frozenset()
    classroom_ids: frozenset[UUID] = frozenset()

    @property
    def signature_closed(self) -> bool:
        """Whether signing was closed, by the job or by hand."""
        return self.signature_closed_at is not None


def check_preferences(preferences: Preferences) -> None:
    """Raises: InvalidInputError("minutes_out_of_range") naming the fields."""
    named = ("default_signature_closing_delay_minutes", "early_open_minutes", "late_grace_minutes")
    wrong = [name for name in named if not 0 <= getattr(preferences, name) <= MAX_MINUTES]
    if wrong:
        raise InvalidInputError("minutes_out_of_range", fields=wrong)


def check_plan(course: Course) -> None:
    """Raises: InvalidInputError("end_not_after_start" | "minutes_out_of_range")."""
    if course.end_at <= course.start_at:
        raise InvalidInputError("end_not_after_start", fields=["end_at"])
    if course.closing_delay_minutes is not None and not 0 <= course.closing_delay_minutes <= MAX_MINUTES:
        raise InvalidInputError("minutes_out_of_range", fields=["closing_delay_minutes"])


def planned_due_at(course: Course, preferences: Preferences) -> datetime:
    """Return when signing is to close by plan. Source: attendance-rules, `closes_at`."""
    delay = course.closing_delay_minutes
    if delay is None:
        delay = preferences.default_signature_closing_delay_minutes
    return min(course.end_at, course.start_at + timedelta(minutes=delay + preferences.late_grace_minutes))


def due_at(course: Course, preferences: Preferences) -> datetime:
    """Return when signing is to close: a reopening names its own end."""
    return course.signing_open_until or planned_due_at(course, preferences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A course and the preferences that count for it."""

    course: Course
    preferences: Preferences

    @property
    def due_at(self) -> datetime:
        """When signing is to close by plan, leaving reopenings aside."""
        return planned_due_at(self.course, self.preferences)


def adapt_signing(before: Plan, after: Plan, now: datetime) -> Course:
    """Return the course of `after` with signing as its new plan wants it.

    Closed by the job and due later than now after all: open again. Reopened, and the new plan goes on for longer:
    the plan counts again. What a hand closed stays closed.
    """
    course = after.course
    is_later = after.due_at > max(now, before.due_at)
    if course.closed_by == "job" and is_later:
        return replace(course, signature_closed_at=None, closed_by=None)
    if course.signing_open_until is None:
        return course
    starts_after = course.start_at >= course.signing_open_until
    if after.due_at > course.signing_open_until and (is_later or starts_after):
        return replace(course, signing_open_until=None)
    return replace(course, signing_open_until=min(course.signing_open_until, course.end_at))


def expire(course: Course, preferences: Preferences, now: datetime) -> Course | None:
    """Return the course with signing closed at its nominal due time, None when it is not due."""
    due = due_at(course, preferences)
    if course.signature_closed or course.cancelled or due > now:
        return None
    return replace(course, signature_closed_at=due, closed_by="job", signing_open_until=None)


def close_by_hand(course: Course, now: datetime) -> Course:
    """Return the course with signing closed now; what is closed already stays as it is."""
    if course.signature_closed:
        return course
    return replace(course, signature_closed_at=now, closed_by="hand", signing_open_until=None)


def open_by_hand(course: Course, preferences: Preferences, *, until: datetime | None, now: datetime) -> Course:
    """Return the course with signing open.

    until: the end of a reopening; None: the planned end while that is ahead, else the end of the course.
    Raises: InvalidInputError("until_out_of_range"), ConflictError("signing_is_open").
    """
    planned = planned_due_at(course, preferences)
    if until is None:
        until = None if planned > now else course.end_at
    elif not max(now, course.start_at) < until <= course.end_at:
        raise InvalidInputError("until_out_of_range", fields=["until"])
    is_as_planned = not course.signature_closed and course.signing_open_until is None and planned > now
    if is_as_planned and until is not None:
        # Who signs in a reopened span is late; on-time students must not become late by a needless reopening.
        raise ConflictError("signing_is_open")
    return replace(course, signature_closed_at=None, closed_by=None, signing_open_until=until)


def linked(course: Course, kind: LinkKind, target_id: UUID) -> Course:
    """Return the course linked to one more teacher, group or classroom."""
    match kind:
        case "teacher":
            return replace(course, teacher_ids=course.teacher_ids | {target_id})
        case "group":
            return replace(course, group_ids=course.group_ids | {target_id})
        case "classroom":
            return replace(course, classroom_ids=course.classroom_ids | {target_id})


def unlinked(course: Course, kind: LinkKind, target_id: UUID) -> Course:
    """Return the course without that teacher, group or classroom."""
    match kind:
        case "teacher":
            return replace(course, teacher_ids=course.teacher_ids - {target_id})
        case "group":
            return replace(course, group_ids=course.group_ids - {target_id})
        case "classroom":
            return replace(course, classroom_ids=course.classroom_ids - {target_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarOwner:
    """Whose calendar a URL shows. counter: how often its owner has made earlier URLs void."""

    user_id: UUID
    school_id: SchoolId
    kind: Attendee
    counter: int


class CalendarFeeds:
    """Makes and reads the part of a URL that names a calendar: nobody else can make one. key: 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def feed_of(self, owner: CalendarOwner) -> str:
        """Return 92 characters of base64url: who, and a code over it. The same for the same owner."""
        kind = bytes([ATTENDEES.index(owner.kind)])
        facts = owner.user_id.bytes + owner.school_id.bytes + kind + owner.counter.to_bytes(COUNTER_BYTES)
        return base64.urlsafe_b64encode(facts + self._mac(facts)).rstrip(b"=").decode()

    def read(self, feed: str) -> CalendarOwner | None:
        """Return whose `feed` is; None when we did not make it."""
        try:
            raw = base64.urlsafe_b64decode(feed.encode("ascii") + b"=" * (-len(feed) % 4))
        except (ValueError, binascii.Error):
            return None
        facts, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if len(raw) != FEED_BYTES or not hmac.compare_digest(mac, self._mac(facts)):
            return None
        return CalendarOwner(
            user_id=UUID(bytes=facts[:16]),
            school_id=SchoolId(UUID(bytes=facts[16:32])),
            kind=ATTENDEES[facts[32]],
            counter=int.from_bytes(facts[33:]),
        )

    def _mac(self, facts: bytes) -> bytes:
        return hmac.digest(self._key, facts, "sha256")
