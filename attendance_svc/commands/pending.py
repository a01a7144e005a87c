"""Judge attempts again: when what was missing is known, when the teacher came, when the course is over."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from attendance_svc.commands.asking import Asked, Sources, ask, look_up
from attendance_svc.commands.judging import rejudged
from attendance_svc.commands.steps import news_of
from attendance_svc.domain.attempts import Attempt, Facts, NfcClaim
from attendance_svc.domain.evidence import plan_from
from attendance_svc.domain.signatures import Evidence, Signature, Step
from attendance_svc.ports import OpenBook, SignatureBook, WaitingRoom
from contracts.events.envelope import Cause
from contracts.ids import CourseId

PAGE = 100
NOBODY = UUID(int=0)
EVERYBODY = frozenset(("academics", "identity", "beacon"))


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
    claim = _attempt(signature).claim
    others = {"identity", "beacon"} if isinstance(claim, NfcClaim) else {"identity"} if claim else set()
    return missing.isdisjoint(others | {"academics"})


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
    situations = await book.get_situations("student", {(course_id, before.subject_id): None for before, _ in waiting})
    steps: list[Step] = []
    for before, evidence in waiting:
        situation = situations[course_id, before.subject_id]
        assert before.attempt is not None  # noqa: S101 -- only attempts of students wait
        asked = Asked(attempt=before.attempt, facts=Facts(plan=plan_from(evidence)))
        judged = rejudged(before, asked, situation, cause)
        if judged[-1].after.reason != before.reason:
            steps += judged
        if judged[-1].after.stands:
            situations[course_id, before.subject_id] = replace(situation, standing=judged[-1].after)
    return steps
