"""What those hear who watch a course."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from attendance_svc.http_api.bodies import Status
from attendance_svc.queries import CountingView
from contracts.events.attendance import SignatureJudged, SignatureSuperseded, SignatureVoided
from infra.http_bodies import Answer, Id, Query

LiveStatus = Literal["PENDING", "ACCEPTED", "LATE", "REFUSED", "VOIDED", "SUPERSEDED"]
# What these are called by their events alone: the status stays what it was.
GONE: dict[str, LiveStatus] = {SignatureVoided.type: "VOIDED", SignatureSuperseded.type: "SUPERSEDED"}


class LiveQuery(Query):
    """Which course is watched. school_id: developers must name it."""

    course_id: Id
    school_id: Id | None = None


class LiveSignature(Answer):
    """A signature that counts for something. change: how often it was told of."""

    signature_id: UUID
    student_id: UUID | None
    teacher_id: UUID | None
    status: Status
    reason: str
    method: str
    signed_at: datetime
    change: int


class LiveSheet(Answer):
    """The state of a course. expected_ids: its students. Whatever was heard before no longer matters.

    Of several signatures of one person the one that counts most is the state on the sheet: ACCEPTED, LATE, PENDING,
    REFUSED, in this order, then the earliest.
    """

    course_id: UUID
    expected_ids: Sequence[UUID]
    signatures: Sequence[LiveSignature]


class LiveResumed(Answer):
    """What was heard before still holds; as many changes as were missed follow first."""

    course_id: UUID
    missed: int


class LiveChange(Answer):
    """What a signature has become. VOIDED and SUPERSEDED ones count no more.

    at: when it happened. signed_at: the time that counts. change: which one of this signature it is, from 1 on; who has
    one as high already knows.
    """

    signature_id: UUID
    student_id: UUID | None
    teacher_id: UUID | None
    status: LiveStatus
    previous_status: Status | None
    reason: str
    method: str
    at: datetime
    signed_at: datetime
    change: int


def to_live_signature(seen: CountingView) -> LiveSignature:
    """Show a signature to those who watch its course."""
    is_student = seen.kind == "student"
    return LiveSignature(
        signature_id=seen.signature_id,
        student_id=seen.subject_id if is_student else None,
        teacher_id=None if is_student else seen.subject_id,
        status=seen.status,
        reason=seen.reason,
        method=seen.method,
        signed_at=seen.t,
        change=seen.announced,
    )


def to_live_change(type_: str, judged: SignatureJudged, *, at: datetime, change: int) -> LiveChange:
    """Show what an event of `type_` says to those who watch the course."""
    is_student = judged.kind == "student"
    return LiveChange(
        signature_id=judged.signature_id,
        student_id=judged.subject_id if is_student else None,
        teacher_id=None if is_student else judged.subject_id,
        status=GONE.get(type_, judged.status),
        previous_status=judged.previous_status,
        reason=judged.reason,
        method=judged.method,
        at=at,
        signed_at=judged.signed_at,
        change=change,
    )
