"""What people decide by hand: a teacher's own presence, marks, corrections, and taking a signature back."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from attendance_svc.commands.academics import Academics
from attendance_svc.commands.judging import answer_of
from attendance_svc.commands.pending import settle_waiting
from attendance_svc.commands.steps import judged_step, new_step, news_of, superseded_step, voided_step
from attendance_svc.domain.attempts import RULE_VERSION, Course
from attendance_svc.domain.marks import Presence, check_rank, check_teacher_window
from attendance_svc.domain.signatures import PRESENT, Answer, Evidence, HumanType, Kind, Signature, Situation, Step
from attendance_svc.ports import CourseDirectory, OpenBook, SignatureBook
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SchoolId, SignatureId, StudentId, TeacherId
from contracts.problems import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)

MarkStatus = Literal["ACCEPTED", "LATE", "REFUSED"]
REASONS: dict[HumanType, str] = {"teacher": "marked_by_teacher", "admin": "marked_by_admin"}
METHODS: dict[HumanType, str] = {"teacher": "TEACHER", "admin": "ADMIN"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """A teacher or an administrator of a school, as their token says."""

    type: HumanType
    id: UUID
    school_id: SchoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a human says about somebody's presence, and why in their own words."""

    course_id: CourseId
    kind: Kind
    subject_id: UUID
    status: MarkStatus
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignature:
    """What is to be made: its id, and the key that a repeat of the request carries too."""

    id: SignatureId
    idempotency_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Another status for a signature, why, and the version of it that the human saw."""

    signature_id: SignatureId
    status: MarkStatus
    note: str
    version_seen: int


async def sign_as_teacher(
    teacher: Human,
    course_id: CourseId,
    *,
    new: NewSignature,
    academics: Academics,
    open_book: OpenBook,
    cause: Cause,
) -> Answer:
    """Record that a teacher is there, and settle the students who wait for one, as of each one's own time.

    Safe to repeat: a teacher who stands already is answered with that signature.
    Raises: NotFoundError("not_found"), ForbiddenError("forbidden" | "decided_by_admin"),
    ConflictError(a MarkRefusal), UnavailableError("academics_down").
    """
    checked = await academics.check(lambda directory: _check_presence(teacher, course_id, directory, cause))
    course = checked.found
    signature = Signature(
        id=new.id,
        school_id=course.school_id,
        course_id=course_id,
        kind="teacher",
        subject_id=teacher.id,
        status="ACCEPTED",
        reason="teacher_present",
        method="TEACHER",
        t=cause.at,
        received_at=cause.at,
        rule_version=RULE_VERSION,
        idempotency_key=new.idempotency_key,
        digest=_digest("presence", course_id, teacher.id),
    )
    async with open_book() as book:
        await book.lock(course_id, teacher.id, alone=True)
        if repeated := await _find_repeat(signature, book):
            return repeated
        situation = await book.get_situation(course_id, "teacher", teacher.id)
        if situation.standing is not None:
            return Answer(signature=situation.standing, reason="already_signed", is_new=False)
        if situation.is_under_review:
            raise ForbiddenError("decided_by_admin")
        evidence = checked.evidence() | {"course_version": course.version}
        step = new_step(signature, cause=cause, evidence=evidence, opens_course=not situation.teacher_signed)
        await book.keep([step], news_of([step], cause))
    await _settle(step.after, open_book, cause)
    return Answer(signature=step.after, reason=step.after.reason, is_new=True)


async def mark_by_hand(
    human: Human, mark: Mark, *, new: NewSignature, academics: Academics, open_book: OpenBook, cause: Cause
) -> Answer:
    """Record what a human says; it takes the place of what stands and ends whatever is PENDING.

    Raises: NotFoundError("not_found"), ForbiddenError("forbidden" | "decided_by_admin"),
    ConflictError("not_enrolled" | "idempotency_key_reused" | a MarkRefusal), UnavailableError("academics_down").
    """
    checked = await academics.check(lambda directory: _check_may_mark(human, mark, directory, cause))
    signature = _marked(human, mark, new, checked.found, cause)
    async with open_book() as book:
        await book.lock(mark.course_id, mark.subject_id, alone=mark.kind == "teacher")
        if repeated := await _find_repeat(signature, book):
            return repeated
        situation = await book.get_situation(mark.course_id, mark.kind, mark.subject_id)
        _check_rank(human, situation)
        opens = mark.kind == "teacher" and signature.stands and not situation.teacher_signed
        evidence = checked.evidence() | {"course_version": checked.found.version}
        step = new_step(signature, cause=cause, evidence=evidence, note=mark.note, opens_course=opens)
        steps = [*_ended(situation, signature.id, cause), step]
        await book.keep(steps, news_of(steps, cause))
    await _settle(step.after, open_book, cause)
    return Answer(signature=step.after, reason=step.after.reason, is_new=True)


async def change_status(
    human: Human, correction: Correction, *, academics: Academics, open_book: OpenBook, cause: Cause
) -> Signature:
    """Give a signature the status that a human says, with their words why; ends whatever else is PENDING.

    Raises: NotFoundError("not_found"), PreconditionFailedError("version_stale"), ForbiddenError("forbidden" |
    "decided_by_admin"), ConflictError("already_signed" | "signature_voided" | "signature_superseded" |
    "course_unknown" | "not_enrolled" | a MarkRefusal), UnavailableError("academics_down").
    """
    status = correction.status
    async with open_book() as book:
        seen = _of_school(await book.find(correction.signature_id), human)
    evidence = await _check_may_change(human, seen, status, academics, cause)
    async with open_book() as book:
        await book.lock(seen.course_id, seen.subject_id, alone=seen.kind == "teacher")
        before = _of_school(await book.find(correction.signature_id), human)
        if before.version != correction.version_seen:
            raise PreconditionFailedError("version_stale")
        situation = await book.get_situation(before.course_id, before.kind, before.subject_id)
        _check_rank(human, situation)
        ended = _make_room(before, status, situation, cause)
        after = replace(before, status=status, reason=REASONS[human.type], judged_by=human.type, judged_at=cause.at)
        step = judged_step(before, after, cause=cause, evidence=evidence, note=correction.note)
        await book.keep([*ended, step], news_of([*ended, step], cause))
    await _settle(step.after, open_book, cause)
    return step.after


async def void(admin: Human, signature_id: SignatureId, *, note: str, open_book: OpenBook, cause: Cause) -> None:
    """Take a signature back; its history stays. Safe to repeat.

    Raises: NotFoundError("not_found"), ConflictError("signature_superseded").
    """
    async with open_book() as book:
        seen = _of_school(await book.find(signature_id), admin)
        await book.lock(seen.course_id, seen.subject_id, alone=seen.kind == "teacher")
        before = _of_school(await book.find(signature_id), admin)
        if before.voided_at is not None:
            return
        if before.superseded_by is not None:
            raise ConflictError("signature_superseded", signature_id=str(before.superseded_by))
        after = replace(before, voided_at=cause.at, judged_by=admin.type, judged_at=cause.at)
        step = voided_step(before, after, cause=cause, note=note)
        await book.keep([step], news_of([step], cause))


async def find_course(course_id: CourseId, human: Human, directory: CourseDirectory, cause: Cause) -> Course:
    """Return the course of the human's school. Raises: NotFoundError("not_found"), UnavailableError."""
    course = await directory.find_course(course_id, school_id=human.school_id, at=cause.at)
    if course is None or course.school_id != human.school_id:
        raise NotFoundError("not_found")
    return course


