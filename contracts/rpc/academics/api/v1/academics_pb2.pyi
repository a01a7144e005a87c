import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Course(_message.Message):
    __slots__ = ("id", "school_id", "name", "start_at", "end_at", "is_online", "signature_closing_delay_minutes", "signature_closed", "version", "cancelled", "signature_closed_at", "signing_open_until", "closing_delay_is_override")
    ID_FIELD_NUMBER: _ClassVar[int]
    SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    END_AT_FIELD_NUMBER: _ClassVar[int]
    IS_ONLINE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_CLOSING_DELAY_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_CLOSED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    SIGNING_OPEN_UNTIL_FIELD_NUMBER: _ClassVar[int]
    CLOSING_DELAY_IS_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    id: str
    school_id: str
    name: str
    start_at: _timestamp_pb2.Timestamp
    end_at: _timestamp_pb2.Timestamp
    is_online: bool
    signature_closing_delay_minutes: int
    signature_closed: bool
    version: int
    cancelled: bool
    signature_closed_at: _timestamp_pb2.Timestamp
    signing_open_until: _timestamp_pb2.Timestamp
    closing_delay_is_override: bool
    def __init__(self, id: _Optional[str] = ..., school_id: _Optional[str] = ..., name: _Optional[str] = ..., start_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., is_online: _Optional[bool] = ..., signature_closing_delay_minutes: _Optional[int] = ..., signature_closed: _Optional[bool] = ..., version: _Optional[int] = ..., cancelled: _Optional[bool] = ..., signature_closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., signing_open_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closing_delay_is_override: _Optional[bool] = ...) -> None: ...

class GetCourseRequest(_message.Message):
    __slots__ = ("course_id", "at", "acting_school_id")
    COURSE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    course_id: str
    at: _timestamp_pb2.Timestamp
    acting_school_id: str
    def __init__(self, course_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class GetCourseResponse(_message.Message):
    __slots__ = ("course",)
    COURSE_FIELD_NUMBER: _ClassVar[int]
    course: Course
    def __init__(self, course: _Optional[_Union[Course, _Mapping]] = ...) -> None: ...

class ValidateTeacherCourseRequest(_message.Message):
    __slots__ = ("teacher_id", "course_id", "at", "acting_school_id")
    TEACHER_ID_FIELD_NUMBER: _ClassVar[int]
    COURSE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    teacher_id: str
    course_id: str
    at: _timestamp_pb2.Timestamp
    acting_school_id: str
    def __init__(self, teacher_id: _Optional[str] = ..., course_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class ValidateTeacherCourseResponse(_message.Message):
    __slots__ = ("is_assigned",)
    IS_ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    is_assigned: bool
    def __init__(self, is_assigned: _Optional[bool] = ...) -> None: ...

class ValidateStudentCourseRequest(_message.Message):
    __slots__ = ("student_id", "course_id", "at", "acting_school_id")
    STUDENT_ID_FIELD_NUMBER: _ClassVar[int]
    COURSE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    student_id: str
    course_id: str
    at: _timestamp_pb2.Timestamp
    acting_school_id: str
    def __init__(self, student_id: _Optional[str] = ..., course_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class ValidateStudentCourseResponse(_message.Message):
    __slots__ = ("is_allowed", "matched_group_ids")
    IS_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    MATCHED_GROUP_IDS_FIELD_NUMBER: _ClassVar[int]
    is_allowed: bool
    matched_group_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, is_allowed: _Optional[bool] = ..., matched_group_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ValidateClassroomCourseRequest(_message.Message):
    __slots__ = ("classroom_id", "course_id", "at", "acting_school_id")
    CLASSROOM_ID_FIELD_NUMBER: _ClassVar[int]
    COURSE_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    classroom_id: str
    course_id: str
    at: _timestamp_pb2.Timestamp
    acting_school_id: str
    def __init__(self, classroom_id: _Optional[str] = ..., course_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class ValidateClassroomCourseResponse(_message.Message):
    __slots__ = ("is_linked", "course_has_rooms")
    IS_LINKED_FIELD_NUMBER: _ClassVar[int]
    COURSE_HAS_ROOMS_FIELD_NUMBER: _ClassVar[int]
    is_linked: bool
    course_has_rooms: bool
    def __init__(self, is_linked: _Optional[bool] = ..., course_has_rooms: _Optional[bool] = ...) -> None: ...

class SchoolPreferences(_message.Message):
    __slots__ = ("id", "default_signature_closing_delay_minutes", "teacher_can_modify_closing_delay", "students_can_sign_before_teacher", "enable_flash", "disable_course_modification_from_ui", "enable_nfc", "school_id", "version", "enable_qr", "early_open_minutes", "late_grace_minutes")
    ID_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SIGNATURE_CLOSING_DELAY_MINUTES_FIELD_NUMBER: _ClassVar[int]
    TEACHER_CAN_MODIFY_CLOSING_DELAY_FIELD_NUMBER: _ClassVar[int]
    STUDENTS_CAN_SIGN_BEFORE_TEACHER_FIELD_NUMBER: _ClassVar[int]
    ENABLE_FLASH_FIELD_NUMBER: _ClassVar[int]
    DISABLE_COURSE_MODIFICATION_FROM_UI_FIELD_NUMBER: _ClassVar[int]
    ENABLE_NFC_FIELD_NUMBER: _ClassVar[int]
    SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENABLE_QR_FIELD_NUMBER: _ClassVar[int]
    EARLY_OPEN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    LATE_GRACE_MINUTES_FIELD_NUMBER: _ClassVar[int]
    id: str
    default_signature_closing_delay_minutes: int
    teacher_can_modify_closing_delay: bool
    students_can_sign_before_teacher: bool
    enable_flash: bool
    disable_course_modification_from_ui: bool
    enable_nfc: bool
    school_id: str
    version: int
    enable_qr: bool
    early_open_minutes: int
    late_grace_minutes: int
    def __init__(self, id: _Optional[str] = ..., default_signature_closing_delay_minutes: _Optional[int] = ..., teacher_can_modify_closing_delay: _Optional[bool] = ..., students_can_sign_before_teacher: _Optional[bool] = ..., enable_flash: _Optional[bool] = ..., disable_course_modification_from_ui: _Optional[bool] = ..., enable_nfc: _Optional[bool] = ..., school_id: _Optional[str] = ..., version: _Optional[int] = ..., enable_qr: _Optional[bool] = ..., early_open_minutes: _Optional[int] = ..., late_grace_minutes: _Optional[int] = ...) -> None: ...

class GetSchoolPreferencesRequest(_message.Message):
    __slots__ = ("school_id", "at", "acting_school_id")
    SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTING_SCHOOL_ID_FIELD_NUMBER: _ClassVar[int]
    school_id: str
    at: _timestamp_pb2.Timestamp
    acting_school_id: str
    def __init__(self, school_id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., acting_school_id: _Optional[str] = ...) -> None: ...

class GetSchoolPreferencesResponse(_message.Message):
    __slots__ = ("preferences",)
    PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    preferences: SchoolPreferences
    def __init__(self, preferences: _Optional[_Union[SchoolPreferences, _Mapping]] = ...) -> None: ...

class CloseExpiredCoursesRequest(_message.Message):
    __slots__ = ("now",)
    NOW_FIELD_NUMBER: _ClassVar[int]
    now: _timestamp_pb2.Timestamp
    def __init__(self, now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CloseExpiredCoursesResponse(_message.Message):
    __slots__ = ("closed_count",)
    CLOSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    closed_count: int
    def __init__(self, closed_count: _Optional[int] = ...) -> None: ...
