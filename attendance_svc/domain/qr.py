"""Rotating QR codes: what a teacher's screen shows, and the ticket that a phone gets for having scanned it."""

import base64
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

from attendance_svc.domain.attempts import Course
from contracts.ids import ClassroomId, CourseId, DeviceId, SchoolId, StudentId
from contracts.values import value

STEP = timedelta(seconds=5)
# A code counts while it is shown and for one step more: phones take their time, and nobody else gets ten seconds.
CODE_LIFE = 2 * STEP
# Another process of ours may have shown the code, by a clock that is ahead of this one's.
MAX_SKEW = timedelta(seconds=2)
LONGEST_LIFE = timedelta(hours=4)
TICKET_LIFE = timedelta(seconds=120)

CODE_DOMAIN, TICKET_DOMAIN = b"att.qr.v1\0", b"att.qr-ticket.v1\0"
VERSION = 1
SID_BYTES, STEP_BYTES, TAG_BYTES, KEY_BYTES, MAC_BYTES = 8, 4, 12, 32, 16
HEAD_BYTES = 1 + SID_BYTES + STEP_BYTES + 1
CODE_BYTES, TICKET_BYTES = HEAD_BYTES + TAG_BYTES, SID_BYTES + STEP_BYTES + MAC_BYTES
# 26 bytes in base32, which a QR code packs tighter than base64url.
DENSE_CHARS = 42
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@value
class QrSession:
    """A span in which a screen shows codes for a course. sid: 8 random bytes, names it in codes. key: 32, secret.

    classroom_id: where it is shown, as the one who opened it says; None: the codes prove no room.
    """

    id: UUID
    sid: bytes
    school_id: SchoolId
    course_id: CourseId
    classroom_id: ClassroomId | None
    opened_by: UUID
    opened_at: datetime
    expires_at: datetime
    key: bytes
    closed_at: datetime | None = None

    def is_open(self, at: datetime) -> bool:
        """Return whether codes of this session count at `at`; whoever closed it closed it for good."""
        return self.closed_at is None and at <= self.expires_at


@value
class QrCode:
    """What a QR code says. step: of 5 s since 1970. display: which of several screens. tag: 12 bytes."""

    sid: bytes
    step: int
    display: int
    tag: bytes

    @property
    def head(self) -> bytes:
        """The 14 bytes that the tag covers, beside the course."""
        return bytes([VERSION]) + self.sid + self.step.to_bytes(STEP_BYTES, "big") + bytes([self.display])

    @property
    def raw(self) -> bytes:
        """The 26 bytes that are shown."""
        return self.head + self.tag

    def is_genuine(self, session: QrSession) -> bool:
        """Return whether `session` shows this code, sooner or later."""
        return hmac.compare_digest(self.tag, _tag(self.head, session))


@value
class QrScan:
    """A code that a student's own phone read in time. raw: its 26 bytes. at: the time that counts."""

    session_id: UUID
    step: int
    student_id: StudentId
    device_id: DeviceId
    raw: bytes
    at: datetime

    def is_ticket_good(self, at: datetime) -> bool:
        """Return whether the student may still sign with the ticket of this scan."""
        return at <= self.at + TICKET_LIFE


@value
class QrTicket:
    """What a phone shows for having scanned a code. mac: 16 bytes; fits one student's phone and one scan."""

    sid: bytes
    step: int
    mac: bytes

    def text(self) -> str:
        """Return the ticket as phones carry it: 38 characters of base64url."""
        return _to_base64url(self.sid + self.step.to_bytes(STEP_BYTES, "big") + self.mac)


def step_of(at: datetime) -> int:
    """Return the step in which `at` lies."""
    return (at - EPOCH) // STEP


def starts_at(step: int) -> datetime:
    """Return the first moment of a step."""
    return EPOCH + step * STEP


def is_current(step: int, at: datetime) -> bool:
    """Return whether a code of `step` counts at `at`: in its step and the one after, and up to 2 s too early.

    Source: proofs, format (c).
    """
    return -MAX_SKEW <= at - starts_at(step) < CODE_LIFE


def expires_at(course: Course, opened_at: datetime) -> datetime:
    """Return when a session ends by itself: with its course, after 4 h at the latest."""
    return min(course.end_at, opened_at + LONGEST_LIFE)


def code_at(session: QrSession, step: int, *, display: int = 0) -> QrCode:
    """Return what `session` shows in `step`."""
    blank = QrCode(sid=session.sid, step=step, display=display, tag=b"")
    return QrCode(sid=session.sid, step=step, display=display, tag=_tag(blank.head, session))


def to_text(code: QrCode) -> str:
    """Return a code as links carry it: 35 characters of base64url."""
    return _to_base64url(code.raw)


def to_dense_text(code: QrCode) -> str:
    """Return a code as links of capitals carry it: 42 characters of base32."""
    return base64.b32encode(code.raw).decode().rstrip("=")


def read_code(text: str) -> QrCode:
    """Return what a link carries, in either form. Raises: ValueError for any other spelling, size or version."""
    if len(text) == DENSE_CHARS:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
        if base64.b32encode(raw).decode().rstrip("=") != text:
            raise ValueError("not canonical base32")
    else:
        raw = _from_base64url(text)
    if len(raw) != CODE_BYTES or raw[0] != VERSION:
        raise ValueError("not a code of this version")
    sid, step = raw[1 : 1 + SID_BYTES], raw[1 + SID_BYTES : HEAD_BYTES - 1]
    return QrCode(sid=sid, step=int.from_bytes(step, "big"), display=raw[HEAD_BYTES - 1], tag=raw[HEAD_BYTES:])


def ticket_of(scan: QrScan, session: QrSession) -> QrTicket:
    """Return the ticket of a scan: the same one whenever it is asked for, so it need not be kept."""
    step = scan.step.to_bytes(STEP_BYTES, "big")
    said = session.id.bytes + step + scan.student_id.bytes + scan.device_id.bytes
    mac = hmac.digest(session.key, TICKET_DOMAIN + said, "sha256")[:MAC_BYTES]
    return QrTicket(sid=session.sid, step=scan.step, mac=mac)


def read_ticket(text: str) -> QrTicket:
    """Return what a phone shows. Raises: ValueError for any other spelling or size."""
    raw = _from_base64url(text)
    if len(raw) != TICKET_BYTES:
        raise ValueError("not a ticket")
    sid, step = raw[:SID_BYTES], raw[SID_BYTES : SID_BYTES + STEP_BYTES]
    return QrTicket(sid=sid, step=int.from_bytes(step, "big"), mac=raw[SID_BYTES + STEP_BYTES :])


def is_ticket_of(ticket: QrTicket, scan: QrScan, session: QrSession) -> bool:
    """Return whether `ticket` was given for `scan`."""
    return hmac.compare_digest(ticket.mac, ticket_of(scan, session).mac)


def _tag(head: bytes, session: QrSession) -> bytes:
    return hmac.digest(session.key, CODE_DOMAIN + head + session.course_id.bytes, "sha256")[:TAG_BYTES]


def _to_base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_base64url(text: str) -> bytes:
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    # The decoder passes over stray bits in the last character.
    if _to_base64url(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