async def _check_teacher(
    teacher: Human, course: Course, directory: CourseDirectory, cause: Cause, presence: Presence
) -> None:
    if not await directory.is_teacher(TeacherId(teacher.id), course, at=cause.at):
        raise ForbiddenError("forbidden")
    if refusal := check_teacher_window(course, cause.at, presence):
        raise ConflictError(refusal)


async def _check_expected(
    kind: Kind, subject_id: UUID, course: Course, directory: CourseDirectory, cause: Cause
) -> None:
    """Who left the group after the course was still expected in it."""
    at = min(cause.at, course.end_at)
    if kind == "student":
        expected = await directory.is_student(StudentId(subject_id), course, at=at)
    else:
        expected = await directory.is_teacher(TeacherId(subject_id), course, at=at)
    if not expected:
        raise ConflictError("not_enrolled")


async def _check_presence(teacher: Human, course_id: CourseId, directory: CourseDirectory, cause: Cause) -> Course:
    course = await find_course(course_id, teacher, directory, cause)
    await _check_teacher(teacher, course, directory, cause, "own")
    return course


async def _check_may_mark(human: Human, mark: Mark, directory: CourseDirectory, cause: Cause) -> Course:
    course = await find_course(mark.course_id, human, directory, cause)
    if human.type == "teacher":
        await _check_teacher(human, course, directory, cause, "other")
    await _check_expected(mark.kind, mark.subject_id, course, directory, cause)
    return course


