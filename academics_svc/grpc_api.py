"""gRPC door of academics_svc: parse, ask what was recorded or close what is due, answer."""

from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from academics_svc.commands.signing import CLOSE_LIMIT, close_expired
from academics_svc.domain import Preferences
from academics_svc.ports import OpenBooks
from academics_svc.queries.as_of import (
    Asked,
    CourseFacts,
    find_course_as_of,
    groups_as_of,
    preferences_as_of,
    rooms_as_of,
    teaches_as_of,
)
from contracts.events.envelope import Cause
from contracts.ids import canonical_uuid
from contracts.problems import InvalidInputError, NotFoundError
from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as rpc
from infra.clock import Clock
from infra.grpc_problems import Context
from infra.postgres import Pool, connection
from infra.request_context import current

T = TypeVar("T")

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=3650)
# A batch takes some 100 ms; one that cannot be finished in time is left to the next call.
BATCH_RESERVE_S = 0.5

CourseRequest = (
    pb.GetCourseRequest
    | pb.ValidateTeacherCourseRequest
    | pb.ValidateStudentCourseRequest
    | pb.ValidateClassroomCourseRequest
)


class QueryApi(rpc.AcademicsQueryServiceServicer):
    """Serves `academics.api.v1.AcademicsQueryService` to the other services."""

    def __init__(self, *, pool: Pool, now: Clock) -> None:
        self._pool, self._now = pool, now

    async def GetCourse(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.GetCourseRequest, context: Context
    ) -> pb.GetCourseResponse:
        """See academics.proto. Raises: NotFoundError("course_unknown")."""
        asked = self._asked(request)
        async with connection(self._pool) as lent:
            facts = await find_course_as_of(lent, asked)
        return pb.GetCourseResponse(course=to_course(found(facts)))

    async def ValidateTeacherCourse(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.ValidateTeacherCourseRequest, context: Context
    ) -> pb.ValidateTeacherCourseResponse:
        """See academics.proto. Raises: NotFoundError("course_unknown")."""
        asked, teacher_id = self._asked(request), parse_id(request.teacher_id, "teacher_id")
        async with connection(self._pool) as lent:
            is_assigned = await teaches_as_of(lent, asked, teacher_id)
        return pb.ValidateTeacherCourseResponse(is_assigned=found(is_assigned))

    async def ValidateStudentCourse(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.ValidateStudentCourseRequest, context: Context
    ) -> pb.ValidateStudentCourseResponse:
        """See academics.proto. Raises: NotFoundError("course_unknown")."""
        asked, student_id = self._asked(request), parse_id(request.student_id, "student_id")
        async with connection(self._pool) as lent:
            groups = found(await groups_as_of(lent, asked, student_id))
        return pb.ValidateStudentCourseResponse(is_allowed=bool(groups), matched_group_ids=map(str, groups))

    async def ValidateClassroomCourse(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.ValidateClassroomCourseRequest, context: Context
    ) -> pb.ValidateClassroomCourseResponse:
        """See academics.proto. Raises: NotFoundError("course_unknown")."""
        asked, classroom_id = self._asked(request), parse_id(request.classroom_id, "classroom_id")
        async with connection(self._pool) as lent:
            rooms = found(await rooms_as_of(lent, asked))
        return pb.ValidateClassroomCourseResponse(is_linked=classroom_id in rooms, course_has_rooms=bool(rooms))

    async def GetSchoolPreferences(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.GetSchoolPreferencesRequest, context: Context
    ) -> pb.GetSchoolPreferencesResponse:
        """See academics.proto. Raises: NotFoundError("school_unknown")."""
        asked = Asked(
            id=parse_id(request.school_id, "school_id"),
            at=parse_time(request.at, self._now()) if request.HasField("at") else None,
            acting_school_id=parse_acting_school(request.acting_school_id),
        )
        async with connection(self._pool) as lent:
            preferences = await preferences_as_of(lent, asked)
        if preferences is None:
            raise NotFoundError("school_unknown")
        return pb.GetSchoolPreferencesResponse(preferences=to_preferences(preferences))

    def _asked(self, request: CourseRequest) -> Asked:
        return Asked(
            id=parse_id(request.course_id, "course_id"),
            at=parse_time(request.at, self._now()) if request.HasField("at") else None,
            acting_school_id=parse_acting_school(request.acting_school_id),
        )


