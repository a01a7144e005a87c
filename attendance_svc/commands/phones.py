"""What every signature by a student's own phone begins with: whose phone it is, and that nobody guesses."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from attendance_svc.domain.attempts import DeviceRequest
from attendance_svc.ports import Nonces, OwnPhone, Phones
from contracts.ids import StudentId
from contracts.problems import ConflictError, TooManyRequestsError, UnavailableError

WRONG_CODES = 5
WRONG_CODES_WITHIN = timedelta(minutes=1)
STUDENTS_REMEMBERED = 10_000


@dataclass
class WrongCodes:
    """How often a student's code was wrong of late, as far as this process saw: guessing gets nowhere."""

    _seen: OrderedDict[UUID, list[datetime]] = field(default_factory=OrderedDict)

    def check(self, student_id: UUID, now: datetime) -> None:
        """Raises: TooManyRequestsError("rate_limited") after five wrong codes within a minute."""
        if len(self._recent(student_id, now)) >= WRONG_CODES:
            raise TooManyRequestsError("rate_limited", retry_after_s=int(WRONG_CODES_WITHIN.total_seconds()))

    def note(self, student_id: UUID, now: datetime) -> None:
        """Count one wrong code."""
        self._seen[student_id] = [*self._recent(student_id, now), now]
        self._seen.move_to_end(student_id)
        if len(self._seen) > STUDENTS_REMEMBERED:
            self._seen.popitem(last=False)

    def _recent(self, student_id: UUID, now: datetime) -> list[datetime]:
        return [each for each in self._seen.get(student_id, []) if now - each < WRONG_CODES_WITHIN]


async def find_phone(
    request: DeviceRequest, student_id: StudentId, *, phones: Phones, nonces: Nonces, now: datetime
) -> OwnPhone | None:
    """Return the student's own phone that signed a request, whose nonce is used up now; None: somebody else's phone.

    Raises: as Phones.check, ConflictError("replay").
    """
    phone = await phones.check(request, student_id, at=now)
    await _use_up(phone, nonces, now)
    return phone


async def try_find_phone(
    request: DeviceRequest, student_id: StudentId, *, phones: Phones, nonces: Nonces, now: datetime
) -> tuple[bool, OwnPhone | None]:
    """Return whether identity could say whose phone signed, and the phone if it is the student's own.

    Raises: as find_phone, but for an outage of identity.
    """
    try:
        phone = await phones.check(request, student_id, at=now)
    except UnavailableError:
        return False, None
    await _use_up(phone, nonces, now)
    return True, phone


async def _use_up(phone: OwnPhone | None, nonces: Nonces, now: datetime) -> None:
    # Only now: strangers must not fill the table. A foreign device's nonces are nobody's.
    if phone is not None and not await nonces.keep(phone, now=now):
        raise ConflictError("replay")


def fields_of(request: DeviceRequest) -> dict[str, object]:
    """Return a signed request as it is kept with the proof: enough to check its signature again."""
    return {
        "body": request.body.hex(),
        "headers": dict(sorted(request.headers)),
        "method": request.method,
        "path": request.path,
    }