async def _check_may_change(
    human: Human, seen: Signature, status: MarkStatus, academics: Academics, cause: Cause
) -> Evidence:
    """Return what allowed it, as it is kept with the step: nothing of academics for administrators."""
    course_id = seen.course_id
    if course_id is None:
        raise ConflictError("course_unknown")
    if human.type == "admin":
        return {}
    if seen.kind == "teacher":
        raise ForbiddenError("forbidden")

    async def check(directory: CourseDirectory) -> Course:
        course = await find_course(course_id, human, directory, cause)
        await _check_teacher(human, course, directory, cause, "other")
        if status in PRESENT:
            await _check_expected(seen.kind, seen.subject_id, course, directory, cause)
        return course

    checked = await academics.check(check)
    return checked.evidence() | {"course_version": checked.found.version}


def _check_rank(human: Human, situation: Situation) -> None:
    if refusal := check_rank(human.type, situation.last_judge):
        raise ForbiddenError(refusal)


def _make_room(before: Signature, status: MarkStatus, situation: Situation, cause: Cause) -> list[Step]:
    """Return the steps that end everything beside a signature which a human decides."""
    standing = situation.standing if situation.standing and situation.standing.id != before.id else None
    if standing is not None and status in PRESENT and before.status != "PENDING":
        raise ConflictError("already_signed", signature_id=str(standing.id))
    if before.voided_at is not None:
        raise ConflictError("signature_voided")
    if before.superseded_by is not None:
        raise ConflictError("signature_superseded", signature_id=str(before.superseded_by))
    keeps_standing = status not in PRESENT
    others = replace(
        situation,
        standing=None if keeps_standing else standing,
        undecided=tuple(each for each in situation.undecided if each.id != before.id),
    )
    return _ended(others, before.id, cause)


def _ended(situation: Situation, by: SignatureId, cause: Cause) -> list[Step]:
    standing = [situation.standing] if situation.standing is not None else []
    return [
        superseded_step(each, by, cause=cause, reason="decided_by_hand") for each in (*standing, *situation.undecided)
    ]


async def _settle(decided: Signature, open_book: OpenBook, cause: Cause) -> None:
    """Settle who waits for this teacher. What is kept already stays kept, and a sweep repeats what fails here."""
    if decided.kind == "teacher" and decided.stands and decided.course_id is not None:
        with suppress(UnavailableError):
            await settle_waiting(decided.course_id, open_book=open_book, cause=cause)


async def _find_repeat(signature: Signature, book: SignatureBook) -> Answer | None:
    key = signature.idempotency_key
    found = {} if key is None else await book.find_repeats([key])
    if not found:
        return None
    [(own, counts)] = found.values()
    if own.digest != signature.digest:
        raise ConflictError("idempotency_key_reused")
    return answer_of(own, counts)


def _of_school(signature: Signature | None, human: Human) -> Signature:
    if signature is None or signature.school_id != human.school_id:
        raise NotFoundError("not_found")
    return signature


def _marked(human: Human, mark: Mark, new: NewSignature, course: Course, cause: Cause) -> Signature:
    return Signature(
        id=new.id,
        school_id=course.school_id,
        course_id=mark.course_id,
        kind=mark.kind,
        subject_id=mark.subject_id,
        status=mark.status,
        reason=REASONS[human.type],
        method=METHODS[human.type],
        t=cause.at,
        received_at=cause.at,
        rule_version=RULE_VERSION,
        idempotency_key=new.idempotency_key,
        digest=_digest("mark", mark.course_id, mark.kind, mark.subject_id, mark.status, mark.note),
        judged_by=human.type,
        judged_at=cause.at,
    )


def _digest(*parts: object) -> bytes:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
