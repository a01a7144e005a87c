"""Steps of signatures, and what the world is told about them."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from attendance_svc.domain.signatures import Actor, ActorType, Evidence, Signature, Step, Transition
from contracts.events.attendance import (
    SignatureAccepted,
    SignatureJudged,
    SignatureLate,
    SignaturePending,
    SignatureRefused,
    SignatureSuperseded,
    SignatureVoided,
    Status,
    TeacherSigned,
)
from contracts.events.envelope import Aggregate, Cause, Envelope, Event, wrap
from contracts.ids import SignatureId, new_id

EVENT_BY_STATUS: dict[Status, type[SignatureJudged]] = {
    "PENDING": SignaturePending,
    "ACCEPTED": SignatureAccepted,
    "LATE": SignatureLate,
    "REFUSED": SignatureRefused,
}
ACTOR_TYPES: dict[str, ActorType] = {
    "student": "student",
    "teacher": "teacher",
    "admin": "admin",
    "beacon": "beacon",
    "job": "job",
}


def new_step(
    signature: Signature, *, cause: Cause, evidence: Evidence, note: str | None = None, opens_course: bool = False
) -> Step:
    """Return the first step of a signature. It is told unless another one answers for it, or no school can hear it."""
    # An event without a school is heard by nobody who could use it; the school may still become known.
    silent = signature.superseded_by is not None or (signature.school_id is None and signature.status == "PENDING")
    told = 0 if silent else 2 if opens_course else 1
    as_told = (signature.version, signature.announced) == (1, told)
    after = signature if as_told else replace(signature, version=1, announced=told)
    transition = _transition(None, after, after.reason, cause=cause, evidence=evidence, note=note)
    return Step(
        before=None,
        after=after,
        transition=transition,
        says="nothing" if silent else "judged",
        opens_course=opens_course,
    )


def judged_step(
    before: Signature, after: Signature, *, cause: Cause, evidence: Evidence, note: str | None = None
) -> Step:
    """Return the step by which a signature got another judgement."""
    after = _next(before, after)
    transition = _transition(before, after, after.reason, cause=cause, evidence=evidence, note=note)
    return Step(before=before, after=after, transition=transition, says="judged")


def superseded_step(before: Signature, by: SignatureId, *, cause: Cause, reason: str) -> Step:
    """Return the step by which another signature takes the place of this one."""
    after = _next(before, replace(before, superseded_by=by))
    transition = _transition(before, after, reason, cause=cause, evidence={"superseded_by": str(by)})
    return Step(before=before, after=after, transition=transition, says="superseded")


def voided_step(before: Signature, after: Signature, *, cause: Cause, note: str) -> Step:
    """Return the step by which a human took a signature back."""
    after = _next(before, after)
    transition = _transition(before, after, "voided", cause=cause, evidence={}, note=note)
    return Step(before=before, after=after, transition=transition, says="voided")


def _next(before: Signature, after: Signature) -> Signature:
    return replace(after, version=before.version + 1, announced=before.announced + 1)


def _transition(
    before: Signature | None,
    after: Signature,
    reason: str,
    *,
    cause: Cause,
    evidence: Evidence,
    note: str | None = None,
) -> Transition:
    return Transition(
        signature_id=after.id,
        n=after.version,
        before=None if before is None else before.status,
        after=after.status,
        reason=reason,
        note=note,
        actor=Actor(type=ACTOR_TYPES[cause.actor_type], id=cause.actor_id),
        rule_version=after.rule_version,
        at=cause.at,
        evidence=evidence,
        salt=secrets.token_bytes(16),
    )


def news_of(steps: Sequence[Step], cause: Cause) -> list[Envelope]:
    """Return what the world is told about `steps`, in their order."""
    return [envelope for step in steps for envelope in _news(step, cause)]


def _news(step: Step, cause: Cause) -> list[Envelope]:
    signature = step.after
    if step.says == "nothing":
        return []
    if not step.opens_course:
        return [_wrapped(_event(step), signature, signature.announced, cause)]
    return [
        _wrapped(_event(step), signature, signature.announced - 1, cause),
        _wrapped(_teacher_signed(signature), signature, signature.announced, cause),
    ]


def _wrapped(event: Event, signature: Signature, version: int, cause: Cause) -> Envelope:
    of = Aggregate(type="signature", id=signature.id, version=version, school_id=signature.school_id)
    return wrap(event, id=new_id(), of=of, cause=cause)


def _event(step: Step) -> SignatureJudged:
    signature, transition = step.after, step.transition
    fields = {
        "signature_id": signature.id,
        "school_id": signature.school_id,
        "course_id": signature.course_id,
        "kind": signature.kind,
        "subject_id": signature.subject_id,
        "status": signature.status,
        "previous_status": transition.before,
        "method": signature.method,
        "reason": transition.reason,
        "actor_type": transition.actor.type,
        "rule_version": signature.rule_version,
        "signed_at": signature.t,
        "classroom_id": signature.classroom_id,
        "transition_digest": transition.digest(),
    }
    if step.says == "superseded":
        return SignatureSuperseded(**fields, superseded_by=_known(signature.superseded_by))
    if step.says == "voided":
        return SignatureVoided(**fields)
    return EVENT_BY_STATUS[signature.status](**fields)


def _teacher_signed(signature: Signature) -> TeacherSigned:
    return TeacherSigned(
        signature_id=signature.id,
        school_id=_known(signature.school_id),
        course_id=_known(signature.course_id),
        teacher_id=signature.subject_id,
        signed_at=signature.t,
    )


def _known(id_: UUID | None) -> UUID:
    assert id_ is not None  # noqa: S101 -- a superseded signature names the other, a teacher's has course and school
    return id_
