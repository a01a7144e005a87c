"""What an attempt of a student comes to, once everything is known that is to be had."""

from dataclasses import replace
from functools import cache

from prometheus_client import Counter

from attendance_svc.commands.asking import Asked
from attendance_svc.commands.steps import judged_step, new_step, superseded_step
from attendance_svc.domain.attempts import Attempt, Decision, Facts
from attendance_svc.domain.deciding import decide_attempt
from attendance_svc.domain.evidence import evidence_of
from attendance_svc.domain.signatures import PRESENT, Answer, Evidence, Signature, Situation, Step
from attendance_svc.domain.standing import decide_standing
from contracts.events.envelope import Cause
from contracts.ids import SignatureId

# A rise of `wrong_classroom` in one room: check where its beacon hangs.
JUDGED = Counter("attendance_attempts_total", "Attempts judged, by status and reason.", ("status", "reason"))
# Each of them may differ from what academics would have said, if it recorded a change in the last five seconds.
ON_RECENT = Counter("accepted_on_recent_facts_total", "Attempts accepted by what was known up to five seconds before.")


def judge(asked: Asked, situation: Situation) -> tuple[Facts, Decision]:
    """Return what is known of an attempt with what attendance itself knows, and what that earns.

    A no by facts that may be seconds old is none: it waits until they are certain.
    """
    facts = completed(asked.facts, situation)
    known = asked.decision if facts is asked.facts else None
    decision = known or decide_attempt(facts, asked.attempt)
    if decision.status == "REFUSED" and facts.plan is not None and facts.plan.basis == "recent":
        facts = replace(facts, plan=None)
        decision = decide_attempt(facts, asked.attempt)
    return facts, decision


def completed(facts: Facts, situation: Situation) -> Facts:
    """Return `facts` with what attendance itself knows; the same ones when that says nothing new."""
    own = situation.teacher_signed, situation.is_settled, situation.is_under_review
    if own == (facts.teacher_signed, facts.is_settled, facts.is_under_review):
        return facts
    return replace(
        facts,
        teacher_signed=situation.teacher_signed,
        is_settled=situation.is_settled,
        is_under_review=situation.is_under_review,
    )


def to_signature(id_: SignatureId, attempt: Attempt, facts: Facts, decision: Decision) -> Signature:
    """Return the judged attempt, as one that will be told. Its school is the student's, else the course's."""
    course = facts.plan.course if facts.plan else None
    return Signature(
        id=id_,
        school_id=attempt.school_id or (course.school_id if course else None),
        course_id=attempt.course_id,
        kind="student",
        subject_id=attempt.student_id,
        status=decision.status,
        reason=decision.reason,
        method=attempt.method,
        t=attempt.t,
        received_at=attempt.received_at,
        rule_version=decision.rule_version,
        announced=1,
        idempotency_key=attempt.idempotency_key,
        digest=attempt.proof_digest,
        beacon_id=attempt.beacon_id,
        classroom_id=attempt.classroom_id,
        attempt=attempt,
    )


def placed(
    signature: Signature, standing: Signature | None, evidence: Evidence, cause: Cause
) -> tuple[list[Step], Answer]:
    """Return the steps that put a newly judged signature where it belongs, and its answer."""
    place = decide_standing(signature, standing)
    if place == "beside" or standing is None:
        step = new_step(signature, cause=cause, evidence=evidence)
        return [step], Answer(signature=step.after, reason=signature.reason, is_new=True)
    if place == "instead":
        step = new_step(signature, cause=cause, evidence=evidence)
        ousted = superseded_step(standing, signature.id, cause=cause, reason="earlier_proof")
        return [ousted, step], Answer(signature=step.after, reason=signature.reason, is_new=True)
    step = new_step(replace(signature, superseded_by=standing.id), cause=cause, evidence=evidence)
    return [step], Answer(signature=standing, reason="already_signed", is_new=False)


def rejudged(before: Signature, asked: Asked, situation: Situation, cause: Cause) -> list[Step]:
    """Return the steps by which a PENDING attempt gets its judgement."""
    facts, decision = judge(asked, situation)
    after = replace(
        to_signature(before.id, asked.attempt, facts, decision), version=before.version, announced=before.announced
    )
    evidence = evidence_of(facts, asked.attempt)
    place = decide_standing(after, situation.standing)
    if place == "beside" or situation.standing is None:
        return [judged_step(before, after, cause=cause, evidence=evidence)]
    if place == "instead":
        ousted = superseded_step(situation.standing, after.id, cause=cause, reason="earlier_proof")
        return [ousted, judged_step(before, after, cause=cause, evidence=evidence)]
    # Its PENDING was told, so its end is told as well: a reader that counts must not count it for ever.
    judged = replace(after, superseded_by=situation.standing.id)
    return [replace(judged_step(before, judged, cause=cause, evidence=evidence), says="superseded")]


def answer_of(own: Signature, counts: Signature) -> Answer:
    """Return what a repeat of the request that made `own` is told, when `counts` is at the end of its chain."""
    if counts.voided_at is not None:
        return Answer(signature=counts, reason="voided", is_new=own.id == counts.id)
    if own.id == counts.id:
        return Answer(signature=own, reason=own.reason, is_new=True)
    return Answer(signature=counts, reason="already_signed" if counts.stands else counts.reason, is_new=False)


def note_judged(facts: Facts, decision: Decision) -> None:
    """Count an attempt that was judged."""
    _judged(decision.status, decision.reason).inc()
    if decision.status in PRESENT and facts.plan is not None and facts.plan.basis == "recent":
        ON_RECENT.inc()


@cache
def _judged(status: str, reason: str) -> Counter:
    return JUDGED.labels(status, reason)
