import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_OUTCOME_UNSPECIFIED: _ClassVar[LogOutcome]
    LOG_OUTCOME_OK: _ClassVar[LogOutcome]
    LOG_OUTCOME_REINCARNATED: _ClassVar[LogOutcome]
    LOG_OUTCOME_FORKED: _ClassVar[LogOutcome]
    LOG_OUTCOME_TRUNCATED: _ClassVar[LogOutcome]
LOG_OUTCOME_UNSPECIFIED: LogOutcome
LOG_OUTCOME_OK: LogOutcome
LOG_OUTCOME_REINCARNATED: LogOutcome
LOG_OUTCOME_FORKED: LogOutcome
LOG_OUTCOME_TRUNCATED: LogOutcome

class Place(_message.Message):
    __slots__ = ("incarnation", "pos", "ms", "hash")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    POS_FIELD_NUMBER: _ClassVar[int]
    MS_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    incarnation: str
    pos: int
    ms: int
    hash: bytes
    def __init__(self, incarnation: _Optional[str] = ..., pos: _Optional[int] = ..., ms: _Optional[int] = ..., hash: _Optional[bytes] = ...) -> None: ...

class Closed(_message.Message):
    __slots__ = ("pos", "t")
    POS_FIELD_NUMBER: _ClassVar[int]
    T_FIELD_NUMBER: _ClassVar[int]
    pos: int
    t: _timestamp_pb2.Timestamp
    def __init__(self, pos: _Optional[int] = ..., t: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LogHead(_message.Message):
    __slots__ = ("base", "last", "closed", "server_time")
    BASE_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    base: Place
    last: Place
    closed: Closed
    server_time: _timestamp_pb2.Timestamp
    def __init__(self, base: _Optional[_Union[Place, _Mapping]] = ..., last: _Optional[_Union[Place, _Mapping]] = ..., closed: _Optional[_Union[Closed, _Mapping]] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("pos", "ms", "body", "salt", "commit", "prev_hash", "hash")
    POS_FIELD_NUMBER: _ClassVar[int]
    MS_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    pos: int
    ms: int
    body: bytes
    salt: bytes
    commit: bytes
    prev_hash: bytes
    hash: bytes
    def __init__(self, pos: _Optional[int] = ..., ms: _Optional[int] = ..., body: _Optional[bytes] = ..., salt: _Optional[bytes] = ..., commit: _Optional[bytes] = ..., prev_hash: _Optional[bytes] = ..., hash: _Optional[bytes] = ...) -> None: ...

class HeadRequest(_message.Message):
    __slots__ = ("shard",)
    SHARD_FIELD_NUMBER: _ClassVar[int]
    shard: int
    def __init__(self, shard: _Optional[int] = ...) -> None: ...

class HeadResponse(_message.Message):
    __slots__ = ("head",)
    HEAD_FIELD_NUMBER: _ClassVar[int]
    head: LogHead
    def __init__(self, head: _Optional[_Union[LogHead, _Mapping]] = ...) -> None: ...

class ReadLogRequest(_message.Message):
    __slots__ = ("shard", "after", "after_ms", "upto", "limit")
    SHARD_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    shard: int
    after: Place
    after_ms: int
    upto: int
    limit: int
    def __init__(self, shard: _Optional[int] = ..., after: _Optional[_Union[Place, _Mapping]] = ..., after_ms: _Optional[int] = ..., upto: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ReadLogResponse(_message.Message):
    __slots__ = ("outcome", "head", "entries")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    outcome: LogOutcome
    head: LogHead
    entries: _containers.RepeatedCompositeFieldContainer[LogEntry]
    def __init__(self, outcome: _Optional[_Union[LogOutcome, str]] = ..., head: _Optional[_Union[LogHead, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[LogEntry, _Mapping]]] = ...) -> None: ...
