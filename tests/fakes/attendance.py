"""Builders and in-memory parts of attendance_svc."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from attendance_svc.domain.attempts import (
    Attempt,
    Course,
    DeviceRequest,
    Facts,
    NfcClaim,
    PlanFacts,
    Preferences,
    ProofFacts,
)
from attendance_svc.ports import NfcReading, OwnPhone
from contracts.ids import CourseId, SchoolId, StudentId, new_id
from contracts.problems import ForbiddenError, UnavailableError
from infra.device_requests import HEADERS, read_signed_request

NINE = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def a_course(**changes) -> Course:
    """A course from 9:00 to 10:00 that is signed on time until 9:15."""
    usual = {
        "id": CourseId(new_id()),
        "school_id": SchoolId(new_id()),
        "start_at": NINE,
        "end_at": NINE + HOUR,
        "closing_delay": 15 * MINUTE,
    }
    return Course(**(usual | changes))


def a_plan(course=None, **changes) -> PlanFacts:
    """What academics says of an enrolled student whose school leaves ten minutes of grace."""
    usual = {
        "course": course or a_course(),
        "preferences": Preferences(late_grace=10 * MINUTE),
        "is_enrolled": True,
        "has_rooms": True,
        "is_room_linked": True,
    }
    return PlanFacts(**(usual | changes))


def some_facts(plan=None, **changes) -> Facts:
    return Facts(**({"plan": plan or a_plan(), "proof": ProofFacts()} | changes))


def an_attempt(at=NINE, **changes) -> Attempt:
    """A flash seen and received at `at`, in no particular school or room."""
    usual = {
        "idempotency_key": str(uuid4()),
        "school_id": None,
        "course_id": None,
        "student_id": StudentId(uuid4()),
        "method": "FLASHLIGHT",
        "t": at,
        "received_at": at,
    }
    return Attempt(**(usual | changes))


def a_claim() -> NfcClaim:
    """A code in a request with all that a phone signs it with."""
    values = (str(uuid4()), "0" * 16, "1756717200000", "AAECAwQFBgcICQoLDA0ODw", "A" * 86)
    headers = tuple(zip(HEADERS, values, strict=True))
    request = DeviceRequest(method="POST", path="/signatures", body=b"{}", headers=headers)
    return NfcClaim(serial="BEACON-1", code="12345678", request=request)


@dataclass
class InMemoryDirectory:
    """Academics as one plan for everybody. teachers, strangers, elsewhere: who belongs, and which rooms do not.

    is_down: plays an outage. may_answer: until then it takes its time.
    """

    plan: PlanFacts
    teachers: set = field(default_factory=set)
    strangers: set = field(default_factory=set)
    elsewhere: set = field(default_factory=set)
    is_down: bool = False
    asked: list = field(default_factory=list)
    may_answer: asyncio.Event | None = None

    async def get_plan(self, attempt):
        self._answer(attempt)
        if self.may_answer is not None:
            await self.may_answer.wait()
        known = attempt.course_id == self.plan.course.id
        return (
            replace(self.plan, is_enrolled=attempt.student_id not in self.strangers)
            if known
            else PlanFacts(course=None)
        )

    async def find_course(self, course_id, *, school_id, at):
        self._answer(at)
        course = self.plan.course
        return course if course_id == course.id and school_id in (None, course.school_id) else None

    async def is_teacher(self, teacher_id, course, *, at):
        self._answer(at)
        return teacher_id in self.teachers

    async def is_student(self, student_id, course, *, at):
        self._answer(at)
        return student_id not in self.strangers

    async def is_room(self, classroom_id, course, *, at):
        self._answer(at)
        return self.plan.is_room_linked and classroom_id not in self.elsewhere

    def _answer(self, question):
        self.asked.append(question)
        if self.is_down:
            raise UnavailableError("academics_down")


@dataclass
class InMemoryTimetable:
    courses: list | None = None
    expected: list = field(default_factory=list)

    async def find_in_room(self, classroom_id, at, *, margin):
        return self.courses

    async def list_expected(self, course_id, at):
        return sorted(self.expected)


@dataclass
class InMemoryPhones:
    """Identity: whether the device is the student's own; `is_down` plays an outage."""

    is_own: bool = True
    is_down: bool = False
    forged: bool = False

    async def check(self, request, student_id, *, at):
        signed = read_signed_request(dict(request.headers), method=request.method, path=request.path, body=request.body)
        if self.is_down:
            raise UnavailableError("identity_down")
        if self.forged:
            raise ForbiddenError("device_signature_invalid")
        return OwnPhone(device_id=signed.device_id, nonce=signed.nonce) if self.is_own else None


@dataclass
class InMemoryCodes:
    """beacon_svc: what every code says; None: no beacon showed it."""

    reading: NfcReading | None = None
    is_down: bool = False

    async def read(self, serial, code, *, at, school_id):
        if self.is_down:
            raise UnavailableError("beacon_down")
        return self.reading
