import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyNfcCodeRequest(_message.Message):
    __slots__ = ("serial", "code", "at", "acting_school_id")
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    serial: str
    code: str
    at: _timestamp_pb2.Timestamp
    acting_school_id: str
    def __init__(self, serial: _Optional[str] = ..., code: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class VerifyNfcCodeResponse(_message.Message):
    __slots__ = ("is_valid", "beacon_id", "classroom_id", "step", "reason")
    IS_VALID_FIELD_NUMBER: _ClassVar[int]
    BEACON_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSROOM_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    is_valid: bool
    beacon_id: str
    classroom_id: str
    step: int
    reason: str
    def __init__(self, is_valid: _Optional[bool] = ..., beacon_id: _Optional[str] = ..., classroom_id: _Optional[str] = ..., step: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class BeaconLite(_message.Message):
    __slots__ = ("id", "school_id", "classroom_id", "serial")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSROOM_ID_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    school_id: str
    classroom_id: str
    serial: str
    def __init__(self, id: _Optional[str] = ..., school_id: _Optional[str] = ..., classroom_id: _Optional[str] = ..., serial: _Optional[str] = ...) -> None: ...

class ListBeaconsByClassroomRequest(_message.Message):
    __slots__ = ("classroom_id", "acting_school_id")
    CLASSROOM_ID_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    classroom_id: str
    acting_school_id: str
    def __init__(self, classroom_id: _Optional[str] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class ListBeaconsByClassroomResponse(_message.Message):
    __slots__ = ("beacons",)
    BEACONS_FIELD_NUMBER: _ClassVar[int]
    beacons: _containers.RepeatedCompositeFieldContainer[BeaconLite]
    def __init__(self, beacons: _Optional[_Iterable[_Union[BeaconLite, _Mapping]]] = ...) -> None: ...
