"""Events that attendance_svc publishes."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime

from contracts.events.envelope import Event

Status = Literal["PENDING", "ACCEPTED", "LATE", "REFUSED"]


class SignatureJudged(Event):
    """What the signature events report.

    signed_at: the time that counts (`t`). previous_status: None for a new signature.
    transition_digest: 64 hex digits over the stored transition, so that the log covers it.
    """

    signature_id: UUID
    school_id: UUID | None
    course_id: UUID | None
    kind: Literal["student", "teacher"]
    subject_id: UUID
    status: Status
    previous_status: Status | None
    method: str
    reason: str
    actor_type: str
    rule_version: int
    signed_at: AwareDatetime
    classroom_id: UUID | None
    transition_digest: str


class SignatureAccepted(SignatureJudged):
    """Said when an attempt counts as presence."""

    type: ClassVar[str] = "attendance.signature.accepted.v1"


class SignatureLate(SignatureJudged):
    """Said when an attempt counts as presence after the closing delay."""

    type: ClassVar[str] = "attendance.signature.late.v1"


class SignatureRefused(SignatureJudged):
    """Said when an attempt does not count; a later one still may."""

    type: ClassVar[str] = "attendance.signature.refused.v1"


class SignaturePending(SignatureJudged):
    """Said when an attempt is kept, to be decided later as of `signed_at`."""

    type: ClassVar[str] = "attendance.signature.pending.v1"


class SignatureVoided(SignatureJudged):
    """Said when an admin took a signature back; its history stays."""

    type: ClassVar[str] = "attendance.signature.voided.v1"


class SignatureSuperseded(SignatureJudged):
    """Said when another signature took this one's place."""

    type: ClassVar[str] = "attendance.signature.superseded.v1"

    superseded_by: UUID


class TeacherSigned(Event):
    """Said when an assigned teacher first signed a course; students waiting for it are settled."""

    type: ClassVar[str] = "attendance.teacher.signed.v1"

    signature_id: UUID
    school_id: UUID
    course_id: UUID
    teacher_id: UUID
    signed_at: AwareDatetime


class SheetState(Event):
    """What the sheet events report: the count of a course's students by what became of them.

    provisional: something may still change by itself.
    """

    course_id: UUID
    school_id: UUID
    expected: int
    accepted: int
    late: int
    pending: int
    refused: int
    absent_ids: list[UUID]
    provisional: bool


class SheetClosed(SheetState):
    """Said when signing of a course has closed."""

    type: ClassVar[str] = "attendance.sheet.closed.v1"


class SheetRevised(SheetState):
    """Said when anything on a closed sheet changed."""

    type: ClassVar[str] = "attendance.sheet.revised.v1"


class SheetFinal(SheetState):
    """Said when nothing on the sheet is pending any more, at the latest 24 h after the course's end."""

    type: ClassVar[str] = "attendance.sheet.final.v1"
