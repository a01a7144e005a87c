"""What attendance needs from the outside, in its own words."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attendance_svc.domain.attempts import Attempt, Course, DeviceRequest, PlanFacts
from attendance_svc.domain.copy import CopiedFacts, Question
from attendance_svc.domain.freshness import SeenVersion
from attendance_svc.domain.qr import QrScan, QrSession
from attendance_svc.domain.reports import Report, ReportScope
from attendance_svc.domain.signatures import Evidence, Kind, Place, Signature, Situation, Step
from contracts.events.envelope import Envelope
from contracts.ids import BeaconId, ClassroomId, CourseId, DeviceId, SchoolId, SignatureId, StudentId, TeacherId
from contracts.values import value


class CourseDirectory(Protocol):
    """What academics had recorded of courses and who belongs to them."""

    async def get_plan(self, attempt: Attempt) -> PlanFacts:
        """Return what was recorded at `attempt.t`, the course included if it has one.

        Raises: UnavailableError("academics_down").
        """
        ...

    async def find_course(self, course_id: CourseId, *, school_id: SchoolId | None, at: datetime) -> Course | None:
        """Return the school's course as recorded at `at`; without a school, any. Raises: as above."""
        ...

    async def is_teacher(self, teacher_id: TeacherId, course: Course, *, at: datetime) -> bool:
        """Return whether the teacher was assigned to the course. Raises: UnavailableError("academics_down")."""
        ...

    async def is_student(self, student_id: StudentId, course: Course, *, at: datetime) -> bool:
        """Return whether the student was in a group of the course. Raises: UnavailableError("academics_down")."""
        ...

    async def is_room(self, classroom_id: ClassroomId, course: Course, *, at: datetime) -> bool:
        """Return whether the classroom was one of the course's. Raises: UnavailableError("academics_down")."""
        ...


class CourseCopy(Protocol):
    """Attendance's own copy of what academics has recorded."""

    async def look_up(self, questions: Sequence[Question]) -> Sequence[CopiedFacts]:
        """Return what the copy knows about each question as of its `at`, in their order, all in one snapshot."""
        ...

    async def has(self, seen: SeenVersion) -> bool:
        """Return whether the copy has this version or a later one; waits up to 300 ms for it."""
        ...

    async def find_as_of(self) -> datetime | None:
        """Return the latest moment before which everything is in the copy of some shard; None while none is proved."""
        ...


class Timetable(Protocol):
    """What takes place where and for whom, as far as attendance's own copy of academics knows."""

    async def find_in_room(
        self, classroom_id: ClassroomId, at: datetime, *, margin: timedelta | None
    ) -> Sequence[CourseId] | None:
        """Return the courses linked to the room whose window holds `at`; None while the copy cannot tell.

        margin: how far the copy must be beyond `at` to be certain of it; None: nobody knows. One course may be what was
        known 5 s before, none or several may not.
        """
        ...

    async def list_expected(self, course_id: CourseId, at: datetime) -> Sequence[StudentId]:
        """Return the students of the course's groups at `at`, in order of their ids.

        Raises: UnavailableError("academics_down") while the copy is made anew, for it knows too few.
        """
        ...


@value
class NfcReading:
    """A true code: the beacon that showed it, the room it stood in, and the time step it belongs to."""

    beacon_id: BeaconId
    classroom_id: ClassroomId | None
    step: int


@value
class OwnPhone:
    """The student's own phone has signed a request. nonce: 16 bytes, by which it counts once."""

    device_id: DeviceId
    nonce: bytes


class Phones(Protocol):
    """Whose device signed a request."""

    async def check(self, request: DeviceRequest, student_id: StudentId, *, at: datetime) -> OwnPhone | None:
        """Return the student's phone that signed it at `at`, None when the device is not the student's.

        Malformed headers are the caller's fault, whoever is away.
        Raises: MalformedError, UnauthenticatedError, ForbiddenError("device_signature_invalid"),
        UnavailableError("identity_down").
        """
        ...


class NfcCodes(Protocol):
    """The codes that beacons show to phones."""

    async def read(self, serial: str, code: str, *, at: datetime, school_id: SchoolId | None) -> NfcReading | None:
        """Return what the code says; None when no beacon of the school showed it then.

        Raises: UnavailableError("beacon_down").
        """
        ...


