"""Taking in what beacons push, and judging again what waited."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from beacon_svc.domain.beacons import BeaconKey
from beacon_svc.domain.claims import GENESIS_TAG, Claim, claim_of
from beacon_svc.domain.clock_model import EffectiveTime, effective_time
from beacon_svc.domain.nfc import find_step
from beacon_svc.domain.proofs import GAP_PATIENCE, KEPT, Evidence, FlashCode, Held, Verdict, Verified, judge
from beacon_svc.ports import BeaconKeys, OpenProofBook, Outcome, ProofBook, ProofFacts, ProofState, StoredProof
from contracts.events.envelope import Cause
from contracts.ids import BeaconId, SchoolId
from contracts.problems import NotFoundError
from infra.canon import canonical, from_spki, is_signed, low_s, to_base64url

# While a request hands a proof over, the job leaves it alone.
HAND_OVER_TIME = timedelta(seconds=10)
# Fewer are checked faster than a thread is woken.
MANY = 4

SIGNATURE_INVALID = Outcome(state="rejected", reason="signature_invalid")
KEY_UNKNOWN = Outcome(state="rejected", reason="key_unknown")
CHAIN_GAP = Outcome(state="held", reason="chain_gap")
SEQ_CONFLICT = Outcome(state="rejected", reason="seq_conflict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A pushed proof. signature: 86 characters. totp: the beacon's code of the moment, if it shows one; not signed."""

    claim: Claim
    signature: str
    totp: str | None

    @property
    def message(self) -> bytes:
        """What the beacon signed."""
        return canonical(*self.claim.lines())


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a push. ack_seq: the beacon may forget everything up to it.

    stored, refused: what is kept and what is not, by number; stored may hold more than was pushed: what had waited.
    """

    ack_seq: int
    stored: dict[int, StoredProof]
    refused: dict[int, Outcome]


async def take_in_proofs(
    submissions: Sequence[Submission],
    *,
    pushed_by: BeaconId,
    keys: BeaconKeys,
    open_book: OpenProofBook,
    cause: Cause,
) -> Receipt:
    """Check and keep proofs of one key; nothing is handed over yet. Safe to repeat: a proof is judged once.

    Raises: NotFoundError("not_found") when the beacon is unknown in the pusher's school.
    """
    first = submissions[0].claim
    found = await keys.find(first.beacon_id, first.kid)
    if found is None or not await _may_push(pushed_by, first.beacon_id, school_id=found[0], keys=keys):
        raise NotFoundError("not_found")
    key = found[1]
    if key is None:
        return Receipt(ack_seq=0, stored={}, refused={one.claim.seq: KEY_UNKNOWN for one in submissions})
    fits = await _check_signatures(submissions, key)
    signed, unsigned = (
        [one for one, fit in zip(submissions, fits, strict=True) if fit is kind] for kind in (True, False)
    )
    async with open_book() as book:
        facts = await book.gather(
            first.beacon_id, first.kid, claims=[one.claim for one in signed], since=cause.at - KEPT
        )
        intake = _Intake(book=book, facts=facts, cause=cause)
        refused = {one.claim.seq: SIGNATURE_INVALID for one in unsigned}
        for one in sorted(signed, key=lambda one: one.claim.seq):
            if not await intake.take(one):
                refused[one.claim.seq] = SEQ_CONFLICT
        for seq in intake.gaps_filled:
            for proof in await judge_waiting(first.beacon_id, first.kid, seq, book=book, cause=cause):
                intake.taken[proof.seq] = proof
        ack_seq = await book.acknowledge(first.beacon_id, first.kid, given_up_before=cause.at - GAP_PATIENCE)
    return Receipt(ack_seq=ack_seq, stored=intake.taken, refused=refused)


async def _may_push(pushed_by: BeaconId, beacon_id: BeaconId, *, school_id: SchoolId, keys: BeaconKeys) -> bool:
    if pushed_by == beacon_id:
        return True
    gateway = await keys.find(pushed_by, "")
    return gateway is not None and gateway[0] == school_id


async def _check_signatures(submissions: Sequence[Submission], key: BeaconKey) -> list[bool]:
    def check() -> list[bool]:
        public = from_spki(key.spki)
        return [is_signed(one.message, one.signature, public) for one in submissions]

    return check() if len(submissions) < MANY else await asyncio.to_thread(check)


class _Intake:
    """Judges the proofs of one push, each in the light of those before it."""

    def __init__(self, *, book: ProofBook, facts: ProofFacts, cause: Cause) -> None:
        self._book, self._facts, self._cause = book, facts, cause
        self._codes = {number: list(codes) for number, codes in facts.codes.items()}
        self.taken: dict[int, StoredProof] = {}
        self.gaps_filled: list[int] = []

    async def take(self, one: Submission) -> bool:
        """Keep a proof, or find it kept; False when another one has its number."""
        claim, sha256 = one.claim, to_base64url(hashlib.sha256(one.message).digest())
        known = self.taken.get(claim.seq) or self._facts.by_seq.get(claim.seq)
        if known is not None and known.sha256 != sha256:
            await self._book.alert("seq_conflict", self._facts.beacon, proof_id=claim.id, cause=self._cause)
            return False
        if known is not None:
            self.taken[claim.seq] = known
            return True
        facts = self._facts
        when = effective_time(claim.reading, near=facts.anchors, latest=facts.latest_anchor)
        new = StoredProof(
            id=claim.id,
            school_id=facts.beacon.school_id,
            beacon_id=claim.beacon_id,
            kid=claim.kid,
            seq=claim.seq,
            message=one.message,
            sha256=sha256,
            signature=low_s(one.signature),
            received_at=self._cause.at,
            proved_at=when.at,
            uncertainty=when.uncertainty,
            outcome=Outcome(state="held", reason="handing_over"),
        )
        fits = None if facts.totp_key is None else _fits(facts.totp_key, one.totp, claim)
        await self.judge(new, totp_fits=fits)
        if claim.seq + 1 in facts.gaps:
            self.gaps_filled.append(claim.seq + 1)
        return True

    async def judge(
        self, proof: StoredProof, *, totp_fits: bool | None = None, gap_given_up: bool = False
    ) -> StoredProof:
        """Judge a new or a waiting proof, keep what follows and return it."""
        claim, facts = claim_of(proof.message), self._facts
        before = self.taken.get(claim.seq - 1) or facts.by_seq.get(claim.seq - 1)
        evidence = Evidence(
            key=facts.key,
            when=EffectiveTime(at=proof.proved_at, uncertainty=proof.uncertainty),
            received_at=proof.received_at,
            previous=genesis(claim) if claim.seq == 1 else _sha256(before),
            gap_given_up=gap_given_up,
            codes=self._codes.get(claim.code, ()),
            stays=facts.stays,
            totp_fits=totp_fits,
        )
        verdict = judge(claim, evidence)
        kept = judged(proof, verdict, now=self._cause.at)
        if isinstance(verdict, Verified):
            await self._redeem(verdict, kept)
        await self._book.keep(kept, cause=self._cause)
        for kind in verdict.alerts:
            await self._book.alert(kind, facts.beacon, proof_id=proof.id, cause=self._cause)
        self.taken[claim.seq] = kept
        return kept

    async def _redeem(self, verdict: Verified, proof: StoredProof) -> None:
        await self._book.redeem(verdict.code, proof_id=proof.id, room=verdict.classroom_id)
        if verdict.code.redeemed_by is None:
            used = replace(verdict.code, redeemed_by=proof.id, redeemed_room=verdict.classroom_id)
            same_number = self._codes[verdict.code.code]
            same_number[same_number.index(verdict.code)] = used


def _sha256(proof: StoredProof | None) -> str | None:
    return None if proof is None else proof.sha256


def genesis(claim: Claim) -> str:
    """Return what the first proof of a key continues, base64url."""
    start = canonical(GENESIS_TAG, str(claim.beacon_id), claim.kid)
    return to_base64url(hashlib.sha256(start).digest())


def _fits(key: bytes, totp: str | None, claim: Claim) -> bool:
    return totp is not None and find_step(key, totp, shown_at=claim.observed_at) is not None


def judged(proof: StoredProof, verdict: Verdict, *, now: datetime) -> StoredProof:
    """Return `proof` as it is kept after `verdict`."""
    if isinstance(verdict, Verified):
        code: FlashCode = verdict.code
        return replace(
            proof,
            outcome=Outcome(state="held", reason="handing_over"),
            flags=verdict.flags,
            proved_at=verdict.when.at,
            classroom_id=verdict.classroom_id,
            code_id=code.id,
            course_id=code.course_id,
            student_id=code.student_id,
            acting_school_id=code.school_id,
            try_at=now + HAND_OVER_TIME,
        )
    state: ProofState = "held" if isinstance(verdict, Held) else "rejected"
    try_at = proof.received_at + GAP_PATIENCE if verdict.reason == "chain_gap" else None
    return replace(proof, outcome=Outcome(state=state, reason=verdict.reason), flags=verdict.flags, try_at=try_at)


async def judge_waiting(
    beacon_id: BeaconId, kid: str, seq: int, *, gap_given_up: bool = False, book: ProofBook, cause: Cause
) -> list[StoredProof]:
    """Judge a proof that waits for the one before it, then those that wait for it; return them. Safe to repeat."""
    released: list[StoredProof] = []
    while (waiting := await book.find(beacon_id, kid, seq)) is not None:
        facts = await book.gather(beacon_id, kid, claims=[claim_of(waiting.message)], since=cause.at - KEPT)
        waiting = facts.by_seq[seq]  # as it is now that its key is locked
        if waiting.outcome != CHAIN_GAP:
            break
        again = replace(waiting, version=waiting.version + 1)
        released.append(await _Intake(book=book, facts=facts, cause=cause).judge(again, gap_given_up=gap_given_up))
        seq, gap_given_up = seq + 1, False
    return released
