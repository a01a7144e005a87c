"""What a report over a span of time says about students. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from attendance_svc.domain.attempts import Status
from contracts.ids import CourseId, GroupId, SchoolId, SignatureId, StudentId, TeacherId

# AWAITED: nothing counts yet, and the course is not over.
State = Literal["ACCEPTED", "LATE", "PENDING", "ABSENT", "AWAITED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportScope:
    """Which courses of a school, and whom of those expected there; what is None does not matter.

    since, until: half-open, of when courses start. teacher_id: courses that are theirs. group_id: who is expected as
    one of the group.
    """

    school_id: SchoolId
    since: datetime
    until: datetime
    course_id: CourseId | None = None
    teacher_id: TeacherId | None = None
    group_id: GroupId | None = None
    student_id: StudentId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """In how many courses what became of somebody: each expected is accepted, late, pending, absent or awaited.

    refused: in how many of those absent or awaited they tried in vain.
    """

    expected: int
    accepted: int
    late: int
    pending: int
    refused: int
    absent: int
    awaited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """In so many courses, which are over or not, this is what counts most of somebody; None: nothing is there."""

    status: Status | None
    is_over: bool
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """What became of one student in one course. reason and what follows: of what counts most, None when nothing is."""

    course_id: CourseId
    start_at: datetime
    end_at: datetime
    state: State
    reason: str | None
    method: str | None
    t: datetime | None
    signature_id: SignatureId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentReport:
    """What became of one student. courses: each of them in order of its start; only when one student was asked for."""

    student_id: StudentId
    tally: Tally
    courses: Sequence[Attended] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of students, in order of their ids. course_count: how many courses there were to count."""

    course_count: int
    students: Sequence[StudentReport]


def is_over(end_at: datetime, now: datetime) -> bool:
    """Return whether who has not signed is absent: at the very end one still may."""
    return now > end_at


def state_of(status: Status | None, *, is_over: bool) -> State:
    """Return what became of an expected student of whom `status` counts most; a refusal is none."""
    if status is None or status == "REFUSED":
        return "ABSENT" if is_over else "AWAITED"
    return status


def tally(found: Iterable[Found]) -> Tally:
    """Count what was found of one student."""
    of_state: dict[State, int] = {}
    refused = 0
    for each in found:
        state = state_of(each.status, is_over=each.is_over)
        of_state[state] = of_state.get(state, 0) + each.count
        refused += each.count if each.status == "REFUSED" else 0
    return Tally(
        expected=sum(of_state.values()),
        accepted=of_state.get("ACCEPTED", 0),
        late=of_state.get("LATE", 0),
        pending=of_state.get("PENDING", 0),
        refused=refused,
        absent=of_state.get("ABSENT", 0),
        awaited=of_state.get("AWAITED", 0),
    )
