"""gRPC side of the ports: academics, identity and beacon_svc."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from attendance_svc.domain.attempts import Attempt, Course, DeviceRequest, PlanFacts, Preferences
from attendance_svc.ports import NfcReading, OwnPhone
from contracts.ids import BeaconId, ClassroomId, CourseId, DeviceId, SchoolId, StudentId, TeacherId, canonical_uuid
from contracts.problems import DeadlineError, NotFoundError, ProblemError, UnavailableError
from contracts.rpc.academics.api.v1 import academics_pb2 as academics
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as academics_rpc
from contracts.rpc.beacon.api.v1 import beacon_pb2 as beacon
from contracts.rpc.beacon.api.v1 import beacon_pb2_grpc as beacon_rpc
from contracts.values import value
from infra.coalescer import Coalescer
from infra.device_requests import check, read_signed_request
from infra.grpc_client import Peer
from infra.student_devices import GrpcStudentDevices

Response = TypeVar("Response")

CLOSE_TIMEOUT_S = 5.0
# More than there are beacons at which people sign within a code's life.
MOST_CODES = 1_000


class _Source:
    """Asks one service. What it refuses, except that something is not there, is our fault or its: an outage."""

    def __init__(self, callee: str) -> None:
        self._peer = Peer(callee)

    async def ask(self, call: Callable[..., Awaitable[Response]], request: Message) -> Response:
        try:
            return await self._peer.ask(call, request)
        except (NotFoundError, UnavailableError, DeadlineError):
            raise
        except ProblemError as error:
            raise UnavailableError(f"{self._peer.callee}_down", error.code) from error

    async def ask_or(self, fallback: Response, call: Callable[..., Awaitable[Response]], request: Message) -> Response:
        """Return `fallback` when the callee knows no such thing."""
        try:
            return await self.ask(call, request)
        except NotFoundError:
            return fallback


class GrpcCourseDirectory:
    """Satisfies ports.CourseDirectory with academics' five queries, asked as of the same moment."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._academics = _Source("academics")
        self._stub = academics_rpc.AcademicsQueryServiceStub(channel)

    async def get_plan(self, attempt: Attempt) -> PlanFacts:
        school = str(attempt.school_id) if attempt.school_id else ""
        course, student, room, preferences = await asyncio.gather(
            self._get_course(attempt.course_id, school, attempt.t),
            self._validate_student(attempt.student_id, attempt.course_id, school, attempt.t),
            self._validate_room(attempt.classroom_id, attempt.course_id, school, attempt.t),
            self._get_preferences(attempt.school_id, attempt.t),
        )
        if course is None:
            return PlanFacts(course=None)
        if attempt.school_id is None:
            preferences = await self._get_preferences(course.school_id, attempt.t)
        if preferences is None:
            raise UnavailableError("academics_down", "a school without preferences")
        return PlanFacts(
            course=course,
            preferences=preferences,
            is_enrolled=student,
            has_rooms=room.course_has_rooms or room.is_linked,
            is_room_linked=room.is_linked,
        )

    async def find_course(self, course_id: CourseId, *, school_id: SchoolId | None, at: datetime) -> Course | None:
        return await self._get_course(course_id, str(school_id) if school_id else "", at)

    async def is_teacher(self, teacher_id: TeacherId, course: Course, *, at: datetime) -> bool:
        request = academics.ValidateTeacherCourseRequest(
            teacher_id=str(teacher_id), course_id=str(course.id), at=at, acting_school_id=str(course.school_id)
        )
        nobody = academics.ValidateTeacherCourseResponse()
        answer = await self._academics.ask_or(nobody, self._stub.ValidateTeacherCourse, request)
        return answer.is_assigned

    async def is_student(self, student_id: StudentId, course: Course, *, at: datetime) -> bool:
        return await self._validate_student(student_id, course.id, str(course.school_id), at)

    async def is_room(self, classroom_id: ClassroomId, course: Course, *, at: datetime) -> bool:
        return (await self._validate_room(classroom_id, course.id, str(course.school_id), at)).is_linked

    async def _get_course(self, course_id: CourseId | None, school: str, at: datetime) -> Course | None:
        request = academics.GetCourseRequest(course_id=str(course_id), at=at, acting_school_id=school)
        answer = await self._academics.ask_or(None, self._stub.GetCourse, request)
        return None if answer is None else to_course(answer.course)

    async def _validate_student(
        self, student_id: StudentId, course_id: CourseId | None, school: str, at: datetime
    ) -> bool:
        request = academics.ValidateStudentCourseRequest(
            student_id=str(student_id), course_id=str(course_id), at=at, acting_school_id=school
        )
        nobody = academics.ValidateStudentCourseResponse()
        return (await self._academics.ask_or(nobody, self._stub.ValidateStudentCourse, request)).is_allowed

    async def _validate_room(
        self, classroom_id: ClassroomId | None, course_id: CourseId | None, school: str, at: datetime
    ) -> academics.ValidateClassroomCourseResponse:
        nowhere = academics.ValidateClassroomCourseResponse()
        if classroom_id is None:
            return nowhere
        request = academics.ValidateClassroomCourseRequest(
            classroom_id=str(classroom_id), course_id=str(course_id), at=at, acting_school_id=school
        )
        # A room that academics does not know is linked to nothing.
        elsewhere = academics.ValidateClassroomCourseResponse(course_has_rooms=True)
        return await self._academics.ask_or(elsewhere, self._stub.ValidateClassroomCourse, request)

    async def _get_preferences(self, school_id: SchoolId | None, at: datetime) -> Preferences | None:
        if school_id is None:
            return None
        request = academics.GetSchoolPreferencesRequest(
            school_id=str(school_id), at=at, acting_school_id=str(school_id)
        )
        answer = await self._academics.ask_or(None, self._stub.GetSchoolPreferences, request)
        return None if answer is None else to_preferences(answer.preferences)


