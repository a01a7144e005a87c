"""A client generated from the seed's protos alone: calls every RPC and prints what it heard. Knows nothing of ours.

Run with the folder of the generated code on the path; reads addresses, certificates and ids as JSON from stdin.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import academics_pb2 as academics
import academics_pb2_grpc as academics_rpc
import attendance_pb2 as attendance
import attendance_pb2_grpc as attendance_rpc
import grpc
import identity_pb2 as identity
import identity_pb2_grpc as identity_rpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

GIVEN = json.load(sys.stdin)
FOLDER = Path(GIVEN["certificates"])


def connect(callee, caller):
    """Return a channel to `callee`, with the certificate of `caller`."""
    pem = [(FOLDER / name).read_bytes() for name in ("ca.pem", f"{caller}-key.pem", f"{caller}.pem")]
    options = [("grpc.ssl_target_name_override", callee)]
    return grpc.secure_channel(GIVEN["addresses"][callee], grpc.ssl_channel_credentials(*pem), options)


def now():
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC))  # noqa: TID251 -- a client of its own, far from our Clock
    return stamp


def heard(call, request):
    answer = MessageToDict(call(request, timeout=5), preserving_proto_field_name=True)
    return {call._method.decode().rpartition("/")[2]: answer}


def main():
    course, student, teacher = GIVEN["course_id"], GIVEN["student_id"], GIVEN["teacher_id"]
    said = {}
    with connect("academics", "attendance") as channel:
        query = academics_rpc.AcademicsQueryServiceStub(channel)
        command = academics_rpc.AcademicsCommandServiceStub(channel)
        said |= heard(query.GetCourse, academics.GetCourseRequest(course_id=course))
        request = academics.ValidateTeacherCourseRequest(teacher_id=teacher, course_id=course)
        said |= heard(query.ValidateTeacherCourse, request)
        request = academics.ValidateStudentCourseRequest(student_id=student, course_id=course)
        said |= heard(query.ValidateStudentCourse, request)
        request = academics.ValidateClassroomCourseRequest(classroom_id=GIVEN["classroom_id"], course_id=course)
        said |= heard(query.ValidateClassroomCourse, request)
        request = academics.GetSchoolPreferencesRequest(school_id=GIVEN["school_id"])
        said |= heard(query.GetSchoolPreferences, request)
        said |= heard(command.CloseExpiredCourses, academics.CloseExpiredCoursesRequest(now=now()))
    with connect("attendance", "beacon") as channel:
        stub = attendance_rpc.AttendanceCommandServiceStub(channel)
        proof = attendance.BeaconProof(
            beacon_id=GIVEN["beacon_id"],
            classroom_id=GIVEN["classroom_id"],
            proof_type="buzzLightyear",
            proof_payload=b"opaque",
            proof_time=now(),
        )
        attempt = attendance.CreateSignatureAttemptRequest(
            course_id=course,
            student_id=student,
            method=attendance.SIGNATURE_METHOD_FLASHLIGHT,
            beacon_proof=proof,
            received_at=now(),
        )
        said |= heard(stub.CreateSignatureAttempt, attempt)
    with connect("identity", "attendance") as channel:
        stub = identity_rpc.IdentityQueryServiceStub(channel)
        said |= heard(stub.GetUserLite, identity.GetUserLiteRequest(user_id=student))
        said |= heard(stub.Exists, identity.ExistsRequest(user_id=student))
        request = identity.ValidateStudentDeviceRequest(student_id=student, device_identifier=GIVEN["device_id"])
        said |= heard(stub.ValidateStudentDevice, request)
    print(json.dumps(said))  # noqa: T201 -- the test reads it


main()
