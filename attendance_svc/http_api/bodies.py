"""What the REST door reads and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from attendance_svc.domain.qr import CODE_LIFE, QrCode, QrSession, starts_at, to_dense_text, to_text
from attendance_svc.domain.signatures import Signature
from attendance_svc.queries import SignatureView, State, TransitionView
from infra.http_bodies import Answer, Body, Id, Moment, PageQuery, Query, Reason

Status = Literal["PENDING", "ACCEPTED", "LATE", "REFUSED"]
MarkStatus = Literal["ACCEPTED", "LATE", "REFUSED"]
Serial = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{4,64}$", max_length=64)]
NfcCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6,8}$", max_length=8)]
QrTicketText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{38}$")]
QrPayload = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_-]{35}|[A-Z2-7]{42})$")]


class SignBody(Body):
    """A signature, or what somebody says about one.

    Students send `method` with `serial` and `code` (nfc) or `ticket` (qr); teachers nothing more, for their own
    presence; teachers and admins, for somebody else's, `student_id` (admins also `teacher_id`), `status` and `reason`.
    """

    course_id: Id
    method: Literal["nfc", "qr"] | None = None
    serial: Serial | None = None
    code: NfcCode | None = None
    ticket: QrTicketText | None = None
    student_id: Id | None = None
    teacher_id: Id | None = None
    status: MarkStatus | None = None
    reason: Reason | None = None


class QrSessionBody(Body):
    """A course that a screen shall show codes for. classroom_id: where, one of the course's: it is then proved."""

    course_id: Id
    classroom_id: Id | None = None


class ScanBody(Body):
    """What a phone read. payload: what follows `/q/` or `/Q/` in the link."""

    payload: QrPayload


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


class QrSessionAnswer(Answer):
    """A span in which codes for a course count. closed_at: by hand, if it was."""

    id: UUID
    course_id: UUID
    classroom_id: UUID | None
    opened_at: datetime
    expires_at: datetime
    closed_at: datetime | None


def to_session_answer(session: QrSession) -> QrSessionAnswer:
    """Show a session, without what must stay secret."""
    return QrSessionAnswer(
        id=session.id,
        course_id=session.course_id,
        classroom_id=session.classroom_id,
        opened_at=session.opened_at,
        expires_at=session.expires_at,
        closed_at=session.closed_at,
    )


class QrCodeShown(Answer):
    """What a screen is to show: the QR code of `dense_url`, or of `url`, which says the same in more modules.

    payload: the part of `url` that phones hand in. step: of 5 s since 1970. valid_until: from then on it is too late.
    """

    payload: str
    url: str
    dense_url: str
    step: int
    valid_until: datetime


def to_shown(code: QrCode, *, origin: str) -> QrCodeShown:
    """Show a code; `origin`: the address where people reach this server."""
    payload = to_text(code)
    return QrCodeShown(
        payload=payload,
        url=f"{origin}/q/{payload}",
        dense_url=f"{origin.upper()}/Q/{to_dense_text(code)}",
        step=code.step,
        valid_until=starts_at(code.step) + CODE_LIFE,
    )


class TicketAnswer(Answer):
    """What a scan is worth: `ticket`, for `POST /signatures` with this course until `expires_at`."""

    ticket: str
    expires_at: datetime
    course_id: UUID


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