def to_course(course: academics.Course) -> Course:
    """Read academics' answer. Raises: UnavailableError when it is none of ours."""
    try:
        course_id, school_id = CourseId(canonical_uuid(course.id)), SchoolId(canonical_uuid(course.school_id))
    except ValueError as error:
        raise UnavailableError("academics_down", "malformed answer") from error
    return Course(
        id=course_id,
        school_id=school_id,
        version=course.version,
        start_at=course.start_at.ToDatetime(tzinfo=UTC),
        end_at=course.end_at.ToDatetime(tzinfo=UTC),
        closing_delay=timedelta(minutes=course.signature_closing_delay_minutes),
        is_online=course.is_online,
        is_cancelled=course.cancelled,
        is_closed=course.signature_closed,
        closed_at=course.signature_closed_at.ToDatetime(tzinfo=UTC) if course.HasField("signature_closed_at") else None,
        open_until=course.signing_open_until.ToDatetime(tzinfo=UTC) if course.HasField("signing_open_until") else None,
    )


def to_preferences(preferences: academics.SchoolPreferences) -> Preferences:
    """Read academics' answer; an academics of the seed knows no QR, which is then enabled."""
    return Preferences(
        version=preferences.version,
        students_can_sign_before_teacher=preferences.students_can_sign_before_teacher,
        enable_flash=preferences.enable_flash,
        enable_nfc=preferences.enable_nfc,
        enable_qr=preferences.enable_qr if preferences.HasField("enable_qr") else True,
        early_open=timedelta(minutes=preferences.early_open_minutes),
        late_grace=timedelta(minutes=preferences.late_grace_minutes),
    )


class GrpcPhones:
    """Satisfies ports.Phones: identity knows the devices. origin: the address that phones sign for.

    known: what is remembered of phones.
    """

    def __init__(self, channel: grpc.aio.Channel, *, origin: str) -> None:
        self._devices, self._origin = GrpcStudentDevices(channel), origin
        self.known = self._devices.known

    async def check(self, request: DeviceRequest, student_id: StudentId, *, at: datetime) -> OwnPhone | None:
        signed = read_signed_request(dict(request.headers), method=request.method, path=request.path, body=request.body)
        key = await self._devices.find_key(student_id, signed.device_id, kid=signed.kid)
        if key is None:
            return None
        check(signed, key, origin=self._origin, person_id=student_id, now=at)
        return OwnPhone(device_id=DeviceId(signed.device_id), nonce=signed.nonce)


