"""How a student's attempt to sign is judged: the whole table, first match wins."""

from datetime import datetime, timedelta

from attendance_svc.domain.attempts import (
    Attempt,
    Course,
    Decision,
    Facts,
    PlanFacts,
    Preferences,
    ProofFacts,
    Reason,
    Status,
)

MAX_AGE = timedelta(days=7)
MAX_AHEAD = timedelta(seconds=5)
AUTOMATIC_AGE = timedelta(hours=24)
# The finest step of time that is kept: the first moment after a bound.
TICK = timedelta(microseconds=1)

Verdict = tuple[Status, Reason]


def decide_attempt(facts: Facts, attempt: Attempt) -> Decision:
    """Decide what `attempt` earns. Same inputs, same decision, for ever.

    Source: school regulation as in attendance-rules, rows 0 to 16; all bounds are inclusive.
    """
    status, reason = _by_age(attempt) or _by_facts(facts, attempt)
    return Decision(status=status, reason=reason)


def _by_age(attempt: Attempt) -> Verdict | None:
    if attempt.received_at - attempt.t > MAX_AGE:
        return "REFUSED", "stale_proof"
    if attempt.t > attempt.received_at + MAX_AHEAD + attempt.uncertainty:
        return "REFUSED", "future_proof"
    return None


def _by_facts(facts: Facts, attempt: Attempt) -> Verdict:
    if facts.plan is None or facts.proof is None:
        return "PENDING", "awaiting_validation"
    course = facts.plan.course
    if course is None or attempt.school_id not in (None, course.school_id):
        return "REFUSED", "course_unknown"
    preferences = facts.plan.preferences
    by_clock = _by_clock(course, preferences, attempt.t)
    possible = _possible(course, preferences, attempt)
    # Time refuses only when it does so at every moment that `t` may stand for.
    refusal = _refusal(course, facts.plan, facts.proof, attempt, by_clock[1] if possible == {"REFUSED"} else None)
    if refusal is not None:
        return "REFUSED", refusal
    return _doubt(preferences, facts, attempt, is_uncertain=len(possible) > 1) or by_clock


def _refusal(
    course: Course, plan: PlanFacts, proof: ProofFacts, attempt: Attempt, by_time: Reason | None
) -> Reason | None:
    in_wrong_room = (
        attempt.classroom_id is not None and not course.is_online and plan.has_rooms and not plan.is_room_linked
    )
    rows: tuple[tuple[bool, Reason], ...] = (
        (course.is_cancelled, "course_cancelled"),
        (not plan.preferences.enables(attempt.method), "method_disabled"),
        (by_time == "too_early", "too_early"),
        (by_time == "course_ended", "course_ended"),
        (not plan.is_enrolled, "not_enrolled"),
        (in_wrong_room, "wrong_classroom"),
        (not proof.has_device, "device_not_bound"),
        (not proof.is_code_valid, "nfc_code_invalid"),
        (by_time == "signing_closed", "signing_closed"),
    )
    return next((reason for holds, reason in rows if holds), None)


def _doubt(preferences: Preferences, facts: Facts, attempt: Attempt, *, is_uncertain: bool) -> Verdict | None:
    waits = not (preferences.students_can_sign_before_teacher or facts.teacher_signed)
    rows: tuple[tuple[bool, Status, Reason], ...] = (
        (is_uncertain, "PENDING", "clock_uncertain"),
        (bool(attempt.flags), "PENDING", "proof_flagged"),
        (attempt.received_at - attempt.t > AUTOMATIC_AGE, "PENDING", "late_evidence"),
        (facts.is_under_review, "PENDING", "under_review"),
        (waits and facts.is_settled, "REFUSED", "teacher_absent"),
        (waits, "PENDING", "awaiting_teacher"),
    )
    return next(((status, reason) for holds, status, reason in rows if holds), None)


def _possible(course: Course, preferences: Preferences, attempt: Attempt) -> set[Status]:
    """Return what the clock says at all the moments within the uncertainty."""
    first, last = attempt.t - attempt.uncertainty, attempt.t + attempt.uncertainty
    moments = {attempt.t}
    # Far from every bound the clock says the same all the time.
    for bound in bounds_of(course, preferences):
        if first - TICK <= bound <= last + TICK:
            moments |= {first, last, bound - TICK, bound, bound + TICK}
    return {_by_clock(course, preferences, moment)[0] for moment in moments if first <= moment <= last}


def bounds_of(course: Course, preferences: Preferences) -> tuple[datetime, ...]:
    """Return the moments up to which, or from which on, one answer of the clock holds."""
    opens_at = course.start_at - preferences.early_open
    late_from = course.start_at + course.closing_delay
    return opens_at, late_from, closes_at(course, preferences), course.end_at


def due_of(course: Course, preferences: Preferences) -> datetime:
    """Return the last moment at which signing is open by the plan, whether it was closed or not."""
    return course.open_until or min(course.end_at, course.start_at + course.closing_delay + preferences.late_grace)


def closes_at(course: Course, preferences: Preferences) -> datetime:
    """Return the last moment at which signing is open, as far as was recorded at `t`."""
    due = due_of(course, preferences)
    if not course.is_closed:
        return due
    # Closed, and nobody says when: an academics of the seed. It was closed before any `t` that it is asked for.
    return min(due, course.closed_at or course.start_at - preferences.early_open - TICK)


def _by_clock(course: Course, preferences: Preferences, at: datetime) -> Verdict:
    rows: tuple[tuple[bool, Status, Reason], ...] = (
        (at < course.start_at - preferences.early_open, "REFUSED", "too_early"),
        (at > course.end_at, "REFUSED", "course_ended"),
        (at > closes_at(course, preferences), "REFUSED", "signing_closed"),
        (course.open_until is not None, "LATE", "after_closing_delay"),
        (at > course.start_at + course.closing_delay, "LATE", "after_closing_delay"),
    )
    found = ((status, reason) for holds, status, reason in rows if holds)
    return next(found, ("ACCEPTED", "on_time"))
