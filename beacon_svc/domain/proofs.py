"""When a pushed proof shows that a student's phone was before a beacon."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from beacon_svc.domain.beacons import BeaconKey, Stay, room_at
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.clock_model import EffectiveTime
from contracts.ids import ClassroomId, CourseId, DeviceId, SchoolId, StudentId
from contracts.values import value

Flag = Literal["chain_break", "chain_gap", "clock_unknown", "key_revoked_later", "two_rooms"]
RejectionReason = Literal[
    "signature_invalid",
    "key_unknown",
    "key_revoked",
    "key_not_valid",
    "seq_conflict",
    "future_proof",
    "stale_proof",
    "totp_invalid",
    "code_unknown",
    "beacon_not_assigned",
]
# handing_over, attendance_down: the hand-over repeats by itself. set_aside: attendance never takes it; a human looks.
HeldReason = Literal["chain_gap", "code_ambiguous", "handing_over", "attendance_down", "set_aside"]
AlertKind = Literal["chain_break", "clock_offset", "future_proof", "seq_conflict", "two_rooms"]

# A code may be read a little outside its life: the phone blinks it for up to 3 s.
CODE_TOLERANCE = timedelta(seconds=2)
FUTURE_TOLERANCE = timedelta(seconds=5)
STALE_AFTER = timedelta(days=7)
# Codes and anchors are kept a day longer than proofs may be late.
KEPT = STALE_AFTER + timedelta(days=1)
# A predecessor that has not come by then was lost by the beacon.
GAP_PATIENCE = timedelta(hours=24)


@value
class FlashCode:
    """A number (27 bits) that a student's phone may blink from `issued_at` to `expires_at`.

    school_id: the one the student acted in. redeemed_room: where a proof with this code was first accepted.
    """

    id: UUID
    code: int
    school_id: SchoolId
    student_id: StudentId
    device_id: DeviceId
    course_id: CourseId
    issued_at: datetime
    expires_at: datetime
    redeemed_by: UUID | None = None
    redeemed_room: ClassroomId | None = None

    def was_live(self, when: EffectiveTime) -> bool:
        """Return whether its life meets `when`, with the tolerance of reading."""
        return when.may_be_from(self.issued_at - CODE_TOLERANCE) and not _after(when, self.expires_at + CODE_TOLERANCE)


def _after(when: EffectiveTime, moment: datetime) -> bool:
    return when.uncertainty is not None and when.at - when.uncertainty > moment


@value
class Evidence:
    """What is known about a proof besides what it says.

    previous: base64url SHA-256 of the message before it, None when that has not come. gap_given_up: it never will.
    codes: every issue of its number within 8 days in the beacon's school. totp_fits: None when that is not asked for.
    """

    key: BeaconKey
    when: EffectiveTime
    received_at: datetime
    previous: str | None
    gap_given_up: bool
    codes: Sequence[FlashCode]
    stays: Sequence[Stay]
    totp_fits: bool | None = None


@value
class Verified:
    """A student was there: to be handed to attendance. code: what the proof redeems."""

    code: FlashCode
    classroom_id: ClassroomId
    when: EffectiveTime
    flags: tuple[Flag, ...]
    alerts: tuple[AlertKind, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Not decided yet."""

    reason: HeldReason
    flags: tuple[Flag, ...] = ()
    alerts: tuple[AlertKind, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """Shows nobody's presence. Statuses of signatures are attendance's alone."""

    reason: RejectionReason
    flags: tuple[Flag, ...] = ()
    alerts: tuple[AlertKind, ...] = ()


Verdict = Verified | Held | Rejected


@dataclass
class _Notes:
    """What was noticed on the way to a verdict."""

    flags: list[Flag] = field(default_factory=list)
    alerts: list[AlertKind] = field(default_factory=list)

    def suspect(self, what: Literal["chain_break", "two_rooms"]) -> None:
        self.flags.append(what)
        self.alerts.append(what)

    def reject(self, reason: RejectionReason) -> Rejected:
        return Rejected(reason, tuple(self.flags), tuple(self.alerts))

    def hold(self, reason: HeldReason) -> Held:
        return Held(reason, tuple(self.flags), tuple(self.alerts))


def judge(claim: Claim, evidence: Evidence) -> Verdict:
    """Decide what a signed proof shows; the first check that fails decides. Same inputs, same verdict."""
    notes = _Notes()
    if reason := check_key(evidence.key, evidence.when):
        return notes.reject(reason)
    if evidence.key.revoked_at is not None:
        notes.flags.append("key_revoked_later")
    if evidence.totp_fits is False:
        return notes.reject("totp_invalid")
    if not _continues_chain(claim, evidence, notes):
        return notes.hold("chain_gap")
    if reason := check_time(evidence.when, evidence.received_at):
        if reason == "future_proof":
            notes.alerts.append("future_proof")
        return notes.reject(reason)
    return _redeem(evidence, notes)


def _continues_chain(claim: Claim, evidence: Evidence, notes: _Notes) -> bool:
    if evidence.previous is None and not evidence.gap_given_up:
        return False
    if evidence.previous is None:
        notes.flags.append("chain_gap")
    elif evidence.previous != claim.prev:
        notes.suspect("chain_break")
    return True


def check_key(key: BeaconKey, when: EffectiveTime) -> RejectionReason | None:
    """Return why `key` could not sign at `when`; in doubt it could. A later revocation only raises a flag."""
    if key.revoked_at is not None and when.uncertainty is not None and key.revoked_at <= when.at:
        return "key_revoked"
    if not when.may_be_from(key.not_before):
        return "key_not_valid"
    if key.not_after is not None and not when.may_be_before(key.not_after):
        return "key_not_valid"
    return None


def check_time(when: EffectiveTime, received_at: datetime) -> RejectionReason | None:
    """Return why a proof of `when` cannot count now. What nobody knows cannot be held against it."""
    if when.uncertainty is None:
        return None
    age = received_at - when.at
    if age < -(FUTURE_TOLERANCE + when.uncertainty):
        return "future_proof"
    return "stale_proof" if age > STALE_AFTER else None


def _redeem(evidence: Evidence, notes: _Notes) -> Verdict:
    live = [code for code in evidence.codes if code.was_live(evidence.when)]
    if not live:
        return notes.reject("code_unknown")
    if len(live) > 1:
        return notes.hold("code_ambiguous")
    code, when = live[0], evidence.when
    if when.uncertainty is None:
        notes.flags.append("clock_unknown")
        when = EffectiveTime(at=min(max(when.at, code.issued_at), code.expires_at), uncertainty=None)
    room = room_at(evidence.stays, when.at)
    if room is None:
        return notes.reject("beacon_not_assigned")
    if code.redeemed_room not in (None, room):
        notes.suspect("two_rooms")
    return Verified(code=code, classroom_id=room, when=when, flags=tuple(notes.flags), alerts=tuple(notes.alerts))
