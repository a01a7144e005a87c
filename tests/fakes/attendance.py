"""Builders and in-memory parts of attendance_svc."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from attendance_svc.domain.attempts import Attempt, Course, Facts, PlanFacts, Preferences, ProofFacts
from contracts.ids import CourseId, SchoolId, StudentId, new_id

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
