"""What a decision rested on, as it is kept with the decision: enough to decide again, the same way."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from attendance_svc.domain.attempts import Attempt, Basis, CopyPlace, Course, Facts, PlanFacts, Preferences
from attendance_svc.domain.signatures import Evidence, Value
from contracts.ids import CourseId, SchoolId

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


def evidence_of(facts: Facts, attempt: Attempt) -> dict[str, Value]:
    """Return the inputs of a decision, flat: strings, whole numbers, booleans and None."""
    evidence: dict[str, Value] = {
        "t": attempt.t.isoformat(),
        "received_at": attempt.received_at.isoformat(),
        "uncertainty_ms": attempt.uncertainty // MILLISECOND,
        "flags": ",".join(sorted(attempt.flags)),
        "proof_sha256": None if attempt.proof_digest is None else attempt.proof_digest.hex(),
        "teacher_signed": facts.teacher_signed,
        "is_settled": facts.is_settled,
        "is_under_review": facts.is_under_review,
    }
    if facts.proof is not None:
        evidence |= {"has_device": facts.proof.has_device, "is_code_valid": facts.proof.is_code_valid}
    if facts.plan is not None:
        evidence |= _plan(facts.plan)
    return evidence


def _plan(plan: PlanFacts) -> dict[str, Value]:
    fields = basis_of(plan.basis, plan.place) | {
        "is_known": plan.course is not None,
        "is_enrolled": plan.is_enrolled,
        "has_rooms": plan.has_rooms,
        "is_room_linked": plan.is_room_linked,
    }
    if plan.course is not None:
        fields |= _course(plan.course)
        fields |= _preferences(plan.preferences)
    return fields


def basis_of(basis: Basis, place: CopyPlace | None) -> dict[str, Value]:
    """Return who said what a decision rests on, and how far the copy was if it was the copy."""
    if place is None:
        return {"basis": basis}
    return {
        "basis": basis,
        "copy_shard": place.shard,
        "copy_pos": place.pos,
        "copy_as_of": place.as_of.isoformat(),
    }


# A class has one course, and a school the same preferences for months.
@lru_cache(maxsize=1024)
def _course(course: Course) -> Mapping[str, Value]:
    return {
        "course_id": str(course.id),
        "course_school_id": str(course.school_id),
        "course_version": course.version,
        "start_at": course.start_at.isoformat(),
        "end_at": course.end_at.isoformat(),
        "closing_delay_s": course.closing_delay // SECOND,
        "is_online": course.is_online,
        "is_cancelled": course.is_cancelled,
        "is_closed": course.is_closed,
        "closed_at": None if course.closed_at is None else course.closed_at.isoformat(),
        "open_until": None if course.open_until is None else course.open_until.isoformat(),
    }


@lru_cache(maxsize=1024)
def _preferences(preferences: Preferences) -> Mapping[str, Value]:
    return {
        "preferences_version": preferences.version,
        "students_can_sign_before_teacher": preferences.students_can_sign_before_teacher,
        "enable_flash": preferences.enable_flash,
        "enable_nfc": preferences.enable_nfc,
        "enable_qr": preferences.enable_qr,
        "early_open_s": preferences.early_open // SECOND,
        "late_grace_s": preferences.late_grace // SECOND,
    }


def plan_from(evidence: Evidence) -> PlanFacts | None:
    """Return what academics had said, as `evidence_of` kept it; None when it had not been asked with success."""
    if "basis" not in evidence:
        return None
    basis: Basis = "copy" if evidence["basis"] == "copy" else "recent" if evidence["basis"] == "recent" else "rpc"
    return PlanFacts(
        course=_course_from(evidence) if evidence["is_known"] else None,
        preferences=_preferences_from(evidence) if evidence["is_known"] else Preferences(),
        is_enrolled=bool(evidence["is_enrolled"]),
        has_rooms=bool(evidence["has_rooms"]),
        is_room_linked=bool(evidence["is_room_linked"]),
        basis=basis,
        place=_place_from(evidence),
    )


def _place_from(evidence: Evidence) -> CopyPlace | None:
    if "copy_as_of" not in evidence:
        return None
    shard, pos = evidence["copy_shard"], evidence["copy_pos"]
    return CopyPlace(
        shard=None if shard is None else int(shard),
        pos=None if pos is None else int(pos),
        as_of=datetime.fromisoformat(str(evidence["copy_as_of"])),
    )


def _course_from(evidence: Evidence) -> Course:
    closed_at, open_until = evidence["closed_at"], evidence["open_until"]
    return Course(
        id=CourseId(UUID(str(evidence["course_id"]))),
        school_id=SchoolId(UUID(str(evidence["course_school_id"]))),
        version=int(evidence["course_version"] or 0),
        start_at=datetime.fromisoformat(str(evidence["start_at"])),
        end_at=datetime.fromisoformat(str(evidence["end_at"])),
        closing_delay=int(evidence["closing_delay_s"] or 0) * SECOND,
        is_online=bool(evidence["is_online"]),
        is_cancelled=bool(evidence["is_cancelled"]),
        is_closed=bool(evidence["is_closed"]),
        closed_at=None if closed_at is None else datetime.fromisoformat(str(closed_at)),
        open_until=None if open_until is None else datetime.fromisoformat(str(open_until)),
    )


def _preferences_from(evidence: Evidence) -> Preferences:
    return Preferences(
        version=int(evidence["preferences_version"] or 0),
        students_can_sign_before_teacher=bool(evidence["students_can_sign_before_teacher"]),
        enable_flash=bool(evidence["enable_flash"]),
        enable_nfc=bool(evidence["enable_nfc"]),
        enable_qr=bool(evidence["enable_qr"]),
        early_open=int(evidence["early_open_s"] or 0) * SECOND,
        late_grace=int(evidence["late_grace_s"] or 0) * SECOND,
    )
