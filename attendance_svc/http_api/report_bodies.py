"""What a school takes away: a report as JSON, sheets and reports as rows of a table."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from attendance_svc.domain.reports import Attended, State, StudentReport
from attendance_svc.http_api.bodies import SheetAnswer, SheetLine
from infra.http_bodies import Answer, Id, Moment, Page, PageQuery

TALLY = ("expected", "accepted", "late", "pending", "refused", "absent", "awaited")
WHAT_COUNTS = ("status", "reason", "method", "signed_at", "signature_id")
SHEET_COLUMNS = ("course_id", "kind", "person_id", "is_expected", *WHAT_COUNTS)
REPORT_COLUMNS = ("student_id", *TALLY)
STUDENT_COLUMNS = ("student_id", "course_id", "start_at", "end_at", *WHAT_COUNTS)


class ReportQuery(PageQuery):
    """Whom to count where. from, to: half-open, of when courses start, 400 days at most.

    Who is no teacher names a course, a group or a student, or several. school_id: developers must name it.
    """

    since: Annotated[Moment, Field(alias="from")]
    until: Annotated[Moment, Field(alias="to")]
    school_id: Id | None = None
    course_id: Id | None = None
    group_id: Id | None = None
    student_id: Id | None = None


class AttendedAnswer(Answer):
    """What became of the student in one course; reason and what follows: of the signature that counts most."""

    course_id: UUID
    start_at: datetime
    end_at: datetime
    status: State
    reason: str | None
    method: str | None
    signed_at: datetime | None
    signature_id: UUID | None


class ReportLine(Answer):
    """In how many courses what became of a student: each expected is accepted, late, pending, absent or awaited.

    refused: in how many of those absent or awaited they tried in vain. awaited: the course is not over. courses: when
    `student_id` was asked for.
    """

    student_id: UUID
    expected: int
    accepted: int
    late: int
    pending: int
    refused: int
    absent: int
    awaited: int
    courses: Sequence[AttendedAnswer] | None


class ReportAnswer(Page[ReportLine]):
    """Students who were expected, in order of their ids. course_count: courses that were looked at."""

    course_count: int


def to_report_line(student: StudentReport) -> ReportLine:
    """Show what became of one student."""
    counts = {name: getattr(student.tally, name) for name in TALLY}
    courses = None if student.courses is None else [_to_attended(each) for each in student.courses]
    return ReportLine(student_id=student.student_id, **counts, courses=courses)


def _to_attended(course: Attended) -> AttendedAnswer:
    return AttendedAnswer(
        course_id=course.course_id,
        start_at=course.start_at,
        end_at=course.end_at,
        status=course.state,
        reason=course.reason,
        method=course.method,
        signed_at=course.t,
        signature_id=course.signature_id,
    )


def sheet_rows(sheet: SheetAnswer) -> Iterator[Sequence[object]]:
    """Return a row of SHEET_COLUMNS for each one expected, then for other students, then for teachers who signed."""
    parts = (("student", True, sheet.students), ("student", False, sheet.others), ("teacher", None, sheet.teachers))
    for kind, is_expected, lines in parts:
        for line in lines:
            yield (sheet.course_id, kind, line.student_id or line.teacher_id, is_expected, *_what_counts(line))


def report_rows(students: Iterable[StudentReport]) -> Iterator[Sequence[object]]:
    """Return a row of REPORT_COLUMNS for each student."""
    for student in students:
        yield (student.student_id, *(getattr(student.tally, name) for name in TALLY))


def student_rows(students: Iterable[StudentReport]) -> Iterator[Sequence[object]]:
    """Return a row of STUDENT_COLUMNS for each course of each student."""
    for student in students:
        for course in map(_to_attended, student.courses or ()):
            yield (student.student_id, course.course_id, course.start_at, course.end_at, *_what_counts(course))


def _what_counts(line: SheetLine | AttendedAnswer) -> Sequence[object]:
    return [getattr(line, name) for name in WHAT_COUNTS]
