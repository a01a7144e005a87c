"""Handing verified proofs to attendance, now or as soon as it can take them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from beacon_svc.commands.judging import CHAIN_GAP, HAND_OVER_TIME, judge_waiting
from beacon_svc.ports import AttendanceDesk, HandedIn, NotHandedIn, OpenProofBook, Outcome, Settlement, StoredProof
from contracts.events.envelope import Cause
from contracts.problems import UnavailableError
from infra.clock import Clock
from infra.coalescer import Coalescer
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


# Keeps what attendance said; None, or why it could not be kept, for each.
Settle = Callable[[Sequence[Settlement]], Awaitable[Sequence[BaseException | None]]]


async def settle_all(settlements: Sequence[Settlement], *, open_book: OpenProofBook) -> Sequence[None]:
    """Keep what attendance said, all of it or nothing."""
    async with open_book() as book:
        await book.settle(settlements)
    return [None] * len(settlements)


class SettlingLater:
    """Keeps what attendance said while nobody waits for it.

    Whoever pushed may hear it before: a proof whose settlement is lost is handed over again, and hears the same.
    until_turn_s: how long to wait first; what several hand-overs brought meanwhile is kept in one transaction.
    """

    def __init__(
        self,
        settling: Coalescer[Sequence[Settlement], Sequence[BaseException | None]],
        *,
        until_turn_s: Callable[[], float],
    ) -> None:
        self._settling, self._until_turn_s = settling, until_turn_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[None]:
        """Begin; satisfies Settle."""
        task = asyncio.get_running_loop().create_task(self._settle(settlements), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return [None] * len(settlements)

    async def drain(self) -> None:
        """Wait until everything is kept or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        await asyncio.sleep(self._until_turn_s())
        try:
            faults = await self._settling.submit(settlements)
        except UnavailableError as problem:
            faults = [problem]
        for fault in filter(None, faults):
            log.error("what attendance said is not kept", action="settle", fault=type(fault).__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandingOver:
    """Hands proofs in and keeps what attendance says. Each stands or falls by itself.

    Safe to repeat: a proof's id is the key of its attempt.
    """

    desk: AttendanceDesk
    settle: Settle
    pauses: Pauses
    now: Clock

    async def hand_over(self, proofs: Sequence[StoredProof]) -> Mapping[UUID, Outcome | BaseException]:
        """Return what became of the proofs by their ids, or why it could not be kept."""
        if not proofs:
            return {}
        answers = await self.desk.hand_in(proofs)
        now = self.now()
        settlements = [self._settlement(*pair, now=now) for pair in zip(proofs, answers, strict=True)]
        faults = await self.settle(settlements)
        return {s.proof_id: fault or s.outcome for s, fault in zip(settlements, faults, strict=True)}

    async def hand_over_groups(
        self, groups: Sequence[Sequence[StoredProof]]
    ) -> list[Mapping[UUID, Outcome] | BaseException]:
        """Hand over the proofs of many requests at once; return what became of each request's."""
        unique = {proof.id: proof for group in groups for proof in group}
        found = await self.hand_over(list(unique.values()))
        return [_of_group(group, found) for group in groups]

    def _settlement(self, proof: StoredProof, answer: HandedIn | NotHandedIn, *, now: datetime) -> Settlement:
        will_retry = isinstance(answer, NotHandedIn) and not answer.is_final
        if isinstance(answer, NotHandedIn) and answer.is_final:
            log.error("attendance refuses a proof", action="set_aside", proof_id=str(proof.id), code=answer.code)
        try_at = now + self.pauses.after(proof.try_count) if will_retry else None
        return Settlement(proof_id=proof.id, outcome=outcome_of(answer), try_at=try_at)


def _of_group(
    group: Sequence[StoredProof], found: Mapping[UUID, Outcome | BaseException]
) -> Mapping[UUID, Outcome] | BaseException:
    outcomes: dict[UUID, Outcome] = {}
    for proof in group:
        outcome = found[proof.id]
        if isinstance(outcome, BaseException):
            return outcome
        outcomes[proof.id] = outcome
    return outcomes


def outcome_of(answer: HandedIn | NotHandedIn) -> Outcome:
    """Say what attendance's answer makes of a proof."""
    if isinstance(answer, NotHandedIn):
        return Outcome(state="held", reason="set_aside" if answer.is_final else "attendance_down")
    return Outcome(
        state="accepted", reason=answer.reason, signature_id=answer.signature_id, signature_status=answer.status
    )


async def look_again(*, handing_over: HandingOver, open_book: OpenProofBook) -> tuple[int, int]:
    """Take up held proofs whose time has come, at most 100; return how many, and how many wait on.

    What could not be kept is left out: its time comes again.
    """
    now = handing_over.now()
    async with open_book() as book:
        due = await book.claim_due(now, until=now + HAND_OVER_TIME, limit=BATCH)
    waiting = [proof for proof in due if is_waiting(proof)]
    for proof in due:
        if proof.outcome == CHAIN_GAP:
            waiting += filter(is_waiting, await _give_gap_up(proof, open_book=open_book, now=now))
    outcomes = (await handing_over.hand_over(waiting)).values()
    for fault in outcomes:
        if isinstance(fault, BaseException):
            log.error("what attendance said is not kept", action="hand_over", fault=type(fault).__name__)
    return len(due), sum(not isinstance(o, Outcome) or o.reason == "attendance_down" for o in outcomes)


async def _give_gap_up(proof: StoredProof, *, open_book: OpenProofBook, now: datetime) -> Sequence[StoredProof]:
    cause = Cause(at=now, actor_type="job")
    async with open_book() as book:
        return await judge_waiting(proof.beacon_id, proof.kid, proof.seq, gap_given_up=True, book=book, cause=cause)
