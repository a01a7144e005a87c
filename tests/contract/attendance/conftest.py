"""Academics, identity and beacon_svc as attendance sees them: over gRPC, and as the fakes have it."""

from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from uuid import uuid4

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attendance_svc.clients import GrpcCourseDirectory, GrpcNfcCodes, GrpcPhones
from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from contracts.rpc.academics.api.v1 import academics_pb2_grpc
from contracts.rpc.beacon.api.v1 import beacon_pb2, beacon_pb2_grpc
from contracts.rpc.identity.api.v1 import identity_pb2, identity_pb2_grpc
from infra.canon import to_spki
from tests.fakes.attendance import InMemoryDirectory, a_plan

ORIGIN = "https://rollcall.example"


@dataclass
class Academics(academics_pb2_grpc.AcademicsQueryServiceServicer):
    """Answers as academics.proto says, from one plan. speaks_seed: an academics of the seed, without what was added."""

    plan: object
    teachers: set = field(default_factory=set)
    strangers: set = field(default_factory=set)
    elsewhere: set = field(default_factory=set)
    speaks_seed: bool = False
    refuses: grpc.StatusCode | None = None
    asked: list = field(default_factory=list)

    async def _admit(self, request, context, course_id=None):
        self.asked.append(request)
        if self.refuses is not None:
            await context.abort(self.refuses, "peer_forbidden")
        course = self.plan.course
        foreign = request.acting_school_id not in ("", str(course.school_id))
        if foreign or course_id not in (None, str(course.id)):
            await context.abort(grpc.StatusCode.NOT_FOUND, "course_unknown")

    async def GetCourse(self, request, context):  # noqa: N802 -- as generated
        await self._admit(request, context, request.course_id)
        course = self.plan.course
        answer = pb.Course(
            id=str(course.id),
            school_id=str(course.school_id),
            start_at=course.start_at,
            end_at=course.end_at,
            is_online=course.is_online,
            signature_closing_delay_minutes=course.closing_delay // timedelta(minutes=1),
            signature_closed=course.is_closed,
        )
        if not self.speaks_seed:
            answer.version, answer.cancelled = course.version, course.is_cancelled
            if course.closed_at:
                answer.signature_closed_at.FromDatetime(course.closed_at)
            if course.open_until:
                answer.signing_open_until.FromDatetime(course.open_until)
        return pb.GetCourseResponse(course=answer)

    async def ValidateStudentCourse(self, request, context):  # noqa: N802
        await self._admit(request, context, request.course_id)
        known = request.student_id not in {str(each) for each in self.strangers}
        return pb.ValidateStudentCourseResponse(is_allowed=known)

    async def ValidateTeacherCourse(self, request, context):  # noqa: N802
        await self._admit(request, context, request.course_id)
        return pb.ValidateTeacherCourseResponse(is_assigned=request.teacher_id in {str(each) for each in self.teachers})

    async def ValidateClassroomCourse(self, request, context):  # noqa: N802
        await self._admit(request, context, request.course_id)
        is_linked = self.plan.is_room_linked and request.classroom_id not in {str(each) for each in self.elsewhere}
        return pb.ValidateClassroomCourseResponse(
            is_linked=is_linked, course_has_rooms=self.plan.has_rooms and not self.speaks_seed
        )

    async def GetSchoolPreferences(self, request, context):  # noqa: N802
        await self._admit(request, context)
        preferences = self.plan.preferences
        answer = pb.SchoolPreferences(
            id=str(uuid4()),
            students_can_sign_before_teacher=preferences.students_can_sign_before_teacher,
            enable_flash=preferences.enable_flash,
            enable_nfc=preferences.enable_nfc,
        )
        if not self.speaks_seed:
            answer.version, answer.enable_qr = preferences.version, preferences.enable_qr
            answer.early_open_minutes = preferences.early_open // timedelta(minutes=1)
            answer.late_grace_minutes = preferences.late_grace // timedelta(minutes=1)
        return pb.GetSchoolPreferencesResponse(preferences=answer)


class Identity(identity_pb2_grpc.IdentityQueryServiceServicer):
    """Answers as identity.proto says: who owns which device, and its key. asked: about how many, call by call."""

    def __init__(self):
        self.devices, self.asked = {}, []

    async def ValidateStudentDevices(self, request, context):  # noqa: N802
        self.asked.append(len(request.devices))
        return identity_pb2.ValidateStudentDevicesResponse(devices=map(self._validate, request.devices))

    def _validate(self, device):
        key = self.devices.get((device.student_id, device.device_identifier))
        if key is None:
            return identity_pb2.ValidateStudentDeviceResponse(is_valid=False)
        return identity_pb2.ValidateStudentDeviceResponse(
            is_valid=True, device_id=device.device_identifier, public_key=key
        )

    def bind(self, student_id, device_id, key: ec.EllipticCurvePublicKey):
        self.devices[(str(student_id), str(device_id))] = to_spki(key)


class Beacons(beacon_pb2_grpc.BeaconQueryServiceServicer):
    """Answers as beacon.proto says."""

    answer = beacon_pb2.VerifyNfcCodeResponse(is_valid=False, reason="nfc_code_invalid")
    # When a code is no longer shown.
    until = None

    def __init__(self):
        self.asked = []

    @property
    def request(self):
        return self.asked[-1]

    @property
    def asked_at(self):
        return [request.at.ToDatetime(tzinfo=UTC) for request in self.asked]

    async def VerifyNfcCode(self, request, context):  # noqa: N802
        self.asked.append(request)
        is_over = self.until is not None and request.at.ToDatetime(tzinfo=UTC) > self.until
        return beacon_pb2.VerifyNfcCodeResponse(is_valid=False) if is_over else self.answer


@dataclass
class Others:
    """The three other services behind one server, and attendance's ports to them."""

    server: object
    academics: Academics
    identity: Identity
    beacons: Beacons
    channel: object

    @property
    def directory(self):
        return GrpcCourseDirectory(self.channel)

    @property
    def codes(self):
        return GrpcNfcCodes(self.channel)

    def phones(self):
        return GrpcPhones(self.channel, origin=ORIGIN)


@pytest.fixture
async def others():
    server, identity, beacons = grpc.aio.server(), Identity(), Beacons()
    academics = Academics(a_plan())
    academics_pb2_grpc.add_AcademicsQueryServiceServicer_to_server(academics, server)
    identity_pb2_grpc.add_IdentityQueryServiceServicer_to_server(identity, server)
    beacon_pb2_grpc.add_BeaconQueryServiceServicer_to_server(beacons, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Others(server, academics, identity, beacons, channel)
    await server.stop(None)


@dataclass
class School:
    """A directory, real or fake, and how to change what it knows."""

    directory: object
    there: object
    stop: object

    @property
    def plan(self):
        return self.there.plan

    def know(self, **changes):
        course = replace(self.plan.course, **changes.pop("course", {}))
        self.there.plan = replace(self.plan, course=course, **changes)


@pytest.fixture(params=["fake", "grpc"])
def school(request):
    if request.param == "fake":
        fake = InMemoryDirectory(a_plan())

        async def stop():
            fake.is_down = True

        return School(directory=fake, there=fake, stop=stop)
    others = request.getfixturevalue("others")
    return School(directory=others.directory, there=others.academics, stop=lambda: others.server.stop(None))
