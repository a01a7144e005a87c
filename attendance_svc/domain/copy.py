"""What the copy of academics is asked, and what it says."""

from datetime import datetime

from attendance_svc.domain.attempts import PlanFacts
from attendance_svc.domain.freshness import CopyState
from contracts.ids import ClassroomId, CourseId, SchoolId, StudentId, TeacherId
from contracts.values import value


@value
class Question:
    """What had academics recorded at `at` of a course, and of a student and a room in it.

    school_id: of the one who asks, by whose shard an unknown course is judged; None: by the copy as a whole.
    """

    course_id: CourseId
    at: datetime
    school_id: SchoolId | None = None
    student_id: StudentId | None = None
    classroom_id: ClassroomId | None = None


@value
class CopiedFacts:
    """What the copy says, and how far it can be trusted, in one snapshot.

    plan: None while a school's preferences are not known. teacher_ids: who is assigned to the course.
    """

    plan: PlanFacts | None
    teacher_ids: frozenset[TeacherId]
    state: CopyState
