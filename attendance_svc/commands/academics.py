"""What academics had recorded: from attendance's own copy while that is provably fresh enough, else from academics."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from prometheus_client import Counter

from attendance_svc.domain.attempts import (
    Attempt,
    Basis,
    CopyPlace,
    Course,
    Decision,
    Facts,
    PlanFacts,
    ProofFacts,
)
from attendance_svc.domain.bearings import Bearings
from attendance_svc.domain.copy import CopiedFacts, Question
from attendance_svc.domain.deciding import decide_attempt
from attendance_svc.domain.evidence import basis_of
from attendance_svc.domain.freshness import CopyState, Outlook, Path, SeenVersion, decide_source
from attendance_svc.domain.signatures import Value
from attendance_svc.ports import CourseCopy, CourseDirectory
from contracts.ids import ClassroomId, CourseId, SchoolId, StudentId, TeacherId
from contracts.problems import ProblemError, UnavailableError
from contracts.values import value

T = TypeVar("T")

# A rise of `rpc`: look at how old the copy is. A rise of `nobody`: academics is away, and attempts wait.
DECIDED_BY = Counter("freshness_decision", "Who said what academics had recorded, for each question", ["path"])
BY_COPY = {path: DECIDED_BY.labels(path) for path in ("local_exact", "local_recent")}


@value
class Checked(Generic[T]):
    """What a check found, and who answered it."""

    found: T
    basis: Basis
    place: CopyPlace | None = None

    def evidence(self) -> dict[str, Value]:
        """Return who answered, as it is kept with a decision."""
        return basis_of(self.basis, self.place)


@value
class Academics:
    """Everybody who knows what academics had recorded. seen: what the caller has seen it write, if they said so."""

    copy: CourseCopy
    directory: CourseDirectory
    bearings: Bearings
    seen: SeenVersion | None = None

    def after(self, seen: SeenVersion | None) -> "Academics":
        """Return the same, for a caller who has seen `seen`."""
        return replace(self, seen=seen)

    @property
    def margin(self) -> timedelta | None:
        """How far the copy must be beyond a moment to be certain of it; None while that is not known."""
        return self.bearings.margin()

    async def look_up(
        self, attempts: Sequence[tuple[Attempt, ProofFacts | None]]
    ) -> list[tuple[PlanFacts, Decision] | None]:
        """Return what the copy says of each attempt at its `t`, read at once, and what that earns as far as it goes.

        With each attempt comes what is known of its proof. None: academics must be asked.
        """
        outlook = Outlook(margin=self.margin, has_seen=await self.has_seen())
        found = await self.copy.look_up([_question(attempt) for attempt, _ in attempts])
        return [
            self._plan(facts, attempt, proof, outlook) for facts, (attempt, proof) in zip(found, attempts, strict=True)
        ]

    def _plan(
        self, facts: CopiedFacts, attempt: Attempt, proof: ProofFacts | None, outlook: Outlook
    ) -> tuple[PlanFacts, Decision] | None:
        said = decide_attempt(Facts(plan=facts.plan, proof=proof), attempt)
        refuses = facts.plan is None or said.status == "REFUSED"
        path = self.source(facts.state, attempt.t, outlook, refuses=refuses)
        if path == "ask" or facts.plan is None:
            return None
        BY_COPY[path].inc()
        return (facts.plan if path == "local_exact" else replace(facts.plan, basis="recent")), said

    async def ask(self, attempt: Attempt) -> PlanFacts | None:
        """Return what academics says of an attempt at its `t`; None while it cannot be asked."""
        try:
            plan = await self.directory.get_plan(attempt)
        except UnavailableError:
            DECIDED_BY.labels("nobody").inc()
            return None
        DECIDED_BY.labels("rpc").inc()
        return plan

    async def check(self, ask: Callable[[CourseDirectory], Awaitable[T]]) -> Checked[T]:
        """Return what `ask` finds: by the copy when that lets it succeed, else by academics.

        A no must not rest on facts that may be seconds old, so whatever `ask` raises by the copy, academics is asked.
        Raises: what `ask` raises by academics, UnavailableError("academics_down").
        """
        if await self.has_seen():
            glance = _Glance(self)
            try:
                found = await ask(glance)
            except ProblemError:
                pass
            else:
                DECIDED_BY.labels("local_exact" if glance.basis == "copy" else "local_recent").inc()
                return Checked(found=found, basis=glance.basis, place=glance.place)
        try:
            found = await ask(self.directory)
        except UnavailableError:
            DECIDED_BY.labels("nobody").inc()
            raise
        DECIDED_BY.labels("rpc").inc()
        return Checked(found=found, basis="rpc")

    async def recall(self, course_id: CourseId, at: datetime) -> CopiedFacts | None:
        """Return what was last heard of a course, however old; None when that is nothing, or the copy is made anew.

        Fit for showing something, never for deciding.
        """
        [facts] = await self.copy.look_up([Question(course_id=course_id, at=at)])
        known = facts.plan is not None and facts.plan.course is not None
        return facts if known and facts.state.is_running and facts.state.as_of is not None else None

    async def find_certain_until(self) -> datetime | None:
        """Return the moment up to which the copy may be certain; None while it is not for any."""
        as_of, margin = await self.copy.find_as_of(), self.margin
        return None if as_of is None or margin is None else as_of - margin

    async def has_seen(self) -> bool:
        """Return whether the copy has what the caller has seen, having waited for it a moment."""
        return self.seen is None or await self.copy.has(self.seen)

    def source(self, state: CopyState, t: datetime, outlook: Outlook, *, refuses: bool) -> Path:
        """Decide who answers as of `t`."""
        if not all(self.bearings.is_current(*each) for each in state.logs):
            outlook = replace(outlook, is_same_log=False)
        return decide_source(state, t, outlook, refuses=refuses)


class _Glance:
    """Satisfies ports.CourseDirectory from the copy, as long as that may say yes.

    basis, place: of what it said; of what is the least certain if it said several things.
    """

    def __init__(self, academics: Academics) -> None:
        self._academics = academics
        self.basis: Basis = "copy"
        self.place: CopyPlace | None = None

    async def get_plan(self, attempt: Attempt) -> PlanFacts:
        return (await self._look(_question(attempt)))[0]

    async def find_course(self, course_id: CourseId, *, school_id: SchoolId | None, at: datetime) -> Course | None:
        plan, _ = await self._look(Question(course_id=course_id, at=at, school_id=school_id))
        return plan.course if plan.course and school_id in (None, plan.course.school_id) else None

    async def is_teacher(self, teacher_id: TeacherId, course: Course, *, at: datetime) -> bool:
        _, facts = await self._look(Question(course_id=course.id, at=at, school_id=course.school_id))
        return teacher_id in facts.teacher_ids

    async def is_student(self, student_id: StudentId, course: Course, *, at: datetime) -> bool:
        question = Question(course_id=course.id, at=at, school_id=course.school_id, student_id=student_id)
        return (await self._look(question))[0].is_enrolled

    async def is_room(self, classroom_id: ClassroomId, course: Course, *, at: datetime) -> bool:
        question = Question(course_id=course.id, at=at, school_id=course.school_id, classroom_id=classroom_id)
        return (await self._look(question))[0].is_room_linked

    async def _look(self, question: Question) -> tuple[PlanFacts, CopiedFacts]:
        [facts] = await self._academics.copy.look_up([question])
        path = self._academics.source(facts.state, question.at, Outlook(margin=self._academics.margin), refuses=False)
        if path == "ask" or facts.plan is None:
            raise UnavailableError("academics_down", "the copy is too old")
        if path == "local_recent" or self.place is None:
            self.place = facts.plan.place
        if path == "local_recent":
            self.basis = "recent"
        return facts.plan, facts


def _question(attempt: Attempt) -> Question:
    assert attempt.course_id is not None  # noqa: S101 -- without a course there is nothing to ask
    return Question(
        course_id=attempt.course_id,
        at=attempt.t,
        school_id=attempt.school_id,
        student_id=attempt.student_id,
        classroom_id=attempt.classroom_id,
    )
