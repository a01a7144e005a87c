"""What is kept of a judged attempt: the signature, and every step it took."""

import hashlib
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic_core import to_json

from attendance_svc.domain.attempts import Attempt, Status
from contracts.ids import BeaconId, ClassroomId, CourseId, SchoolId, SignatureId
from contracts.values import value

Kind = Literal["student", "teacher"]
ActorType = Literal["student", "teacher", "admin", "beacon", "job"]
HumanType = Literal["teacher", "admin"]
Value = str | int | bool | None
Evidence = Mapping[str, Value]
# One subject in one course; no course: none, or several, in the proved room.
Place = tuple[CourseId | None, UUID]
PRESENT: frozenset[Status] = frozenset(("ACCEPTED", "LATE"))


@value
class Signature:
    """A judged attempt or a mark. subject_id: the student or teacher whose presence it is about.

    reason: a slug. method: how it was made. version: counts its transitions, from 1. announced: counts its events.
    superseded_by: the signature that counts instead. judged_by: the human who touched it last. attempt: of a student.
    digest: 32 bytes; of the proof or the mark, so that an idempotency key cannot serve two.
    """

    id: SignatureId
    school_id: SchoolId | None
    course_id: CourseId | None
    kind: Kind
    subject_id: UUID
    status: Status
    reason: str
    method: str
    t: datetime
    received_at: datetime
    rule_version: int
    version: int = 1
    announced: int = 0
    idempotency_key: str | None = None
    digest: bytes | None = None
    beacon_id: BeaconId | None = None
    classroom_id: ClassroomId | None = None
    superseded_by: SignatureId | None = None
    voided_at: datetime | None = None
    judged_by: HumanType | None = None
    judged_at: datetime | None = None
    attempt: Attempt | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing took its place and nobody took it back."""
        return self.superseded_by is None and self.voided_at is None

    @property
    def stands(self) -> bool:
        """Whether it counts as presence: at most one per course, kind and subject."""
        return self.status in PRESENT and self.is_open


@value
class Actor:
    """Who caused a step. id: None for jobs, and for beacons that were not named."""

    type: ActorType
    id: UUID | None = None


@value
class Transition:
    """One step of a signature; never changed. n: from 1. before: None for the first.

    reason: a slug. note: a human's own words. evidence: what the decision rests on. salt: 16 bytes, keeps a digest
    that travels in an event from being guessed. evidence_text: JSON with sorted keys and no spaces.
    """

    signature_id: SignatureId
    n: int
    before: Status | None
    after: Status
    reason: str
    note: str | None
    actor: Actor
    rule_version: int
    at: datetime
    evidence: Evidence
    salt: bytes
    evidence_text: str = field(init=False, repr=False, compare=False)
    _digest: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Each is needed twice, for the row and for the event.
        text = to_json({name: self.evidence[name] for name in sorted(self.evidence)})
        object.__setattr__(self, "evidence_text", text.decode())
        object.__setattr__(self, "_digest", hashlib.sha256(self.salt + self.canonical()).hexdigest())

    def canonical(self) -> bytes:
        """Return the text that the digest covers: JSON with sorted keys, no spaces, times in UTC to the microsecond."""
        first = {
            "actor_id": None if self.actor.id is None else str(self.actor.id),
            "actor_type": self.actor.type,
            "at": self.at.isoformat(timespec="microseconds"),
        }
        last = {
            "from": self.before,
            "n": self.n,
            "note": self.note,
            "reason": self.reason,
            "rule_version": self.rule_version,
            "signature_id": str(self.signature_id),
            "to": self.after,
        }
        # The evidence is most of the text, and is spelled once.
        return b'%b,"evidence":%b,%b' % (to_json(first)[:-1], self.evidence_text.encode(), to_json(last)[1:])

    def digest(self) -> str:
        """Return 64 hex digits that fit this transition alone."""
        return self._digest


@value
class Step:
    """A signature before and after one transition. before: None when it is new. says: what the world is told."""

    before: Signature | None
    after: Signature
    transition: Transition
    says: Literal["judged", "voided", "superseded", "nothing"] = "judged"
    opens_course: bool = False


@value
class Situation:
    """What attendance itself knows of one subject in one course, read under the course's lock.

    last_judge: the human who decided last. standing: the signature that counts. undecided: those that are PENDING, in
    order of their time. is_key_used: a signature, of whomever, was made with the idempotency key that is to be used.
    """

    teacher_signed: bool = False
    is_settled: bool = False
    is_under_review: bool = False
    last_judge: HumanType | None = None
    standing: Signature | None = None
    undecided: tuple[Signature, ...] = ()
    is_key_used: bool = False


@value
class Answer:
    """What an attempt or a mark is answered with. signature: the one that counts. reason: a slug, of this answer.

    is_new: False when another signature, or an earlier repeat of the request, answers it.
    """

    signature: Signature
    reason: str
    is_new: bool