class CommandApi(rpc.AcademicsCommandServiceServicer):
    """Serves `academics.api.v1.AcademicsCommandService` to attendance's closing job."""

    def __init__(self, *, open_books: OpenBooks, now: Clock) -> None:
        self._open_books, self._now = open_books, now

    async def CloseExpiredCourses(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.CloseExpiredCoursesRequest, context: Context
    ) -> pb.CloseExpiredCoursesResponse:
        """See academics.proto. Our own clock is the latest that counts. Safe to repeat."""
        own = self._now()
        now = min(parse_time(request.now, own), own) if request.HasField("now") else own
        closed_count, batch_count = 0, CLOSE_LIMIT
        while batch_count == CLOSE_LIMIT and (closed_count == 0 or has_time_left()):
            async with self._open_books(job_cause(own)) as books:
                batch_count = await close_expired(now, books=books)
            closed_count += batch_count
        return pb.CloseExpiredCoursesResponse(closed_count=closed_count)


def has_time_left() -> bool:
    """Return whether the call being served can wait for one more batch."""
    context = current()
    remaining_s = None if context is None else context.remaining_s()
    return remaining_s is None or remaining_s > BATCH_RESERVE_S


def job_cause(at: datetime) -> Cause:
    """Return the cause of what the closing job does."""
    context = current()
    return Cause(
        at=at,
        actor_type="job",
        request_id=context.request_id if context else None,
        traceparent=context.traceparent if context else None,
    )


def found(answer: T | None) -> T:
    """Raises: NotFoundError("course_unknown")."""
    if answer is None:
        raise NotFoundError("course_unknown")
    return answer


def parse_id(text: str, field: str) -> UUID:
    """Raises: InvalidInputError("malformed_field")."""
    try:
        return canonical_uuid(text)
    except ValueError as error:
        raise InvalidInputError("malformed_field", field, fields=[field]) from error


def parse_acting_school(text: str) -> UUID | None:
    """Return None when empty. Raises: InvalidInputError("malformed_field")."""
    return parse_id(text, "acting_school_id") if text else None


def parse_time(value: Timestamp, now: datetime) -> datetime:
    """Raises: InvalidInputError("malformed_field") for a time no honest caller has."""
    try:
        time = value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError("malformed_field", "time") from error
    if not EARLIEST <= time <= now + LATEST_AHEAD:
        raise InvalidInputError("malformed_field", "time")
    return time


def to_course(facts: CourseFacts) -> pb.Course:
    """Fill in the contract."""
    return pb.Course(
        id=str(facts.id),
        school_id=str(facts.school_id),
        name=facts.name,
        start_at=facts.start_at,
        end_at=facts.end_at,
        is_online=facts.is_online,
        signature_closing_delay_minutes=facts.effective_delay_minutes,
        signature_closed=facts.signature_closed_at is not None,
        version=facts.version,
        cancelled=facts.cancelled,
        signature_closed_at=facts.signature_closed_at,
        signing_open_until=facts.signing_open_until,
        closing_delay_is_override=facts.closing_delay_minutes is not None,
    )


def to_preferences(preferences: Preferences) -> pb.SchoolPreferences:
    """Fill in the contract."""
    return pb.SchoolPreferences(
        id=str(preferences.id),
        default_signature_closing_delay_minutes=preferences.default_signature_closing_delay_minutes,
        teacher_can_modify_closing_delay=preferences.teacher_can_modify_closing_delay,
        students_can_sign_before_teacher=preferences.students_can_sign_before_teacher,
        enable_flash=preferences.enable_flash,
        disable_course_modification_from_ui=preferences.disable_course_modification_from_ui,
        enable_nfc=preferences.enable_nfc,
        school_id=str(preferences.school_id),
        version=preferences.version,
        enable_qr=preferences.enable_qr,
        early_open_minutes=preferences.early_open_minutes,
        late_grace_minutes=preferences.late_grace_minutes,
    )
