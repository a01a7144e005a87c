"""What the copy of academics says, and how far it can be trusted."""

from dataclasses import dataclass
from datetime import datetime

from attendance_svc.domain.attempts import PlanFacts
from contracts.ids import TeacherId


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFacts:
    """What the copy had recorded at a moment, read in one snapshot with its own freshness.

    plan: None while a school's preferences are not known. teacher_ids: who is assigned to the course.
    as_of: everything academics committed before is in the copy; None while nothing is proved, or work on it goes on.
    facts_since: for an earlier moment the copy knows too little. is_tainted: an event of the course, of one of its
    groups or of the preferences could not be applied, or one that nobody can assign.
    """

    plan: PlanFacts | None
    teacher_ids: frozenset[TeacherId]
    as_of: datetime | None
    facts_since: datetime | None
    is_tainted: bool
