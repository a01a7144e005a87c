"""Take attempts of students in: many at once, each judged and answered by itself."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from attendance_svc.commands.asking import Asked, Sources, ask, look_up
from attendance_svc.commands.judging import answer_of, judge, note_judged, placed, to_signature
from attendance_svc.commands.steps import news_of
from attendance_svc.domain.attempts import Attempt, Decision, Facts
from attendance_svc.domain.evidence import evidence_of
from attendance_svc.domain.signatures import Answer, Place, Signature, Step
from attendance_svc.ports import OpenBook, SignatureBook
from contracts.events.envelope import Cause, Envelope
from contracts.ids import SignatureId
from contracts.problems import ConflictError
from contracts.values import value

# Whoever must ask somebody else waits; the others of a batch do not.
ASKING_AT_ONCE = 8
# Judging many takes tens of milliseconds, in which nothing that academics says would be heard.
WITHOUT_A_BREATH = 32


@value
class Submission:
    """An attempt on its way in. signature_id: of what is kept of it."""

    attempt: Attempt
    signature_id: SignatureId
    cause: Cause


@value
class Case:
    """An attempt with all that was found out about it, ready to be judged."""

    asked: Asked
    signature_id: SignatureId
    cause: Cause

    @property
    def attempt(self) -> Attempt:
        return self.asked.attempt

    @property
    def place(self) -> Place:
        """Where nobody else works meanwhile."""
        return self.asked.attempt.course_id, self.asked.attempt.student_id


Outcome = Answer | BaseException
# Judges and keeps cases, together with those of other callers; an outcome for each.
Keep = Callable[[Sequence[Case]], Awaitable[Sequence[Outcome]]]


async def create_signature_attempt(submission: Submission, *, sources: Sources, keep: Keep) -> Answer:
    """Judge one attempt, keep the result with its event, and return the signature that counts.

    An outage makes it PENDING, never REFUSED.
    Safe to repeat with an idempotency key; without one, a student still has one standing signature per course.
    Raises: ConflictError("idempotency_key_reused"), UnavailableError("database_down" | "overloaded").
    """
    [outcome] = await create_signature_attempts([submission], sources=sources, keep=keep)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


async def create_signature_attempts(
    submissions: Sequence[Submission], *, sources: Sources, keep: Keep
) -> Sequence[Outcome]:
    """Do the same for many; return for each its answer, or why there is none.

    What the copy of academics decides is kept at once, whoever else has to be asked about the others.
    """
    known = await look_up([each.attempt for each in submissions], sources=sources)
    if None not in known:
        return await keep([_case(*pair) for pair in zip(submissions, known, strict=True)])
    outcomes: dict[int, Outcome] = {}
    slots = asyncio.Semaphore(ASKING_AT_ONCE)

    async def take(places: Sequence[int]) -> None:
        cases = [_case(submissions[place], known[place]) for place in places]
        outcomes.update(zip(places, await keep(cases), strict=True))

    async def ask_and_take(place: int) -> None:
        async with slots:
            known[place] = await ask(submissions[place].attempt, sources=sources)
        await take([place])

    ready = [place for place, asked in enumerate(known) if asked is not None]
    others = [ask_and_take(place) for place, asked in enumerate(known) if asked is None]
    await asyncio.gather(take(ready), *others)
    return [outcomes[place] for place in range(len(submissions))]


def _case(submission: Submission, asked: Asked | None) -> Case:
    assert asked is not None  # noqa: S101 -- who is not known yet is asked about first
    return Case(asked=asked, signature_id=submission.signature_id, cause=submission.cause)


async def keep_cases(cases: Sequence[Case], *, open_book: OpenBook) -> Sequence[Outcome]:
    """Judge and keep cases in one transaction. Safe to repeat, as far as each has an idempotency key."""
    outcomes: dict[int, Outcome] = {}
    judged: list[tuple[Facts, Decision]] = []
    async with open_book() as book:
        await book.lock_all({case.place for case in cases})
        for turn in in_turns(cases):
            await _take_turn(turn, book, outcomes, judged)
    for each in judged:
        note_judged(*each)
    return [outcomes[number] for number in range(len(cases))]


def in_turns(cases: Sequence[Case]) -> list[dict[int, Case]]:
    """Return the cases by their numbers, in turns that can be judged at once.

    Whoever may meet another one, of the same student in the same course or of the same request, has a later turn.
    """
    turns: list[dict[int, Case]] = []
    next_turn: defaultdict[object, int] = defaultdict(int)
    for number, case in enumerate(cases):
        names = [name for name in (case.place, case.attempt.idempotency_key) if name is not None]
        turn = max(next_turn[name] for name in names)
        next_turn.update(dict.fromkeys(names, turn + 1))
        if turn == len(turns):
            turns.append({})
        turns[turn][number] = case
    return turns


async def _take_turn(
    turn: dict[int, Case],
    book: SignatureBook,
    outcomes: dict[int, Outcome],
    judged: list[tuple[Facts, Decision]],
) -> None:
    situations = await book.get_situations(
        "student", {case.place: case.attempt.idempotency_key for case in turn.values()}
    )
    fresh = {number: case for number, case in turn.items() if not situations[case.place].is_key_used}
    if len(fresh) < len(turn):
        outcomes.update(await _repeated({number: turn[number] for number in turn.keys() - fresh.keys()}, book))
    if not fresh:
        return
    steps: list[Step] = []
    news: list[Envelope] = []
    for nth, (number, case) in enumerate(fresh.items(), start=1):
        situation = situations[case.place]
        facts, decision = judge(case.asked, situation)
        signature = to_signature(case.signature_id, case.attempt, facts, decision)
        evidence = evidence_of(facts, case.attempt)
        taken, outcomes[number] = placed(signature, situation.standing, evidence, case.cause)
        steps += taken
        news += news_of(taken, case.cause)
        judged.append((facts, decision))
        if nth % WITHOUT_A_BREATH == 0:
            await asyncio.sleep(0)
    await book.keep(steps, news)


async def _repeated(cases: dict[int, Case], book: SignatureBook) -> dict[int, Outcome]:
    repeats = await book.find_repeats([case.attempt.idempotency_key or "" for case in cases.values()])
    return {
        number: _of_repeat(case.attempt, *repeats[case.attempt.idempotency_key or ""]) for number, case in cases.items()
    }


def _of_repeat(attempt: Attempt, own: Signature, counts: Signature) -> Outcome:
    if (own.kind, own.subject_id, own.digest) != ("student", attempt.student_id, attempt.proof_digest):
        return ConflictError("idempotency_key_reused")
    return answer_of(own, counts)
