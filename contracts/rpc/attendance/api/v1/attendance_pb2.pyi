import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignatureMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNATURE_METHOD_UNSPECIFIED: _ClassVar[SignatureMethod]
    SIGNATURE_METHOD_QR: _ClassVar[SignatureMethod]
    SIGNATURE_METHOD_NFC: _ClassVar[SignatureMethod]
    SIGNATURE_METHOD_FLASHLIGHT: _ClassVar[SignatureMethod]
    SIGNATURE_METHOD_BEACON: _ClassVar[SignatureMethod]
    SIGNATURE_METHOD_TEACHER: _ClassVar[SignatureMethod]
    SIGNATURE_METHOD_ADMIN: _ClassVar[SignatureMethod]

class SignatureStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIGNATURE_STATUS_UNSPECIFIED: _ClassVar[SignatureStatus]
    SIGNATURE_STATUS_PENDING: _ClassVar[SignatureStatus]
    SIGNATURE_STATUS_ACCEPTED: _ClassVar[SignatureStatus]
    SIGNATURE_STATUS_REFUSED: _ClassVar[SignatureStatus]
    SIGNATURE_STATUS_LATE: _ClassVar[SignatureStatus]
SIGNATURE_METHOD_UNSPECIFIED: SignatureMethod
SIGNATURE_METHOD_QR: SignatureMethod
SIGNATURE_METHOD_NFC: SignatureMethod
SIGNATURE_METHOD_FLASHLIGHT: SignatureMethod
SIGNATURE_METHOD_BEACON: SignatureMethod
SIGNATURE_METHOD_TEACHER: SignatureMethod
SIGNATURE_METHOD_ADMIN: SignatureMethod
SIGNATURE_STATUS_UNSPECIFIED: SignatureStatus
SIGNATURE_STATUS_PENDING: SignatureStatus
SIGNATURE_STATUS_ACCEPTED: SignatureStatus
SIGNATURE_STATUS_REFUSED: SignatureStatus
SIGNATURE_STATUS_LATE: SignatureStatus

class BeaconProof(_message.Message):
    __slots__ = ("beacon_id", "classroom_id", "proof_type", "proof_payload", "proof_time", "uncertainty_ms", "flags")
    BEACON_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSROOM_ID_FIELD_NUMBER: _ClassVar[int]
    PROOF_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROOF_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PROOF_TIME_FIELD_NUMBER: _ClassVar[int]
    UNCERTAINTY_MS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    beacon_id: str
    classroom_id: str
    proof_type: str
    proof_payload: bytes
    proof_time: _timestamp_pb2.Timestamp
    uncertainty_ms: int
    flags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, beacon_id: _Optional[str] = ..., classroom_id: _Optional[str] = ..., proof_type: _Optional[str] = ..., proof_payload: _Optional[bytes] = ..., proof_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., uncertainty_ms: _Optional[int] = ..., flags: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateSignatureAttemptRequest(_message.Message):
    __slots__ = ("course_id", "student_id", "method", "teacher_id", "administrator_id", "beacon_proof", "received_at", "idempotency_key", "acting_school_id", "device_verified")
    COURSE_ID_FIELD_NUMBER: _ClassVar[int]
    STUDENT_ID_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TEACHER_ID_FIELD_NUMBER: _ClassVar[int]
    ADMINISTRATOR_ID_FIELD_NUMBER: _ClassVar[int]
    BEACON_PROOF_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    course_id: str
    student_id: str
    method: SignatureMethod
    teacher_id: str
    administrator_id: str
    beacon_proof: BeaconProof
    received_at: _timestamp_pb2.Timestamp
    idempotency_key: str
    acting_school_id: str
    device_verified: bool
    def __init__(self, course_id: _Optional[str] = ..., student_id: _Optional[str] = ..., method: _Optional[_Union[SignatureMethod, str]] = ..., teacher_id: _Optional[str] = ..., administrator_id: _Optional[str] = ..., beacon_proof: _Optional[_Union[BeaconProof, _Mapping]] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., acting_school_id: _Optional[str] = ..., device_verified: _Optional[bool] = ...) -> None: ...

class CreateSignatureAttemptResponse(_message.Message):
    __slots__ = ("signature_id", "status", "message", "reason", "rule_version")
    SIGNATURE_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RULE_VERSION_FIELD_NUMBER: _ClassVar[int]
    signature_id: str
    status: SignatureStatus
    message: str
    reason: str
    rule_version: int
    def __init__(self, signature_id: _Optional[str] = ..., status: _Optional[_Union[SignatureStatus, str]] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., rule_version: _Optional[int] = ...) -> None: ...

class CreateSignatureAttemptsRequest(_message.Message):
    __slots__ = ("attempts",)
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[CreateSignatureAttemptRequest]
    def __init__(self, attempts: _Optional[_Iterable[_Union[CreateSignatureAttemptRequest, _Mapping]]] = ...) -> None: ...

class AttemptProblem(_message.Message):
    __slots__ = ("grpc_status", "code")
    GRPC_STATUS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    grpc_status: int
    code: str
    def __init__(self, grpc_status: _Optional[int] = ..., code: _Optional[str] = ...) -> None: ...

class AttemptResult(_message.Message):
    __slots__ = ("response", "problem")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    response: CreateSignatureAttemptResponse
    problem: AttemptProblem
    def __init__(self, response: _Optional[_Union[CreateSignatureAttemptResponse, _Mapping]] = ..., problem: _Optional[_Union[AttemptProblem, _Mapping]] = ...) -> None: ...

class CreateSignatureAttemptsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[AttemptResult]
    def __init__(self, results: _Optional[_Iterable[_Union[AttemptResult, _Mapping]]] = ...) -> None: ...
