"""What is judged: an attempt to sign, and what was known when it was made."""

from dataclasses import field
from datetime import datetime, timedelta
from typing import Literal

from contracts.ids import BeaconId, ClassroomId, CourseId, DeviceId, SchoolId, StudentId, canonical_uuid
from contracts.values import value

Method = Literal["QR", "NFC", "FLASHLIGHT", "BEACON"]
Status = Literal["PENDING", "ACCEPTED", "LATE", "REFUSED"]
Basis = Literal["copy", "recent", "rpc"]
Reason = Literal[
    "stale_proof",
    "future_proof",
    "awaiting_validation",
    "course_unknown",
    "course_cancelled",
    "method_disabled",
    "too_early",
    "course_ended",
    "not_enrolled",
    "wrong_classroom",
    "device_not_bound",
    "nfc_code_invalid",
    "signing_closed",
    "clock_uncertain",
    "proof_flagged",
    "late_evidence",
    "under_review",
    "awaiting_teacher",
    "teacher_absent",
    "after_closing_delay",
    "on_time",
]

RULE_VERSION = 1  # raised when the same facts and attempt could earn another decision


@value
class DeviceRequest:
    """A request as a student's phone signed it, kept until its device can be asked about.

    path: with its query, exactly as sent. headers: the device headers and their values.
    """

    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]

    @property
    def device_id(self) -> DeviceId:
        """The device that it names. Raises: KeyError, ValueError unless its headers were read with success before."""
        return DeviceId(canonical_uuid(dict(self.headers)["X-Device-Id"]))


@value
class NfcClaim:
    """What a phone says that it read from a beacon: nothing is proved before identity and beacon agree."""

    serial: str
    code: str
    request: DeviceRequest


@value
class QrClaim:
    """A request with the ticket of a scan: what was scanned is proved, whose phone has signed this is not."""

    request: DeviceRequest


Claim = NfcClaim | QrClaim


@value
class Attempt:
    """A student's request to sign, judged once.

    idempotency_key: None from clients of the seed's contract. school_id: the student's; None: unknown, so the course's.
    course_id: None: the only course in the proved room. t: the time that counts. uncertainty: how far off t may be.
    flags: what the verifier of the proof noticed. proof: its bytes, kept for ever beside the signature.
    proof_digest: 32 bytes; names the proof, so that a key cannot serve two. has_device: the student's own took part.
    claim: what is still to be proved, that included.
    """

    idempotency_key: str | None
    school_id: SchoolId | None
    course_id: CourseId | None
    student_id: StudentId
    method: Method
    t: datetime
    received_at: datetime
    uncertainty: timedelta = timedelta(0)
    flags: frozenset[str] = frozenset()
    beacon_id: BeaconId | None = None
    classroom_id: ClassroomId | None = None
    proof: bytes | None = None
    proof_digest: bytes | None = None
    has_device: bool = True
    claim: Claim | None = None


@value
class Preferences:
    """The part of a school's preferences that decides signatures. version: 0 from an academics of the seed."""

    students_can_sign_before_teacher: bool = True
    enable_flash: bool = True
    enable_nfc: bool = True
    enable_qr: bool = True
    early_open: timedelta = timedelta(0)
    late_grace: timedelta = timedelta(0)
    version: int = 0

    def enables(self, method: Method) -> bool:
        """Return whether students of the school may sign this way; BEACON goes with flash."""
        if method == "QR":
            return self.enable_qr
        return self.enable_nfc if method == "NFC" else self.enable_flash


@value
class Course:
    """The part of a course that decides signatures.

    closing_delay: its own, else its school's. closed_at: the nominal time when a job closed signing, the clock's when
    a hand did. open_until: set while signing is reopened.
    """

    id: CourseId
    school_id: SchoolId
    start_at: datetime
    end_at: datetime
    closing_delay: timedelta
    is_online: bool = False
    is_cancelled: bool = False
    is_closed: bool = False
    closed_at: datetime | None = None
    open_until: datetime | None = None
    version: int = 0


@value
class CopyPlace:
    """How far the copy was when facts were read from it. shard, pos: None when several shards vouch for them."""

    shard: int | None
    pos: int | None
    as_of: datetime


@value
class PlanFacts:
    """What academics had recorded at `t`. course: None when the student's school has no such course.

    has_rooms, is_room_linked: whether the course is tied to rooms, and to the proved one.
    basis: "copy": as certain as if academics had said it; "recent": what was known at most 5 s before; "rpc": academics
    said it. place: of the copy, unless it was academics.
    """

    course: Course | None
    preferences: Preferences = field(default_factory=Preferences)
    is_enrolled: bool = False
    has_rooms: bool = False
    is_room_linked: bool = False
    basis: Basis = "rpc"
    place: CopyPlace | None = None


@value
class ProofFacts:
    """What identity and beacon_svc say of the proof. has_device: the student's own device took part."""

    has_device: bool = True
    is_code_valid: bool = True


@value
class Facts:
    """What attendance knows of an attempt. plan, proof: None while whoever knows cannot be asked.

    teacher_signed: an assigned teacher has signed the course. is_settled: the course is over and was settled.
    is_under_review: a human refused or voided this student's signature, and no human accepted one since.
    """

    plan: PlanFacts | None
    proof: ProofFacts | None = field(default_factory=ProofFacts)
    teacher_signed: bool = False
    is_settled: bool = False
    is_under_review: bool = False


@value
class Decision:
    """What an attempt earned, and why."""

    status: Status
    reason: Reason
    rule_version: int = RULE_VERSION