# What a code says, None when no beacon showed it, or why nobody can tell.
_Reading = NfcReading | BaseException | None


@value
class _Shown:
    """A code that somebody says a beacon showed."""

    serial: str
    code: str
    school_id: SchoolId | None


class GrpcNfcCodes:
    """Satisfies ports.NfcCodes: beacon_svc holds the beacons' secrets.

    A room that signs at once shows the same code again and again; it is asked about for all of them together.
    A code is shown without a break: what it said at two moments it said between them.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._beacon = _Source("beacon")
        self._stub = beacon_rpc.BeaconQueryServiceStub(channel)
        # What true codes said when they were asked about last.
        self._said: OrderedDict[_Shown, tuple[datetime, _Reading]] = OrderedDict()
        self._asking: Coalescer[tuple[_Shown, datetime], NfcReading | None] = Coalescer(self._read_all)

    async def read(self, serial: str, code: str, *, at: datetime, school_id: SchoolId | None) -> NfcReading | None:
        return await self._asking.submit((_Shown(serial=serial, code=code, school_id=school_id), at))

    async def _read_all(self, wanted: Sequence[tuple[_Shown, datetime]]) -> Sequence[_Reading]:
        moments: defaultdict[_Shown, set[datetime]] = defaultdict(set)
        for shown, at in wanted:
            moments[shown].add(at)
        read = dict(zip(moments, await asyncio.gather(*starmap(self._read_at, moments.items())), strict=True))
        return [read[shown][at] for shown, at in wanted]

    async def _read_at(self, shown: _Shown, moments: Collection[datetime]) -> Mapping[datetime, _Reading]:
        first, last = min(moments), max(moments)
        read = {last: await self._read(shown, last)}
        reading = read[last]
        if isinstance(reading, BaseException):  # an outage is everybody's
            return dict.fromkeys(moments, reading)
        since, before = self._said.get(shown, (last, reading))
        if since > first:
            read[first] = before = await self._read(shown, first)
        if reading is not None:
            self._remember(shown, last, reading)
            if reading == before:
                return dict.fromkeys(moments, reading)
        return read | {at: await self._read(shown, at) for at in moments if at not in read}

    def _remember(self, shown: _Shown, at: datetime, reading: NfcReading) -> None:
        self._said[shown] = at, reading
        self._said.move_to_end(shown)
        if len(self._said) > MOST_CODES:
            self._said.popitem(last=False)

    async def _read(self, shown: _Shown, at: datetime) -> _Reading:
        school = str(shown.school_id) if shown.school_id else ""
        request = beacon.VerifyNfcCodeRequest(serial=shown.serial, code=shown.code, at=at, acting_school_id=school)
        unknown = beacon.VerifyNfcCodeResponse()
        try:
            answer = await self._beacon.ask_or(unknown, self._stub.VerifyNfcCode, request)
            return reading_of(answer) if answer.is_valid else None
        except ProblemError as error:
            return error


def reading_of(answer: beacon.VerifyNfcCodeResponse) -> NfcReading:
    """Read beacon_svc's answer about a true code. Raises: UnavailableError when it is none of ours."""
    try:
        return NfcReading(
            beacon_id=BeaconId(canonical_uuid(answer.beacon_id)),
            classroom_id=ClassroomId(canonical_uuid(answer.classroom_id)) if answer.classroom_id else None,
            step=answer.step,
        )
    except ValueError as error:
        raise UnavailableError("beacon_down", "malformed answer") from error


class GrpcCourseCloser:
    """Satisfies jobs.CourseCloser. Academics works through all that is due before it answers, so it gets more time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._peer = Peer("academics")
        self._stub = academics_rpc.AcademicsCommandServiceStub(channel)

    async def close_expired(self, now: datetime) -> int:
        request = academics.CloseExpiredCoursesRequest(now=now)
        answer = await self._peer.ask(self._stub.CloseExpiredCourses, request, timeout_s=CLOSE_TIMEOUT_S)
        return answer.closed_count
