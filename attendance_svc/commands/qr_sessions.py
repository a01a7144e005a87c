"""Showing codes for a course: a session of a screen, from its opening to its end."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from attendance_svc.commands.academics import Academics
from attendance_svc.commands.marks import Human, find_course
from attendance_svc.domain.attempts import Course
from attendance_svc.domain.marks import check_teacher_window
from attendance_svc.domain.qr import (
    KEY_BYTES,
    SID_BYTES,
    QrCode,
    QrSession,
    code_at,
    expires_at,
    starts_at,
    step_of,
)
from attendance_svc.ports import CourseDirectory, QrSessions
from contracts.events.envelope import Cause
from contracts.ids import ClassroomId, CourseId, TeacherId
from contracts.problems import ConflictError, ForbiddenError
from contracts.values import value

# Makes that many random bytes.
Draw = Callable[[int], bytes]
Pause = Callable[[float], Awaitable[object]]


@value
class NewQrSession:
    """What is to be opened: its id, the course, and the room where the screen hangs, if that is to be proved."""

    id: UUID
    course_id: CourseId
    classroom_id: ClassroomId | None


async def open_qr_session(
    human: Human, wanted: NewQrSession, *, academics: Academics, sessions: QrSessions, draw: Draw, cause: Cause
) -> QrSession:
    """Let codes for a course count from now on, until it ends, for 4 h at the most; return their session.

    As long as a teacher may sign, for administrators too: nobody could sign with a code before or after.
    Safe to repeat with the same id.
    Raises: NotFoundError("not_found"), ForbiddenError("forbidden"), ConflictError("wrong_classroom" |
    "idempotency_key_reused" | a MarkRefusal), UnavailableError("academics_down" | "database_down").
    """
    checked = await academics.check(lambda directory: _check_may_open(human, wanted, directory, cause))
    course = checked.found
    session = QrSession(
        id=wanted.id,
        sid=draw(SID_BYTES),
        school_id=course.school_id,
        course_id=course.id,
        classroom_id=wanted.classroom_id,
        opened_by=human.id,
        opened_at=cause.at,
        expires_at=expires_at(course, cause.at),
        key=draw(KEY_BYTES),
    )
    kept = await sessions.add(session)
    if (kept.course_id, kept.classroom_id, kept.opened_by) != (course.id, wanted.classroom_id, human.id):
        raise ConflictError("idempotency_key_reused")
    return kept


async def _check_may_open(human: Human, wanted: NewQrSession, directory: CourseDirectory, cause: Cause) -> Course:
    course = await find_course(wanted.course_id, human, directory, cause)
    if human.type == "teacher" and not await directory.is_teacher(TeacherId(human.id), course, at=cause.at):
        raise ForbiddenError("forbidden")
    if refusal := check_teacher_window(course, cause.at, "own"):
        raise ConflictError(refusal)
    # A room of another school is like one that is not there: not the course's.
    room = wanted.classroom_id
    if room is not None and not await directory.is_room(room, course, at=cause.at):
        raise ConflictError("wrong_classroom")
    return course


async def show_codes(
    session: QrSession, *, sessions: QrSessions, now: Callable[[], datetime], pause: Pause
) -> AsyncGenerator[QrCode, None]:
    """Tell the code of each step as the step begins, the one of this step at once, until the open session ends.

    pause: waits for so many seconds. Before each code it is looked whether the session was closed, by any process.
    Raises: UnavailableError("database_down").
    """
    shown: QrSession | None = session
    while shown is not None:
        step = step_of(now())
        yield code_at(shown, step)
        # A pause and the clock may not agree to the millisecond.
        while (left := starts_at(step + 1) - now()) > timedelta(0):
            await pause(left.total_seconds())
        found = await sessions.find(session.id)
        shown = found if found and found.is_open(now()) else None
