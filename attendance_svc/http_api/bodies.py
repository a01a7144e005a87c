"""What the REST door reads and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from attendance_svc.domain.signatures import Signature
from attendance_svc.queries import SignatureView, State, TransitionView
from infra.http_bodies import Answer, Body, Id, Moment, PageQuery, Query, Reason

Status = Literal["PENDING", "ACCEPTED", "LATE", "REFUSED"]
MarkStatus = Literal["ACCEPTED", "LATE", "REFUSED"]
Serial = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{4,64}$", max_length=64)]
NfcCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6,8}$", max_length=8)]


class SignBody(Body):
    """A signature, or what somebody says about one.

    Students send `method`, `serial` and `code`; teachers nothing more, for their own presence; teachers and admins, for
    somebody else's, `student_id` (admins also `teacher_id`), `status` and `reason`.
    """

    course_id: Id
    method: Literal["nfc"] | None = None
    serial: Serial | None = None
    code: NfcCode | None = None
    student_id: Id | None = None
    teacher_id: Id | None = None
    status: MarkStatus | None = None
    reason: Reason | None = None


class StatusPatch(Body):
    """Another status, and why."""

    status: MarkStatus
    reason: Reason


class VoidQuery(Query):
    """Why a signature is taken back."""

    reason: Reason


class SignatureQuery(PageQuery):
    """Which signatures. from, to: half-open, of the time that counts. school_id: developers must name it."""

    school_id: Id | None = None
    course_id: Id | None = None
    student_id: Id | None = None
    status: Status | None = None
    since: Annotated[Moment | None, Field(alias="from")] = None
    until: Annotated[Moment | None, Field(alias="to")] = None


class SheetQuery(Query):
    """Which course's sheet."""

    course_id: Id


class SignatureAnswer(Answer):
    """A signature. signed_at: the time that counts. superseded_by: the one that counts instead."""

    id: UUID
    school_id: UUID | None
    course_id: UUID | None
    student_id: UUID | None
    teacher_id: UUID | None
    status: Status
    reason: str
    method: str
    signed_at: datetime
    received_at: datetime
    classroom_id: UUID | None
    rule_version: int
    version: int
    superseded_by: UUID | None
    voided_at: datetime | None


def to_answer(signature: Signature | SignatureView, *, reason: str | None = None) -> SignatureAnswer:
    """Show a signature; `reason`: of this answer, if it is another one than the signature's own."""
    is_student = signature.kind == "student"
    return SignatureAnswer(
        id=signature.id,
        school_id=signature.school_id,
        course_id=signature.course_id,
        student_id=signature.subject_id if is_student else None,
        teacher_id=None if is_student else signature.subject_id,
        status=signature.status,
        reason=reason or signature.reason,
        method=signature.method,
        signed_at=signature.t,
        received_at=signature.received_at,
        classroom_id=signature.classroom_id,
        rule_version=signature.rule_version,
        version=signature.version,
        superseded_by=signature.superseded_by,
        voided_at=signature.voided_at,
    )


class TransitionAnswer(Answer):
    """One step of a signature. actor_id, note, evidence: for staff. digest: as its event carries it."""

    n: int
    from_status: Status | None
    to_status: Status
    reason: str
    actor_type: str
    rule_version: int
    at: datetime
    digest: str
    actor_id: UUID | None = None
    note: str | None = None
    evidence: dict[str, JsonValue] | None = None


def to_transition_answer(step: TransitionView, *, for_staff: bool) -> TransitionAnswer:
    """Show a step; students see what happened to their signature, not who did it."""
    shown = TransitionAnswer.model_validate(
        {
            "n": step.n,
            "from_status": step.before,
            "to_status": step.after,
            "reason": step.reason,
            "actor_type": step.actor_type,
            "rule_version": step.rule_version,
            "at": step.at,
            "digest": step.digest,
        }
    )
    if not for_staff:
        return shown
    return shown.model_copy(update={"actor_id": step.actor_id, "note": step.note, "evidence": dict(step.evidence)})


class SheetLine(Answer):
    """What became of one person. status ABSENT: expected, and nothing counts; reason then says what was refused."""

    student_id: UUID | None = None
    teacher_id: UUID | None = None
    status: Literal["PENDING", "ACCEPTED", "LATE", "REFUSED", "ABSENT"]
    reason: str | None = None
    method: str | None = None
    signed_at: datetime | None = None
    signature_id: UUID | None = None


class SheetAnswer(Answer):
    """Who was there. Every one expected is accepted, late, pending or absent; refused: how many of the absent tried.

    others: students who are not expected, with what became of their attempts.
    """

    course_id: UUID
    start_at: datetime
    end_at: datetime
    expected: int
    accepted: int
    late: int
    pending: int
    refused: int
    absent: int
    students: Sequence[SheetLine]
    others: Sequence[SheetLine]
    teachers: Sequence[SheetLine]


def to_line(subject_id: UUID, state: State | None, *, is_expected: bool = True) -> SheetLine:
    """Show one person's state on a sheet."""
    is_teacher = state is not None and state.kind == "teacher"
    who = {"teacher_id": subject_id} if is_teacher else {"student_id": subject_id}
    if state is None:
        return SheetLine.model_validate(who | {"status": "ABSENT"})
    is_absent = is_expected and not is_teacher and state.status == "REFUSED"
    return SheetLine.model_validate(
        who
        | {
            "status": "ABSENT" if is_absent else state.status,
            "reason": state.reason,
            "method": state.method,
            "signed_at": state.t,
            "signature_id": state.signature_id,
        }
    )
