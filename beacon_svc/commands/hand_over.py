"""Handing verified proofs to attendance, now or as soon as it can take them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from beacon_svc.commands.proofs import CHAIN_GAP, HAND_OVER_TIME, judge_waiting
from beacon_svc.ports import AttendanceDesk, HandedIn, NotHandedIn, OpenProofBook, Outcome, StoredProof
from contracts.events.envelope import Cause
from infra.telemetry import logger

WAITING_FOR_ATTENDANCE = frozenset(("handing_over", "attendance_down"))
BATCH = 100

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """How long a proof waits after a failed hand-over: doubled from `first` up to `longest`.

    draw: 0 to 1; halves the pause at most, so that proofs that failed together do not come back together.
    """

    first: timedelta
    longest: timedelta
    draw: Callable[[], float]

    def after(self, failures: int) -> timedelta:
        """Return the pause after that many failures."""
        longest = min(self.longest, self.first * 2.0 ** min(failures, 20))
        return longest * (1 - self.draw() / 2)


def is_waiting(proof: StoredProof) -> bool:
    """Return whether attendance has yet to hear of the proof."""
    return proof.outcome.state == "held" and proof.outcome.reason in WAITING_FOR_ATTENDANCE


async def hand_over(
    proofs: Sequence[StoredProof], *, desk: AttendanceDesk, open_book: OpenProofBook, pauses: Pauses, now: datetime
) -> dict[UUID, Outcome]:
    """Hand proofs in and keep what attendance says; return it by their ids. Each stands or falls by itself.

    Safe to repeat: a proof's id is the key of its attempt.
    """
    if not proofs:
        return {}
    answers = await desk.hand_in(proofs)
    outcomes: dict[UUID, Outcome] = {}
    async with open_book() as book:
        for proof, answer in zip(proofs, answers, strict=True):
            outcomes[proof.id] = outcome_of(answer)
            will_retry = isinstance(answer, NotHandedIn) and not answer.is_final
            try_at = now + pauses.after(proof.try_count) if will_retry else None
            await book.settle(proof, outcomes[proof.id], try_at=try_at)
            if isinstance(answer, NotHandedIn) and answer.is_final:
                log.error("attendance refuses a proof", action="set_aside", proof_id=str(proof.id), code=answer.code)
    return outcomes


def outcome_of(answer: HandedIn | NotHandedIn) -> Outcome:
    """Say what attendance's answer makes of a proof."""
    if isinstance(answer, NotHandedIn):
        return Outcome(state="held", reason="set_aside" if answer.is_final else "attendance_down")
    return Outcome(
        state="accepted", reason=answer.reason, signature_id=answer.signature_id, signature_status=answer.status
    )


async def look_again(
    *, desk: AttendanceDesk, open_book: OpenProofBook, pauses: Pauses, now: datetime
) -> tuple[int, int]:
    """Take up held proofs whose time has come, at most 100; return how many, and how many wait on."""
    async with open_book() as book:
        due = await book.claim_due(now, until=now + HAND_OVER_TIME, limit=BATCH)
    waiting = [proof for proof in due if is_waiting(proof)]
    for proof in due:
        if proof.outcome == CHAIN_GAP:
            waiting += filter(is_waiting, await _give_gap_up(proof, open_book=open_book, now=now))
    outcomes = await hand_over(waiting, desk=desk, open_book=open_book, pauses=pauses, now=now)
    return len(due), sum(outcome.reason == "attendance_down" for outcome in outcomes.values())


async def _give_gap_up(proof: StoredProof, *, open_book: OpenProofBook, now: datetime) -> list[StoredProof]:
    cause = Cause(at=now, actor_type="job")
    async with open_book() as book:
        return await judge_waiting(proof.beacon_id, proof.kid, proof.seq, gap_given_up=True, book=book, cause=cause)
