"""An academics that is only a list of what it recorded when: it answers as of any moment, feeds a copy, can be away."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from attendance_svc.domain.attempts import Course, PlanFacts, Preferences
from contracts.problems import UnavailableError
from tests.integration.attendance.academics_feed import COURSE, MINUTE, PREFERENCES, Feed


@dataclass(frozen=True)
class Change:
    """From `at` on: a course has these fields, or a group these members, or the school (id None) these preferences."""

    at: datetime
    kind: str
    id: UUID | None
    state: object


@dataclass
class VirtualAcademics:
    """Satisfies ports.CourseDirectory for attempts. school: the one school that it knows."""

    school: UUID
    changes: list[Change]
    is_down: bool = False
    asked: int = 0
    _copied: int = field(default=0)

    def recorded(self, kind, id_, at):
        """What was recorded of something at `at`; None: nothing yet."""
        states = [c.state for c in self.changes if (c.kind, c.id) == (kind, id_) and c.at <= at]
        return states[-1] if states else None

    async def get_plan(self, attempt):
        self.asked += 1
        if self.is_down:
            raise UnavailableError("academics_down")
        recorded, t = self.recorded("course", attempt.course_id, attempt.t), attempt.t
        if recorded is None or attempt.school_id not in (None, self.school):
            return PlanFacts(course=None)
        preferences = PREFERENCES | self.recorded("preferences", None, t)
        course, rooms = COURSE | recorded, recorded["classroom_ids"]
        groups = [self.recorded("group", group, t) or frozenset() for group in course["group_ids"]]
        return PlanFacts(
            course=_course(attempt.course_id, self.school, course, preferences),
            preferences=_preferences(preferences),
            is_enrolled=any(attempt.student_id in group for group in groups),
            has_rooms=bool(rooms),
            is_room_linked=attempt.classroom_id in rooms,
        )

    async def tell(self, feed: Feed, until: datetime):
        """Let the copy hear everything that was recorded up to `until`."""
        while self._copied < len(self.changes) and self.changes[self._copied].at <= until:
            change = self.changes[self._copied]
            if change.kind == "course":
                await feed.course(change.id, school=self.school, at=change.at, **change.state)
            elif change.kind == "preferences":
                await feed.preferences(school=self.school, at=change.at, **change.state)
            else:
                before = next(
                    (c.state for c in reversed(self.changes[: self._copied]) if c.id == change.id), frozenset()
                )
                who = {"added": sorted(change.state - before), "removed": sorted(before - change.state)}
                await feed.members(change.id, school=self.school, at=change.at, **who)
            self._copied += 1

    def again(self):
        """The same history, nothing of it told."""
        return replace(self, is_down=False, asked=0, _copied=0)


def _course(id_, school, state, preferences):
    delay = state["closing_delay_minutes"]
    default = preferences["default_signature_closing_delay_minutes"]
    return Course(
        id=id_,
        school_id=school,
        start_at=state["start_at"],
        end_at=state["end_at"],
        closing_delay=(default if delay is None else delay) * MINUTE,
        is_online=state["is_online"],
        is_cancelled=state["cancelled"],
    )


def _preferences(state):
    shown = ("students_can_sign_before_teacher", "enable_flash", "enable_nfc", "enable_qr")
    return Preferences(
        **{name: state[name] for name in shown},
        early_open=timedelta(minutes=state["early_open_minutes"]),
        late_grace=timedelta(minutes=state["late_grace_minutes"]),
    )
