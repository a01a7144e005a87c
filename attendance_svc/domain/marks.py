"""Who may say by hand that somebody was there, and when."""

from datetime import datetime, timedelta
from typing import Literal

from attendance_svc.domain.attempts import Course
from attendance_svc.domain.signatures import HumanType

TEACHER_EARLY = timedelta(minutes=15)
TEACHER_CORRECTS = timedelta(hours=24)

MarkRefusal = Literal["too_early", "course_ended", "course_cancelled", "decided_by_admin"]
Presence = Literal["own", "other"]


def check_teacher_window(course: Course, now: datetime, presence: Presence) -> MarkRefusal | None:
    """Return why a teacher may not sign ("own"), or mark a student ("other"), at `now`; None when they may.

    Both bounds are inclusive: from 15 minutes before the start to the end, or to 24 hours after it.
    """
    if course.is_cancelled:
        return "course_cancelled"
    if now < course.start_at - TEACHER_EARLY:
        return "too_early"
    last = course.end_at if presence == "own" else course.end_at + TEACHER_CORRECTS
    return "course_ended" if now > last else None


def check_rank(actor: HumanType, judged_by: HumanType | None) -> MarkRefusal | None:
    """Return why `actor` may not change what `judged_by` decided: a teacher does not undo an admin."""
    return "decided_by_admin" if (actor, judged_by) == ("teacher", "admin") else None
