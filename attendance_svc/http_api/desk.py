"""What every route of this door works with, and who may see what."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.marks import Human
from attendance_svc.commands.nfc import NfcDoor
from attendance_svc.commands.qr import QrDoor
from attendance_svc.domain.attempts import Course, DeviceRequest
from attendance_svc.domain.freshness import read_token
from attendance_svc.domain.signatures import HumanType
from attendance_svc.ports import CourseDirectory, OpenBook, Reports
from attendance_svc.queries import SignatureView
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SchoolId, TeacherId
from contracts.problems import ForbiddenError, NotFoundError, UnavailableError
from infra.clock import Clock
from infra.device_requests import HEADERS
from infra.http_routes import Call
from infra.postgres import Pool
from infra.request_context import current
from infra.tokens import Caller, CallerType
from streams.names import shard_of

SIGNERS: frozenset[CallerType] = frozenset(("student", "teacher", "admin"))
AnyCall = Call[Any, Any]
TOKEN_HEADER = "x-consistency-token"  # noqa: S105 -- what a caller has seen, no secret
STUDENTS: frozenset[CallerType] = frozenset(("student",))
STAFF: frozenset[CallerType] = frozenset(("teacher", "admin"))
ADMINS: frozenset[CallerType] = frozenset(("admin",))
LONGEST_SPAN = timedelta(days=400)
SHEET_READERS: frozenset[CallerType] = frozenset(("teacher", "admin", "dev"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the routes of this door find what they need. origin: the address where people reach this server."""

    pool: Pool
    sources: Sources
    nfc: NfcDoor
    qr: QrDoor
    open_book: OpenBook
    reports: Reports
    now: Clock
    shard_count: int
    origin: str

    def cause(self, caller: Caller) -> Cause:
        """Return why a change is made: this request of this caller, now."""
        context = current()
        return Cause(
            at=self.now(),
            actor_type=caller.type,
            actor_id=caller.id,
            request_id=context.request_id if context else None,
            traceparent=context.traceparent if context else None,
        )

    def token(self, school_id: UUID | None, signature_id: UUID, version: int) -> dict[str, str]:
        """Return the header by which a reader of attendance's events can wait for this write."""
        shard = shard_of(school_id, self.shard_count)
        return {TOKEN_HEADER: f"attendance/{shard}/signature:{signature_id}@{version}"}

    def sources_for(self, call: AnyCall) -> Sources:
        """Return whom to ask for this call: not a copy that lacks what its caller has seen academics write."""
        return self.sources.after(read_token(call.request.headers.get(TOKEN_HEADER)))

    async def find_course(self, call: AnyCall, course_id: CourseId) -> Course:
        """Return a course that the caller may look into: teachers their own, admins their school's, developers any.

        While academics is away, what was last heard of the course counts.
        Raises: NotFoundError("not_found"), ForbiddenError("forbidden"), UnavailableError("academics_down").
        """
        now, caller, academics = self.now(), call.caller, self.sources_for(call).academics
        school_id = SchoolId(caller.school_id) if caller.school_id else None

        async def look(directory: CourseDirectory) -> Course:
            course = await directory.find_course(course_id, school_id=school_id, at=now)
            if course is None or caller.type != "teacher":
                return _shown(caller, course)
            is_assigned = await directory.is_teacher(TeacherId(caller.id), course, at=now)
            return _shown(caller, course, is_assigned=is_assigned)

        try:
            return (await academics.check(look)).found
        except UnavailableError:
            known = await academics.recall(course_id, now)
            if known is None or known.plan is None:
                raise
            return _shown(caller, known.plan.course, is_assigned=caller.id in known.teacher_ids)

    async def require_view(self, call: AnyCall, signature: SignatureView | None) -> SignatureView:
        """Return `signature` if the caller may see it: one's own, of a teacher's course, of an admin's school.

        Raises: NotFoundError("not_found"), ForbiddenError("forbidden"), UnavailableError("academics_down").
        """
        caller = call.caller
        if signature is None or caller.school_id not in (None, signature.school_id):
            raise NotFoundError("not_found")
        if caller.type in ("admin", "dev") or signature.subject_id == caller.id:
            return signature
        if caller.type != "teacher" or signature.course_id is None:
            raise ForbiddenError("forbidden")
        await self.find_course(call, CourseId(signature.course_id))
        return signature


def _shown(caller: Caller, course: Course | None, *, is_assigned: bool = False) -> Course:
    if course is None or caller.school_id not in (None, course.school_id):
        raise NotFoundError("not_found")
    if caller.type == "teacher" and not is_assigned:
        raise ForbiddenError("forbidden")
    return course


def human_of(caller: Caller) -> Human:
    """Return the teacher or administrator who calls; routes let nobody else in."""
    return Human(type=cast(HumanType, caller.type), id=caller.id, school_id=school_of(caller))


def school_of(caller: Caller) -> SchoolId:
    """Return the caller's school. Raises: ForbiddenError("forbidden") when the token names none."""
    if caller.school_id is None:
        raise ForbiddenError("forbidden")
    return SchoolId(caller.school_id)


def device_request(call: AnyCall) -> DeviceRequest:
    """Return the request as the phone signed it."""
    given = call.request.headers
    headers = tuple((name, value) for name in HEADERS if (value := given.get(name)) is not None)
    return DeviceRequest(method=call.request.method, path=call.request.raw_path, body=call.raw, headers=headers)
