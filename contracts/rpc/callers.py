"""Which service may call which RPC. A test holds this table against the protos; what is not listed is refused."""

from typing import Literal

Peer = Literal["identity", "academics", "attendance", "beacon", "ops"]

OPS: frozenset[Peer] = frozenset(("ops",))
ATTENDANCE: frozenset[Peer] = OPS | {"attendance"}
EVERYBODY: frozenset[Peer] = OPS | {"identity", "academics", "attendance", "beacon"}

# The callers of each RPC, by full service name and method.
CALLERS: dict[str, dict[str, frozenset[Peer]]] = {
    "academics.api.v1.AcademicsQueryService": {
        "GetCourse": ATTENDANCE,
        "ValidateTeacherCourse": ATTENDANCE,
        "ValidateStudentCourse": ATTENDANCE,
        "ValidateClassroomCourse": ATTENDANCE,
        "GetSchoolPreferences": ATTENDANCE,
    },
    "academics.api.v1.AcademicsCommandService": {"CloseExpiredCourses": frozenset(("attendance",))},
    "attendance.api.v1.AttendanceCommandService": {
        "CreateSignatureAttempt": frozenset(("beacon",)),
        "CreateSignatureAttempts": frozenset(("beacon",)),
    },
    "identity.api.v1.IdentityQueryService": {
        "GetUserLite": OPS | {"academics", "attendance"},
        "Exists": OPS | {"academics", "attendance"},
        # A credential oracle: not for operators.
        "ValidateStudentDevice": frozenset(("attendance", "beacon")),
        "ValidateStudentDevices": frozenset(("attendance", "beacon")),
        "ListUsersLite": OPS | {"academics", "attendance"},
    },
    "beacon.api.v1.BeaconQueryService": {
        "VerifyNfcCode": frozenset(("attendance",)),
        "ListBeaconsByClassroom": OPS | {"academics"},
    },
    "streams.api.v1.EventLogService": {"Head": EVERYBODY, "ReadLog": EVERYBODY},
    "grpc.health.v1.Health": {"Check": EVERYBODY, "Watch": EVERYBODY},
}

# Every producer serves its log; who may read it depends on whose it is.
LOG_SERVICE = "streams.api.v1.EventLogService"
LOG_READERS: dict[str, frozenset[Peer]] = {
    "identity": EVERYBODY - {"identity"},
    "academics": OPS | {"attendance", "beacon"},
    "attendance": OPS,
    "beacon": OPS,
}

# Safe to repeat, so clients retry them when the callee is unavailable. Commands are never retried by a channel.
QUERIES = frozenset(
    (
        "academics.api.v1.AcademicsQueryService",
        "identity.api.v1.IdentityQueryService",
        "beacon.api.v1.BeaconQueryService",
        "streams.api.v1.EventLogService",
        "grpc.health.v1.Health",
    )
)