class Nonces(Protocol):
    """The nonces of signed requests: each counts once."""

    async def keep(self, phone: OwnPhone, *, now: datetime) -> bool:
        """Record the nonce of a request that `phone` signed; return False when it was used before."""
        ...


class QrSessions(Protocol):
    """The sessions in which screens show codes, and who scanned which code. Each call commits by itself."""

    async def add(self, session: QrSession) -> QrSession:
        """Keep a new session; return the one that has its id: another one if a repeat of the request made it."""
        ...

    async def find(self, session_id: UUID) -> QrSession | None:
        """Return a session, closed ones too."""
        ...

    async def find_by_sid(self, sid: bytes) -> QrSession | None:
        """Return the session that codes call by these 8 bytes."""
        ...

    async def close(self, session_id: UUID, *, at: datetime) -> None:
        """Let no code of the session count any more. Safe to repeat."""
        ...

    async def add_scan(self, scan: QrScan) -> QrScan:
        """Keep a scan, and return it; if the student had scanned a code of this step before, that scan."""
        ...

    async def find_scan(self, session_id: UUID, step: int, student_id: StudentId) -> QrScan | None:
        """Return the student's scan of a code of this step."""
        ...


class SignatureBook(Protocol):
    """The signatures, their transitions and their news, inside the caller's transaction."""

    async def lock(self, course_id: CourseId | None, subject_id: UUID, *, alone: bool = False) -> None:
        """Wait until nobody else works on this subject in this course; `alone`: on anything in this course.

        Held until the transaction ends. Comes before reading what a decision rests on.
        """
        ...

    async def lock_all(self, places: Collection[Place]) -> None:
        """Wait until nobody else works on any of these; like `lock` for each, without waiting in a circle."""
        ...

    async def find_repeats(self, keys: Collection[str]) -> Mapping[str, tuple[Signature, Signature]]:
        """Return the signature made with each idempotency key, and the one at the end of its `superseded_by` chain.

        Keys that made none are left out.
        """
        ...

    async def get_situation(self, course_id: CourseId | None, kind: Kind, subject_id: UUID) -> Situation:
        """Return what is there of this subject in this course."""
        ...

    async def find(self, signature_id: SignatureId) -> Signature | None:
        """Return a signature of any school."""
        ...

    async def get_situations(self, kind: Kind, places: Mapping[Place, str | None]) -> dict[Place, Situation]:
        """Return what is there of each of these subjects in its course. With each: the idempotency key to be used."""
        ...

    async def list_awaiting_teacher(self, course_id: CourseId, *, limit: int) -> list[tuple[Signature, Evidence]]:
        """Return attempts that wait for the course's teacher, in order of `t`, and what they were judged by."""
        ...

    async def settle(self, course_id: CourseId, *, at: datetime) -> None:
        """Record that the course is over and nobody waits for its teacher any more. Safe to repeat."""
        ...

    async def keep(self, steps: Sequence[Step], news: Sequence[Envelope]) -> None:
        """Keep steps, in this order, with their transitions, and queue their news; all or nothing.

        Raises: ConflictError("idempotency_key_reused"), PreconditionFailedError("version_stale").
        """
        ...


# Opens a book and its transaction: leaving commits, an exception rolls everything back.
OpenBook = Callable[[], AbstractAsyncContextManager[SignatureBook]]


class WaitingRoom(Protocol):
    """The attempts that could not be judged when they came."""

    async def list_waiting(
        self, *, after: tuple[datetime, UUID] | None, until: datetime | None, with_claims: bool, limit: int
    ) -> list[Signature]:
        """Return PENDING `awaiting_validation` in order of (t, id), those after the given place.

        until: the latest `t`; None: any. with_claims: also those about whose claim somebody else must be asked.
        """
        ...

    async def list_overdue(self, *, limit: int) -> list[CourseId]:
        """Return courses where an attempt waits for the teacher though one has signed or the course was settled."""
        ...


class Reports(Protocol):
    """What became of students over many courses, as far as attendance itself knows."""

    async def count(
        self, scope: ReportScope, *, now: datetime, after: UUID | None = None, limit: int | None = None
    ) -> Report:
        """Count for each student in which courses they were there, `limit` students behind `after`; None: all.

        Who is expected counts as for the sheets; nobody is where a course was cancelled.
        Raises: InvalidInputError("report_too_large") beyond 5,000 courses, UnavailableError("academics_down") while the
        copy of academics lacks something that belongs to it.
        """
        ...
