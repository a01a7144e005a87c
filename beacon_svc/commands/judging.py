"""Judging proofs, each in the light of those before it; what waited included."""

import hashlib
from collections.abc import Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Required, TypedDict
from uuid import UUID

from beacon_svc.domain.claims import GENESIS_TAG, Claim, claim_of
from beacon_svc.domain.clock_model import EffectiveTime, effective_time
from beacon_svc.domain.nfc import find_step
from beacon_svc.domain.proofs import GAP_PATIENCE, KEPT, Evidence, Flag, FlashCode, Held, Verdict, Verified, judge
from beacon_svc.ports import Alarm, Gathered, Judged, KeyName, Outcome, ProofBook, ProofState, StoredProof
from contracts.events.envelope import Cause
from contracts.ids import BeaconId, ClassroomId, CourseId, SchoolId, StudentId
from contracts.values import value
from infra.canon import canonical, low_s, to_base64url

# While a request hands a proof over, the job leaves it alone.
HAND_OVER_TIME = timedelta(seconds=10)

HANDING_OVER = Outcome(state="held", reason="handing_over")
CHAIN_GAP = Outcome(state="held", reason="chain_gap")


@value
class Submission:
    """A pushed proof. signature: 86 characters. totp: the beacon's code of the moment, if it shows one; not signed."""

    claim: Claim
    signature: str
    totp: str | None
    message: bytes = field(init=False)
    """What the beacon signed."""
    id: UUID = field(init=False)
    """The claim's, which is a hash."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", canonical(*self.claim.lines()))
        object.__setattr__(self, "id", self.claim.id)

    @property
    def key(self) -> KeyName:
        """The key it was signed with, as it says."""
        return self.claim.beacon_id, self.claim.kid


class Ledger:
    """Judges proofs of any number of keys by what was gathered; remembers what is to be kept.

    changes: in order. judged: proofs by key and number, those that were kept before included.
    """

    def __init__(self, gathered: Gathered) -> None:
        self._facts = gathered.facts
        self._codes = {number: list(codes) for number, codes in gathered.codes.items()}
        self.changes: list[Judged | Alarm] = []
        self.judged: dict[KeyName, dict[int, StoredProof]] = {key: {} for key in gathered.facts}

    def take(self, one: Submission, *, cause: Cause) -> bool:
        """Judge a signed proof, or find it judged; False when another one has its number."""
        claim, facts, judged = one.claim, self._facts[one.key], self.judged[one.key]
        known = judged.get(claim.seq) or facts.by_seq.get(claim.seq)
        if known is not None and known.message != one.message:
            self.changes.append(Alarm(kind="seq_conflict", beacon=facts.beacon, proof_id=one.id, cause=cause))
            return False
        if known is not None:
            judged[claim.seq] = known
            return True
        when = effective_time(claim.reading, near=facts.anchors, latest=facts.latest_anchor)
        fits = None if facts.totp_key is None else _fits(facts.totp_key, one.totp, claim)
        verdict = judge(claim, self._evidence(one.key, claim, when, cause.at, totp_fits=fits))
        kept = StoredProof(
            id=one.id,
            school_id=facts.beacon.school_id,
            beacon_id=claim.beacon_id,
            kid=claim.kid,
            seq=claim.seq,
            message=one.message,
            digest=hashlib.sha256(one.message).digest(),
            signature=low_s(one.signature),
            received_at=cause.at,
            uncertainty=when.uncertainty,
            **found(verdict, proved_at=when.at, received_at=cause.at, now=cause.at),
        )
        self._note(kept, verdict, cause=cause)
        return True

    def waits_for(self, one: Submission) -> bool:
        """Return whether a stored proof waits for this one."""
        return one.claim.seq + 1 in self._facts[one.key].waiting

    def acknowledged(self, key: KeyName) -> int | None:
        """Return how far the key's proofs are stored without a gap; None when only all of them can tell."""
        facts = self._facts[key]
        new = sorted(seq for seq in self.judged[key] if seq > facts.ack_seq)
        reached = facts.ack_seq + len(new)
        if not new or (new[-1] == reached and reached not in facts.followed):
            return reached
        return None

    def judge_again(self, waiting: StoredProof, *, gap_given_up: bool, cause: Cause) -> StoredProof:
        """Judge a stored proof that waited, note what follows and return it."""
        key, claim = (waiting.beacon_id, waiting.kid), claim_of(waiting.message)
        when = EffectiveTime(at=waiting.proved_at, uncertainty=waiting.uncertainty)
        verdict = judge(claim, self._evidence(key, claim, when, waiting.received_at, gap_given_up=gap_given_up))
        now_found = found(verdict, proved_at=when.at, received_at=waiting.received_at, now=cause.at)
        kept = replace(waiting, version=waiting.version + 1, **now_found)
        self._note(kept, verdict, cause=cause)
        return kept

    def _evidence(
        self,
        key: KeyName,
        claim: Claim,
        when: EffectiveTime,
        received_at: datetime,
        *,
        totp_fits: bool | None = None,
        gap_given_up: bool = False,
    ) -> Evidence:
        facts = self._facts[key]
        return Evidence(
            key=facts.key,
            when=when,
            received_at=received_at,
            previous=self._previous(claim, key),
            gap_given_up=gap_given_up,
            codes=self._codes.get((facts.beacon.school_id, claim.code), ()),
            stays=facts.stays,
            totp_fits=totp_fits,
        )

    def _note(self, kept: StoredProof, verdict: Verdict, *, cause: Cause) -> None:
        key = (kept.beacon_id, kept.kid)
        self.changes.append(Judged(proof=kept, redeems=self._redeem(verdict, kept), cause=cause))
        for kind in verdict.alerts:
            alarm = Alarm(kind=kind, beacon=self._facts[key].beacon, proof_id=kept.id, cause=cause)
            self.changes.append(alarm)
        self.judged[key][kept.seq] = kept

    def _previous(self, claim: Claim, key: KeyName) -> str | None:
        """Return the hash that the claim should continue, None when the proof before it has not come."""
        if claim.seq == 1:
            return genesis(claim)
        before = self.judged[key].get(claim.seq - 1)
        digest = self._facts[key].digests.get(claim.seq - 1) if before is None else before.digest
        return None if digest is None else to_base64url(digest)

    def _redeem(self, verdict: Verdict, proof: StoredProof) -> FlashCode | None:
        """Return the code that the proof uses up; who comes later finds it used."""
        if not isinstance(verdict, Verified) or verdict.code.redeemed_by is not None:
            return None
        code = verdict.code
        same_number = self._codes[proof.school_id, code.code]
        used = replace(code, redeemed_by=proof.id, redeemed_room=verdict.classroom_id)
        same_number[same_number.index(code)] = used
        return used


