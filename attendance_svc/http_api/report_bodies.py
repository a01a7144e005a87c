"""What a school takes away: sheets as rows of a table."""

from collections.abc import Iterator, Sequence

from attendance_svc.http_api.bodies import SheetAnswer, SheetLine

WHAT_COUNTS = ("status", "reason", "method", "signed_at", "signature_id")
SHEET_COLUMNS = ("course_id", "kind", "person_id", "is_expected", *WHAT_COUNTS)


def sheet_rows(sheet: SheetAnswer) -> Iterator[Sequence[object]]:
    """Return a row of SHEET_COLUMNS for each one expected, then for other students, then for teachers who signed."""
    parts = (("student", True, sheet.students), ("student", False, sheet.others), ("teacher", None, sheet.teachers))
    for kind, is_expected, lines in parts:
        for line in lines:
            yield (sheet.course_id, kind, line.student_id or line.teacher_id, is_expected, *_what_counts(line))


def _what_counts(line: SheetLine) -> Sequence[object]:
    return [getattr(line, name) for name in WHAT_COUNTS]
