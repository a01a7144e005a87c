"""A student signs with a code that the phone read from a beacon, under the signature of the phone."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from pydantic_core import to_json

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.attempts import Keep, Submission, create_signature_attempt
from attendance_svc.domain.attempts import Attempt, NfcClaim
from attendance_svc.domain.signatures import Answer
from attendance_svc.ports import NfcCodes, NfcReading, Nonces, OwnPhone, Phones
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SchoolId, SignatureId, StudentId
from contracts.problems import ConflictError, InvalidInputError, TooManyRequestsError, UnavailableError
from contracts.values import value

NAMESPACE = UUID("0b7a3f52-9a0d-5a8e-8f5e-6c1d2b4e7a91")  # drawn once; must never change
WRONG_CODES = 5
WRONG_CODES_WITHIN = timedelta(minutes=1)
STUDENTS_REMEMBERED = 10_000


@dataclass
class WrongCodes:
    """How often a student's code was wrong of late, as far as this process saw: guessing gets nowhere."""

    _seen: OrderedDict[UUID, list[datetime]] = field(default_factory=OrderedDict)

    def check(self, student_id: UUID, now: datetime) -> None:
        """Raises: TooManyRequestsError("rate_limited") after five wrong codes within a minute."""
        if len(self._recent(student_id, now)) >= WRONG_CODES:
            raise TooManyRequestsError("rate_limited", retry_after_s=int(WRONG_CODES_WITHIN.total_seconds()))

    def note(self, student_id: UUID, now: datetime) -> None:
        """Count one wrong code."""
        self._seen[student_id] = [*self._recent(student_id, now), now]
        self._seen.move_to_end(student_id)
        if len(self._seen) > STUDENTS_REMEMBERED:
            self._seen.popitem(last=False)

    def _recent(self, student_id: UUID, now: datetime) -> list[datetime]:
        return [each for each in self._seen.get(student_id, []) if now - each < WRONG_CODES_WITHIN]


@value
class NfcRequest:
    """What a student asks for with a code read from a beacon. claim: the code, and the request as it was signed."""

    student_id: StudentId
    school_id: SchoolId
    course_id: CourseId
    claim: NfcClaim

    def name(self) -> str:
        """Say what makes a code single use: a code names its beacon and time step, and counts once in a course."""
        return f"{self.claim.serial}:{self.claim.code}:{self.student_id}:{self.course_id}"


@value
class NfcDoor:
    """What a signature by NFC needs beside the sources."""

    nonces: Nonces
    wrong_codes: WrongCodes
    keep: Keep


async def sign_with_nfc(
    request: NfcRequest, *, door: NfcDoor, sources: Sources, signature_id: SignatureId, cause: Cause
) -> Answer:
    """Check the phone's signature and the code, and judge the attempt; who cannot be asked now is asked later.

    Raises: UnauthenticatedError, MalformedError, ForbiddenError("device_signature_invalid"), ConflictError("replay" |
    "idempotency_key_reused"), InvalidInputError("nfc_code_invalid"), TooManyRequestsError("rate_limited").
    """
    now = cause.at
    door.wrong_codes.check(request.student_id, now)
    is_phone_known, phone = await _check_phone(request, sources.phones, door.nonces, now)
    is_asked, reading = await _read_code(request, sources.codes, now)
    if is_asked and reading is None:
        door.wrong_codes.note(request.student_id, now)
        raise InvalidInputError("nfc_code_invalid")
    name = request.name()
    attempt = Attempt(
        idempotency_key=str(uuid5(NAMESPACE, name)),
        school_id=request.school_id,
        course_id=request.course_id,
        student_id=request.student_id,
        method="NFC",
        t=now,
        received_at=now,
        beacon_id=reading.beacon_id if reading else None,
        classroom_id=reading.classroom_id if reading else None,
        proof=_proof(request.claim),
        proof_digest=hashlib.sha256(name.encode()).digest(),
        has_device=phone is not None or not is_phone_known,
        # With a claim everything is asked again, now and whenever it was not to be had.
        claim=None if is_phone_known and is_asked else request.claim,
    )
    submission = Submission(attempt=attempt, signature_id=signature_id, cause=cause)
    return await create_signature_attempt(submission, sources=sources, keep=door.keep)


async def _check_phone(
    request: NfcRequest, phones: Phones, nonces: Nonces, now: datetime
) -> tuple[bool, OwnPhone | None]:
    """Return whether identity could say whose phone signed, and the phone if it is the student's own."""
    try:
        phone = await phones.check(request.claim.request, request.student_id, at=now)
    except UnavailableError:
        return False, None
    # Only now: strangers must not fill the table. A foreign device's nonces are nobody's.
    if phone is not None and not await nonces.keep(phone, now=now):
        raise ConflictError("replay")
    return True, phone


async def _read_code(request: NfcRequest, codes: NfcCodes, now: datetime) -> tuple[bool, NfcReading | None]:
    claim = request.claim
    try:
        reading = await codes.read(claim.serial, claim.code, at=now, school_id=request.school_id)
    except UnavailableError:
        return False, None
    return True, reading


def _proof(claim: NfcClaim) -> bytes:
    request = claim.request
    fields = {
        "body": request.body.hex(),
        "code": claim.code,
        "headers": dict(sorted(request.headers)),
        "method": request.method,
        "path": request.path,
        "serial": claim.serial,
    }
    return to_json(fields)
