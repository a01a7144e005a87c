"""A student signs with a code that the phone read from a beacon, under the signature of the phone."""

import hashlib
from datetime import datetime
from uuid import UUID, uuid5

from pydantic_core import to_json

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.attempts import Keep, Submission, create_signature_attempt
from attendance_svc.commands.phones import WrongCodes, fields_of, try_find_phone
from attendance_svc.domain.attempts import Attempt, NfcClaim
from attendance_svc.domain.signatures import Answer
from attendance_svc.ports import NfcCodes, NfcReading, Nonces
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SchoolId, SignatureId, StudentId
from contracts.problems import InvalidInputError, UnavailableError
from contracts.values import value

NAMESPACE = UUID("0b7a3f52-9a0d-5a8e-8f5e-6c1d2b4e7a91")  # drawn once; must never change


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
    is_phone_known, phone = await try_find_phone(
        request.claim.request, request.student_id, phones=sources.phones, nonces=door.nonces, now=now
    )
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


async def _read_code(request: NfcRequest, codes: NfcCodes, now: datetime) -> tuple[bool, NfcReading | None]:
    claim = request.claim
    try:
        reading = await codes.read(claim.serial, claim.code, at=now, school_id=request.school_id)
    except UnavailableError:
        return False, None
    return True, reading


def _proof(claim: NfcClaim) -> bytes:
    fields = fields_of(claim.request) | {"code": claim.code, "serial": claim.serial}
    return to_json({name: fields[name] for name in sorted(fields)})