def genesis(claim: Claim) -> str:
    """Return what the first proof of a key continues, base64url."""
    start = canonical(GENESIS_TAG, str(claim.beacon_id), claim.kid)
    return to_base64url(hashlib.sha256(start).digest())


def _fits(key: bytes, totp: str | None, claim: Claim) -> bool:
    return totp is not None and find_step(key, totp, shown_at=claim.observed_at) is not None


class Found(TypedDict, total=False):
    """Those fields of a stored proof that a verdict decides; the others are as they would be for nobody's proof."""

    outcome: Required[Outcome]
    proved_at: Required[datetime]
    flags: Required[tuple[Flag, ...]]
    try_at: Required[datetime | None]
    classroom_id: ClassroomId
    code_id: UUID
    course_id: CourseId
    student_id: StudentId
    acting_school_id: SchoolId


def found(verdict: Verdict, *, proved_at: datetime, received_at: datetime, now: datetime) -> Found:
    """Return what is kept of `verdict`. proved_at: unless the verdict knows better."""
    if isinstance(verdict, Verified):
        code: FlashCode = verdict.code
        return Found(
            outcome=HANDING_OVER,
            proved_at=verdict.when.at,
            flags=verdict.flags,
            try_at=now + HAND_OVER_TIME,
            classroom_id=verdict.classroom_id,
            code_id=code.id,
            course_id=code.course_id,
            student_id=code.student_id,
            acting_school_id=code.school_id,
        )
    state: ProofState = "held" if isinstance(verdict, Held) else "rejected"
    try_at = received_at + GAP_PATIENCE if verdict.reason == "chain_gap" else None
    outcome = Outcome(state=state, reason=verdict.reason)
    return Found(outcome=outcome, proved_at=proved_at, flags=verdict.flags, try_at=try_at)


async def judge_waiting(
    beacon_id: BeaconId, kid: str, seq: int, *, gap_given_up: bool = False, book: ProofBook, cause: Cause
) -> Sequence[StoredProof]:
    """Judge a proof that waits for the one before it, then those that wait for it; return them. Safe to repeat."""
    released: list[StoredProof] = []
    key = (beacon_id, kid)
    while (waiting := await book.find(beacon_id, kid, seq)) is not None:
        claim = claim_of(waiting.message)
        gathered = await book.gather({key: [claim]}, since=cause.at - KEPT)
        waiting = gathered.facts[key].by_seq[seq]  # as it is now that its key is locked
        if waiting.outcome != CHAIN_GAP:
            break
        ledger = Ledger(gathered)
        released.append(ledger.judge_again(waiting, gap_given_up=gap_given_up, cause=cause))
        await book.keep(ledger.changes, {})
        seq, gap_given_up = seq + 1, False
    return released
