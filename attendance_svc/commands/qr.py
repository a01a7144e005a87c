"""A student scans the code that a screen shows, and signs with the ticket, both under the signature of the phone."""

import hashlib
from datetime import datetime
from uuid import UUID, uuid5

from pydantic_core import to_json

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.attempts import Keep, Submission, create_signature_attempt
from attendance_svc.commands.judging import answer_of
from attendance_svc.commands.phones import WrongCodes, fields_of, find_phone, try_find_phone
from attendance_svc.domain.attempts import Attempt, DeviceRequest, QrClaim
from attendance_svc.domain.qr import (
    TICKET_LIFE,
    QrCode,
    QrScan,
    QrSession,
    is_current,
    is_ticket_of,
    read_code,
    read_ticket,
    ticket_of,
)
from attendance_svc.domain.signatures import Answer
from attendance_svc.ports import Nonces, OpenBook, Phones, QrSessions
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SchoolId, SignatureId, StudentId
from contracts.problems import ConflictError, ForbiddenError, InvalidInputError
from contracts.values import value

NAMESPACE = UUID("9480e64d-f1aa-4266-9554-5c0c8b04a424")  # drawn once; must never change


@value
class ScanRequest:
    """A code that a student's phone read. payload: as the link carries it. request: as the phone signed it."""

    student_id: StudentId
    school_id: SchoolId
    payload: str
    request: DeviceRequest


@value
class QrRequest:
    """What a student asks for with the ticket of a scan. request: as the phone signed it."""

    student_id: StudentId
    school_id: SchoolId
    course_id: CourseId
    ticket: str
    request: DeviceRequest


@value
class Ticket:
    """What a phone got for a scan: 38 characters, good until `expires_at` for a signature in this course."""

    text: str
    expires_at: datetime
    course_id: CourseId


@value
class QrDoor:
    """What a signature by QR code needs beside the sources."""

    sessions: QrSessions
    nonces: Nonces
    wrong_codes: WrongCodes
    keep: Keep
    open_book: OpenBook


async def scan_code(wanted: ScanRequest, *, door: QrDoor, phones: Phones, now: datetime) -> Ticket:
    """Take note that a student's own phone read a code in time, and return the ticket to sign with.

    The first scan of a step counts, with its time; a repeat by the same phone gets the same ticket.
    Raises: UnauthenticatedError, MalformedError, ForbiddenError("device_signature_invalid" | "device_not_bound"),
    InvalidInputError("qr_code_invalid"), ConflictError("replay" | "qr_code_expired" | "qr_session_closed" |
    "qr_code_used"), TooManyRequestsError("rate_limited"), UnavailableError("identity_down" | "database_down").
    """
    door.wrong_codes.check(wanted.student_id, now)
    phone = await find_phone(wanted.request, wanted.student_id, phones=phones, nonces=door.nonces, now=now)
    if phone is None:
        raise ForbiddenError("device_not_bound")
    found = await _find_session(wanted, door.sessions)
    if found is None:
        door.wrong_codes.note(wanted.student_id, now)
        raise InvalidInputError("qr_code_invalid")
    code, session = found
    # Who was slow has guessed nothing.
    if not is_current(code.step, now):
        raise ConflictError("qr_code_expired")
    if not session.is_open(now):
        raise ConflictError("qr_session_closed")
    scan = QrScan(
        session_id=session.id,
        step=code.step,
        student_id=wanted.student_id,
        device_id=phone.device_id,
        raw=code.raw,
        at=now,
    )
    first = await door.sessions.add_scan(scan)
    if first.device_id != phone.device_id:
        raise ConflictError("qr_code_used")
    text = ticket_of(first, session).text()
    return Ticket(text=text, expires_at=first.at + TICKET_LIFE, course_id=session.course_id)


async def sign_with_qr(
    request: QrRequest, *, door: QrDoor, sources: Sources, signature_id: SignatureId, cause: Cause
) -> Answer:
    """Check the phone's signature and the ticket, and judge the attempt as of the scan.

    While identity is away the attempt waits. A session that was closed since the scan costs nobody anything.
    Raises: UnauthenticatedError, MalformedError, ForbiddenError("device_signature_invalid"), ConflictError("replay" |
    "qr_ticket_expired"), InvalidInputError("qr_ticket_invalid"), TooManyRequestsError("rate_limited"),
    UnavailableError("database_down").
    """
    now = cause.at
    door.wrong_codes.check(request.student_id, now)
    is_phone_known, phone = await try_find_phone(
        request.request, request.student_id, phones=sources.phones, nonces=door.nonces, now=now
    )
    found = await _find_scan(request, door.sessions)
    if found is None:
        door.wrong_codes.note(request.student_id, now)
        raise InvalidInputError("qr_ticket_invalid")
    scan, session = found
    if session.course_id != request.course_id:
        raise InvalidInputError("qr_ticket_invalid", fields=["course_id"])
    name = _name(scan)
    key = str(uuid5(NAMESPACE, name))
    if not scan.is_ticket_good(now):
        return await _repeated(key, door.open_book)
    attempt = Attempt(
        idempotency_key=key,
        school_id=request.school_id,
        course_id=request.course_id,
        student_id=request.student_id,
        method="QR",
        t=scan.at,
        received_at=now,
        classroom_id=session.classroom_id,
        proof=_proof(request, scan, session),
        proof_digest=hashlib.sha256(name.encode()).digest(),
        has_device=phone is not None or not is_phone_known,
        claim=None if is_phone_known else QrClaim(request=request.request),
    )
    submission = Submission(attempt=attempt, signature_id=signature_id, cause=cause)
    return await create_signature_attempt(submission, sources=sources, keep=door.keep)


async def _find_session(wanted: ScanRequest, sessions: QrSessions) -> tuple[QrCode, QrSession] | None:
    """Another school's code is like one that nobody shows."""
    try:
        code = read_code(wanted.payload)
    except ValueError:
        return None
    session = await sessions.find_by_sid(code.sid)
    if session is None or session.school_id != wanted.school_id or not code.is_genuine(session):
        return None
    return code, session


async def _find_scan(request: QrRequest, sessions: QrSessions) -> tuple[QrScan, QrSession] | None:
    """Return what the ticket was given for, if it was to this student and to the phone that the request names."""
    try:
        ticket = read_ticket(request.ticket)
    except ValueError:
        return None
    session = await sessions.find_by_sid(ticket.sid)
    if session is None or session.school_id != request.school_id:
        return None
    scan = await sessions.find_scan(session.id, ticket.step, request.student_id)
    if scan is None or scan.device_id != request.request.device_id or not is_ticket_of(ticket, scan, session):
        return None
    return scan, session


async def _repeated(key: str, open_book: OpenBook) -> Answer:
    """Answer who asks again, after the ticket's time, what became of it. Raises: ConflictError("qr_ticket_expired")."""
    async with open_book() as book:
        repeats = await book.find_repeats([key])
    if key not in repeats:
        raise ConflictError("qr_ticket_expired")
    return answer_of(*repeats[key])


def _name(scan: QrScan) -> str:
    """Say what makes a ticket single use."""
    return f"{scan.session_id}:{scan.step}:{scan.student_id}:{scan.device_id}"


def _proof(request: QrRequest, scan: QrScan, session: QrSession) -> bytes:
    """Return what shows the scan again: the code as its screen showed it, whose key is kept with the session."""
    fields = fields_of(request.request) | {
        "code": scan.raw.hex(),
        "scanned_at": scan.at.isoformat(),
        "session_id": str(session.id),
        "sid": session.sid.hex(),
        "step": scan.step,
    }
    return to_json({name: fields[name] for name in sorted(fields)})
