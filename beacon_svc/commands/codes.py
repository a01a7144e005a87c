"""Giving a phone a number to blink."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from beacon_svc.domain.proofs import FlashCode
from beacon_svc.ports import FlashCodes
from contracts.ids import CourseId, DeviceId, SchoolId, StudentId, new_id
from contracts.problems import TooManyRequestsError, UnavailableError

MINUTE = timedelta(minutes=1)
# With 5,000 numbers of 2**27 in use, four draws in a row all fail once in 10**17.
MAX_DRAWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRules:
    """life: of a code. quarantine: from its end until its number is free again. most_per_minute: of one student."""

    life: timedelta
    quarantine: timedelta
    most_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequest:
    """A student who wants to sign for a course. school_id: the one the student acts in."""

    school_id: SchoolId
    student_id: StudentId
    device_id: DeviceId
    course_id: CourseId


async def issue_flash_code(
    request: CodeRequest, *, rules: CodeRules, codes: FlashCodes, draw: Callable[[], int], now: datetime
) -> FlashCode:
    """Return a fresh code; the one before ends its life now. draw: 27 random bits.

    Raises: TooManyRequestsError("rate_limited"), UnavailableError("overloaded").
    """
    await codes.lock_student(request.student_id)
    if await codes.count_since(request.student_id, now - MINUTE) >= rules.most_per_minute:
        raise TooManyRequestsError("rate_limited", retry_after_s=int(MINUTE.total_seconds()))
    await codes.supersede(request.student_id, at=now)
    for _ in range(MAX_DRAWS):
        code = FlashCode(
            id=new_id(),
            code=draw(),
            school_id=request.school_id,
            student_id=request.student_id,
            device_id=request.device_id,
            course_id=request.course_id,
            issued_at=now,
            expires_at=now + rules.life,
        )
        if await codes.add(code, free_at=code.expires_at + rules.quarantine):
            return code
    raise UnavailableError("overloaded")
