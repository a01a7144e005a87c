"""Events that academics_svc publishes: the full state afterwards, except for group membership.

`recordedtime` of the envelope says when academics' database wrote it: the `from` of history rows.
"""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime

from contracts.events.envelope import Event


class SchoolState(Event):
    """What the school events report."""

    school_id: UUID
    retired: bool


class SchoolCreated(SchoolState):
    """Said when a school was made; its preferences follow in an event of their own."""

    type: ClassVar[str] = "academics.school.created.v1"


class SchoolUpdated(SchoolState):
    """Said when a school's own data changed."""

    type: ClassVar[str] = "academics.school.updated.v1"


class SchoolDeleted(SchoolState):
    """Said when a school was retired."""

    type: ClassVar[str] = "academics.school.deleted.v1"


class PreferencesUpdated(Event):
    """Said when a school's preferences were set or changed."""

    type: ClassVar[str] = "academics.preferences.updated.v1"

    preferences_id: UUID
    school_id: UUID
    default_signature_closing_delay_minutes: int
    teacher_can_modify_closing_delay: bool
    students_can_sign_before_teacher: bool
    enable_flash: bool
    enable_nfc: bool
    enable_qr: bool
    disable_course_modification_from_ui: bool
    early_open_minutes: int
    late_grace_minutes: int


class ClassroomState(Event):
    """What the classroom events report."""

    classroom_id: UUID
    school_id: UUID
    retired: bool


class ClassroomCreated(ClassroomState):
    """Said when a room was made."""

    type: ClassVar[str] = "academics.classroom.created.v1"


class ClassroomUpdated(ClassroomState):
    """Said when a room changed."""

    type: ClassVar[str] = "academics.classroom.updated.v1"


class ClassroomDeleted(ClassroomState):
    """Said when a room was retired."""

    type: ClassVar[str] = "academics.classroom.deleted.v1"


class GroupState(Event):
    """What the group events report, except its members."""

    group_id: UUID
    school_id: UUID
    retired: bool


class GroupCreated(GroupState):
    """Said when a group was made."""

    type: ClassVar[str] = "academics.group.created.v1"


class GroupUpdated(GroupState):
    """Said when a group changed."""

    type: ClassVar[str] = "academics.group.updated.v1"


class GroupDeleted(GroupState):
    """Said when a group was retired."""

    type: ClassVar[str] = "academics.group.deleted.v1"


class GroupMembershipChanged(Event):
    """Said when students joined or left a group: a delta; `aggver` of the envelope orders deltas."""

    type: ClassVar[str] = "academics.group.membership_changed.v1"

    group_id: UUID
    school_id: UUID
    added: list[UUID]
    removed: list[UUID]


class CourseState(Event):
    """What the course events report: the whole course after the change.

    closing_delay_minutes: the course's own; None: the school's default counts.
    signature_closed_at: the nominal due time when a job closed it. signing_open_until: set while reopened.
    """

    course_id: UUID
    school_id: UUID
    start_at: AwareDatetime
    end_at: AwareDatetime
    is_online: bool
    closing_delay_minutes: int | None
    signature_closed: bool
    signature_closed_at: AwareDatetime | None
    closed_by: Literal["job", "hand"] | None
    signing_open_until: AwareDatetime | None
    cancelled: bool
    teacher_ids: list[UUID]
    group_ids: list[UUID]
    classroom_ids: list[UUID]


class CourseCreated(CourseState):
    """Said when a course was planned."""

    type: ClassVar[str] = "academics.course.created.v1"


class CourseUpdated(CourseState):
    """Said when a course's times, links or settings changed."""

    type: ClassVar[str] = "academics.course.updated.v1"


class CourseCancelled(CourseState):
    """Said when a course will not take place."""

    type: ClassVar[str] = "academics.course.cancelled.v1"


class CourseSignatureClosed(CourseState):
    """Said when signing was closed, by the job at its nominal time or by hand."""

    type: ClassVar[str] = "academics.course.signature_closed.v1"


class CourseSignatureReopened(CourseState):
    """Said when signing was opened again."""

    type: ClassVar[str] = "academics.course.signature_reopened.v1"
