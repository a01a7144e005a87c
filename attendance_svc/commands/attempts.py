"""Judge attempts of students: when they come, and again when what was missing is known."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from attendance_svc.commands.asking import Asked, Sources, ask, find_out, look_up
from attendance_svc.commands.steps import judged_step, new_step, news_of, superseded_step
from attendance_svc.domain.attempts import Attempt, Decision, Facts
from attendance_svc.domain.deciding import decide_attempt
from attendance_svc.domain.evidence import evidence_of, plan_from
from attendance_svc.domain.signatures import PRESENT, Answer, Evidence, Signature, Situation, Step
from attendance_svc.domain.standing import decide_standing
from attendance_svc.ports import OpenBook, SignatureBook, WaitingRoom
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SignatureId
from contracts.problems import ConflictError

PAGE = 100
NOBODY = UUID(int=0)
EVERYBODY = frozenset(("academics", "identity", "beacon"))
# A rise of `wrong_classroom` in one room: check where its beacon hangs.
JUDGED = Counter("attendance_attempts_total", "Attempts judged, by status and reason.", ("status", "reason"))
# Each of them may differ from what academics would have said, if it recorded a change in the last five seconds.
ON_RECENT = Counter("accepted_on_recent_facts_total", "Attempts accepted by what was known up to five seconds before.")


async def create_signature_attempt(
    attempt: Attempt, *, signature_id: SignatureId, sources: Sources, open_book: OpenBook, cause: Cause
) -> Answer:
    """Judge `attempt`, keep the result with its event, and return the signature that counts.

    An outage makes it PENDING, never REFUSED.
    Safe to repeat with an idempotency key; without one, a student still has one standing signature per course.
    Raises: ConflictError("idempotency_key_reused").
    """
    asked = await find_out(attempt, sources=sources)
    async with open_book() as book:
        await book.lock(asked.attempt.course_id, attempt.student_id)
        if repeated := await _find_repeat(attempt, book):
            return repeated
        situation = await book.get_situation(asked.attempt.course_id, "student", attempt.student_id)
        facts, decision = judge(asked, situation)
        signature = to_signature(signature_id, asked.attempt, facts, decision)
        steps, answer = placed(signature, situation.standing, evidence_of(facts, asked.attempt), cause)
        await book.keep(steps, news_of(steps, cause))
    note_judged(facts, decision)
    return answer


def note_judged(facts: Facts, decision: Decision) -> None:
    """Count an attempt that was judged."""
    JUDGED.labels(decision.status, decision.reason).inc()
    if decision.status in PRESENT and facts.plan is not None and facts.plan.basis == "recent":
        ON_RECENT.inc()


async def _find_repeat(attempt: Attempt, book: SignatureBook) -> Answer | None:
    found = None if attempt.idempotency_key is None else await book.find_repeat(attempt.idempotency_key)
    if found is None:
        return None
    own, counts = found
    if (own.kind, own.subject_id, own.digest) != ("student", attempt.student_id, attempt.proof_digest):
        raise ConflictError("idempotency_key_reused")
    return answer_of(own, counts)


def answer_of(own: Signature, counts: Signature) -> Answer:
    """Return what a repeat of the request that made `own` is told, when `counts` is at the end of its chain."""
    if counts.voided_at is not None:
        return Answer(signature=counts, reason="voided", is_new=own.id == counts.id)
    if own.id == counts.id:
        return Answer(signature=own, reason=own.reason, is_new=True)
    return Answer(signature=counts, reason="already_signed" if counts.stands else counts.reason, is_new=False)


def completed(facts: Facts, situation: Situation) -> Facts:
    """Return `facts` with what attendance itself knows."""
    return replace(
        facts,
        teacher_signed=situation.teacher_signed,
        is_settled=situation.is_settled,
        is_under_review=situation.is_under_review,
    )


def judge(asked: Asked, situation: Situation) -> tuple[Facts, Decision]:
    """Return what is known of an attempt with what attendance itself knows, and what that earns.

    A no by facts that may be seconds old is none: it waits until they are certain.
    """
    facts = completed(asked.facts, situation)
    decision = decide_attempt(facts, asked.attempt)
    if decision.status == "REFUSED" and facts.plan is not None and facts.plan.basis == "recent":
        facts = replace(facts, plan=None)
        decision = decide_attempt(facts, asked.attempt)
    return facts, decision


def to_signature(id_: SignatureId, attempt: Attempt, facts: Facts, decision: Decision) -> Signature:
    """Return the judged attempt. Its school is the student's, else the course's."""
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


async def resolve_pending(
    *, waiting_room: WaitingRoom, sources: Sources, open_book: OpenBook, cause: Cause, may_ask: bool = True
) -> int:
    """Judge again, in order of their time, the attempts whose facts were not to be had; return how many were decided.

    may_ask: False looks at the copy of academics alone. What still cannot be known stays PENDING.
    Safe to repeat, and to run in several processes.
    """
    decided, place = 0, None
    missing: frozenset[str] = frozenset() if may_ask else EVERYBODY
    until: datetime | None = None
    while True:
        if "academics" in missing and until is None:
            until = await sources.academics.find_certain_until()
            if until is None:
                return decided
        page = await waiting_room.list_waiting(after=place, until=until, with_claims=may_ask, limit=PAGE)
        known = await look_up([_attempt(each) for each in page], sources=sources)
        for signature, looked_up in zip(page, known, strict=True):
            place, asked = (signature.t, signature.id), looked_up
            if asked is None and _can_be_asked(signature, missing):
                asked = await ask(_attempt(signature), sources=sources)
                missing |= asked.missing
            if asked is not None:
                decided += await resolve(signature, asked, open_book=open_book, cause=cause)
        if len(page) < PAGE:
            return decided


def _attempt(signature: Signature) -> Attempt:
    assert signature.attempt is not None  # noqa: S101 -- only attempts of students wait
    return signature.attempt


def _can_be_asked(signature: Signature, missing: frozenset[str]) -> bool:
    """Return whether asking may help: who did not answer a moment ago is not asked for everybody else."""
    return not missing or ("academics" not in missing and _attempt(signature).claim is None)


async def resolve(signature: Signature, asked: Asked, *, open_book: OpenBook, cause: Cause) -> bool:
    """Judge one waiting attempt again by what was found out; return whether that decided it."""
    if asked.facts.plan is None or asked.facts.proof is None:
        return False
    async with open_book() as book:
        await book.lock(asked.attempt.course_id, signature.subject_id)
        before = await book.find(signature.id)
        if before is None or (before.version, before.is_open) != (signature.version, True):
            return False
        situation = await book.get_situation(asked.attempt.course_id, "student", signature.subject_id)
        steps = rejudged(before, asked, situation, cause)
        if steps[-1].after.reason == before.reason:
            return False
        await book.keep(steps, news_of(steps, cause))
    return True


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


async def settle_course(course_id: CourseId, *, at: datetime, open_book: OpenBook, cause: Cause) -> int:
    """Settle a course that is over: whoever still waits for its teacher is refused; return how many steps that took.

    Safe to repeat.
    """
    async with open_book() as book:
        await book.lock(course_id, NOBODY, alone=True)
        await book.settle(course_id, at=at)
    return await settle_waiting(course_id, open_book=open_book, cause=cause)


async def settle_overdue(*, waiting_room: WaitingRoom, open_book: OpenBook, cause: Cause) -> int:
    """Repeat settling where somebody was left waiting for nothing; return how many steps that took."""
    courses = await waiting_room.list_overdue(limit=PAGE)
    return sum([await settle_waiting(course_id, open_book=open_book, cause=cause) for course_id in courses])


async def settle_waiting(course_id: CourseId, *, open_book: OpenBook, cause: Cause) -> int:
    """Judge again whoever waits for the course's teacher, as of each one's own time; return how many steps that took.

    A page at a time, so that nobody waits long for the course; who comes meanwhile does not have to wait any more.
    """
    taken = 0
    while True:
        async with open_book() as book:
            await book.lock(course_id, NOBODY, alone=True)
            waiting = await book.list_awaiting_teacher(course_id, limit=PAGE)
            steps = await _settled(book, course_id, waiting, cause)
            if steps:
                await book.keep(steps, news_of(steps, cause))
        taken += len(steps)
        if len(waiting) < PAGE or not steps:
            return taken


async def _settled(
    book: SignatureBook, course_id: CourseId, waiting: Sequence[tuple[Signature, Evidence]], cause: Cause
) -> list[Step]:
    """What academics said is in the evidence: it was recorded at that time for ever, so nobody is asked.

    Who would be refused by what was only recent goes back to waiting for certainty.
    """
    situations = await book.get_situations(course_id, "student", [before.subject_id for before, _ in waiting])
    steps: list[Step] = []
    for before, evidence in waiting:
        situation = situations[before.subject_id]
        assert before.attempt is not None  # noqa: S101 -- only attempts of students wait
        asked = Asked(attempt=before.attempt, facts=Facts(plan=plan_from(evidence)))
        judged = rejudged(before, asked, situation, cause)
        if judged[-1].after.reason != before.reason:
            steps += judged
        if judged[-1].after.stands:
            situations[before.subject_id] = replace(situation, standing=judged[-1].after)
    return steps
