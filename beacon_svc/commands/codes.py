"""Giving phones numbers to blink: to those who ask at the same time together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from beacon_svc.domain.proofs import FlashCode
from beacon_svc.ports import FlashCodes, OpenCodes
from contracts.ids import CourseId, DeviceId, SchoolId, StudentId
from contracts.problems import ConflictError, ProblemError, TooManyRequestsError, UnavailableError

# Also the longest life that a code may be given.
MINUTE = timedelta(minutes=1)
# With 5,000 numbers of 2**27 in use, four draws in a row all fail once in 10**17.
MAX_DRAWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRules:
    """life: of a code, a minute at most. quarantine: from its end until its number is free again.

    most_per_minute: of one student. nonce_life: how long a request counts once. draw: makes 27 random bits.
    """

    life: timedelta
    quarantine: timedelta
    most_per_minute: int
    nonce_life: timedelta
    draw: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """A student who wants to sign for a course. id: of the code to be. school_id: the one the student acts in.

    nonce: 16 bytes, of the request as the phone signed it.
    """

    id: UUID
    school_id: SchoolId
    student_id: StudentId
    device_id: DeviceId
    course_id: CourseId
    nonce: bytes


Outcome = FlashCode | ProblemError


async def issue_flash_codes(
    requests: Sequence[CodeRequest], *, rules: CodeRules, open_codes: OpenCodes, now: Callable[[], datetime]
) -> Sequence[Outcome]:
    """Return a fresh code for each, or why there is none; the one before ends its life now. One transaction.

    Safe to repeat: a request that got its code, while nobody heard of the commit, gets that one again.
    Problems: ConflictError("replay"), TooManyRequestsError("rate_limited"), UnavailableError("overloaded").
    """
    outcomes: dict[UUID, Outcome] = {}
    async with open_codes() as codes:
        await codes.lock()
        at = now()
        nonces = [(request.device_id, request.nonce) for request in requests]
        is_first = await codes.keep_nonces(nonces, now=at, life=rules.nonce_life)
        fresh = [request for request, is_new in zip(requests, is_first, strict=True) if is_new]
        if len(fresh) < len(requests):
            known = await codes.find([request.id for request in requests])
            outcomes |= {request.id: known.get(request.id) or ConflictError("replay") for request in requests}
        for turn in _turns(fresh):
            outcomes |= await _issue(turn, rules, codes, at)
    return [outcomes[request.id] for request in requests]


def _turns(requests: Sequence[CodeRequest]) -> list[dict[StudentId, CodeRequest]]:
    """Return the requests such that a student comes once in each turn: the next code ends the one before."""
    turns: list[dict[StudentId, CodeRequest]] = []
    for request in requests:
        turn = next((turn for turn in turns if request.student_id not in turn), None)
        if turn is None:
            turns.append(turn := {})
        turn[request.student_id] = request
    return turns


async def _issue(
    turn: dict[StudentId, CodeRequest], rules: CodeRules, codes: FlashCodes, at: datetime
) -> dict[UUID, Outcome]:
    outcomes: dict[UUID, Outcome] = {}
    counts = await codes.count_since(turn, at - MINUTE)
    waiting = {request.id: request for student, request in turn.items() if counts[student] < rules.most_per_minute}
    for _ in range(MAX_DRAWS):
        if not waiting:
            break
        drawn = {rules.draw(): request for request in waiting.values()}
        new = {request.id: _code(number, request, rules, at) for number, request in drawn.items()}
        for id in await codes.add(list(new.values()), quarantine=rules.quarantine, since=at - MINUTE):
            outcomes[id] = new[id]
            del waiting[id]
    outcomes |= dict.fromkeys(waiting, UnavailableError("overloaded"))
    limited = TooManyRequestsError("rate_limited", retry_after_s=int(MINUTE.total_seconds()))
    return {request.id: outcomes.get(request.id, limited) for request in turn.values()}


def _code(number: int, request: CodeRequest, rules: CodeRules, at: datetime) -> FlashCode:
    return FlashCode(
        id=request.id,
        code=number,
        school_id=request.school_id,
        student_id=request.student_id,
        device_id=request.device_id,
        course_id=request.course_id,
        issued_at=at,
        expires_at=at + rules.life,
    )
