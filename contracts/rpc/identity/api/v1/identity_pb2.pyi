from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UserLite(_message.Message):
    __slots__ = ("id", "school_id", "email", "firstname", "lastname", "user_type", "disabled")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    FIRSTNAME_FIELD_NUMBER: _ClassVar[int]
    LASTNAME_FIELD_NUMBER: _ClassVar[int]
    USER_TYPE_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    school_id: str
    email: str
    firstname: str
    lastname: str
    user_type: str
    disabled: bool
    def __init__(self, id: _Optional[str] = ..., school_id: _Optional[str] = ..., email: _Optional[str] = ..., firstname: _Optional[str] = ..., lastname: _Optional[str] = ..., user_type: _Optional[str] = ..., disabled: _Optional[bool] = ...) -> None: ...

class GetUserLiteRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class GetUserLiteResponse(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: UserLite
    def __init__(self, user: _Optional[_Union[UserLite, _Mapping]] = ...) -> None: ...

class ExistsRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class ExistsResponse(_message.Message):
    __slots__ = ("exists",)
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    exists: bool
    def __init__(self, exists: _Optional[bool] = ...) -> None: ...

class ValidateStudentDeviceRequest(_message.Message):
    __slots__ = ("student_id", "device_identifier")
    STUDENT_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    student_id: str
    device_identifier: str
    def __init__(self, student_id: _Optional[str] = ..., device_identifier: _Optional[str] = ...) -> None: ...

class ValidateStudentDeviceResponse(_message.Message):
    __slots__ = ("is_valid", "device_id", "public_key")
    IS_VALID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    is_valid: bool
    device_id: str
    public_key: bytes
    def __init__(self, is_valid: _Optional[bool] = ..., device_id: _Optional[str] = ..., public_key: _Optional[bytes] = ...) -> None: ...

class ValidateStudentDevicesRequest(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[ValidateStudentDeviceRequest]
    def __init__(self, devices: _Optional[_Iterable[_Union[ValidateStudentDeviceRequest, _Mapping]]] = ...) -> None: ...

class ValidateStudentDevicesResponse(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[ValidateStudentDeviceResponse]
    def __init__(self, devices: _Optional[_Iterable[_Union[ValidateStudentDeviceResponse, _Mapping]]] = ...) -> None: ...

class ListUsersLiteRequest(_message.Message):
    __slots__ = ("user_ids", "acting_school_id")
    USER_IDS_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    user_ids: _containers.RepeatedScalarFieldContainer[str]
    acting_school_id: str
    def __init__(self, user_ids: _Optional[_Iterable[str]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class ListUsersLiteResponse(_message.Message):
    __slots__ = ("users",)
    USERS_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[UserLite]
    def __init__(self, users: _Optional[_Iterable[_Union[UserLite, _Mapping]]] = ...) -> None: ...
