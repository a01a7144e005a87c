"""When signing of a course is to be closed, and what a sheet says about who was there. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from attendance_svc.domain.attempts import Course, Preferences, Status
from attendance_svc.domain.deciding import due_of
from contracts.ids import CourseId, SchoolId, StudentId

TimerState = Literal["armed", "firing", "done", "cancelled"]
SheetNews = Literal["closed", "revised", "final"]

FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(seconds=60)
# What beacons queued while they were offline arrives within a day, or a human decides about it.
FINAL_AFTER = timedelta(hours=24)
# The student's signatures may be many; the first status here that one of them has is what became of the student.
BEST_FIRST: tuple[Status, ...] = ("ACCEPTED", "LATE", "PENDING", "REFUSED")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingTimer:
    """When academics is to be asked to close a course. next_at: not asked before; attempts: asked so often."""

    state: TimerState
    due_at: datetime
    next_at: datetime
    attempts: int = 0

    @property
    def is_running(self) -> bool:
        """Whether academics is still to be asked, or to confirm."""
        return self.state in ("armed", "firing")


def decide_timer(standing: ClosingTimer | None, course: Course, preferences: Preferences) -> ClosingTimer:
    """Decide what becomes of a course's timer when `course` is its newest state. Only academics' word ends it."""
    due_at = due_of(course, preferences)
    if course.is_cancelled:
        return ClosingTimer(state="cancelled", due_at=due_at, next_at=due_at)
    if course.is_closed:
        return ClosingTimer(state="done", due_at=due_at, next_at=due_at)
    if standing is not None and standing.is_running and standing.due_at == due_at:
        return standing
    return ClosingTimer(state="armed", due_at=due_at, next_at=due_at)


def retry_at(now: datetime, attempts: int) -> datetime:
    """Return when to try again after `attempts` tries: 1 s, 2 s, 4 s, at most 60 s later."""
    return now + min(FIRST_RETRY * 2.0 ** min(attempts - 1, 10), LAST_RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetCount:
    """What became of the students of a course: every one expected is accepted, late, pending or absent.

    refused: how many of the absent tried. absent_ids: in order. provisional: something may still change by itself.
    """

    expected: int
    accepted: int
    late: int
    pending: int
    refused: int
    absent_ids: tuple[StudentId, ...]
    provisional: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseOutline:
    """The part of a course that its sheet depends on, as it is now."""

    id: CourseId
    school_id: SchoolId
    end_at: datetime
    is_closed: bool = False
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSheet:
    """A course whose sheet is to be looked at.

    settles_end_at: the end of a course that is over and was not settled yet; None: nothing to settle.
    """

    course_id: CourseId
    settles_end_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What was published about a course. version: 0 before anything was.

    settled_end_at: the end of the course by which those who wait for its teacher were settled.
    """

    version: int = 0
    is_final: bool = False
    settled_end_at: datetime | None = None
    published: SheetCount | None = None


def count_sheet(roster: Collection[StudentId], signatures: Iterable[tuple[StudentId, Status]]) -> SheetCount:
    """Count what became of everybody on `roster`. signatures: all that were neither voided nor superseded."""
    best: dict[StudentId, Status] = {}
    for student_id, status in signatures:
        best[student_id] = min(best.get(student_id, status), status, key=BEST_FIRST.index)
    found = [best.get(student_id) for student_id in roster]
    absent = [student_id for student_id in roster if best.get(student_id) in (None, "REFUSED")]
    return SheetCount(
        expected=len(roster),
        accepted=found.count("ACCEPTED"),
        late=found.count("LATE"),
        pending=found.count("PENDING"),
        refused=found.count("REFUSED"),
        absent_ids=tuple(sorted(absent)),
    )


def is_settled(sheet: Sheet, course: CourseOutline) -> bool:
    """Return whether those who wait for the teacher were settled at the course's end, as it is planned now."""
    return sheet.settled_end_at is not None and sheet.settled_end_at >= course.end_at


def decide_sheet(
    sheet: Sheet, course: CourseOutline, count: SheetCount, now: datetime
) -> tuple[SheetNews | None, SheetCount]:
    """Decide what to publish about the course, and the count with its `provisional`.

    A sheet is closed once, final once when the course was settled, and revised whenever it says something new.
    """
    is_last_call = now >= course.end_at + FINAL_AFTER
    provisional = count.pending > 0 or (bool(count.absent_ids) and not is_last_call)
    count = replace(count, provisional=provisional)
    if sheet.version == 0:
        return ("closed" if course.is_closed or is_settled(sheet, course) else None), count
    if not sheet.is_final and is_settled(sheet, course) and (is_last_call or not provisional):
        return "final", count
    return ("revised" if count != sheet.published else None), count


def next_look(sheet: Sheet, course: CourseOutline) -> datetime | None:
    """Return when the sheet next has to be looked at although nobody signs; None: never."""
    if not is_settled(sheet, course):
        return course.end_at
    return None if sheet.is_final else course.end_at + FINAL_AFTER
