"""Ask those who know about an attempt: academics for the plan, identity and beacon_svc for a phone's claim."""

from dataclasses import dataclass, replace

from attendance_svc.domain.attempts import Attempt, Facts, NfcClaim, PlanFacts, ProofFacts
from attendance_svc.ports import CourseDirectory, NfcCodes, Phones, Timetable
from contracts.problems import ForbiddenError, MalformedError, UnauthenticatedError, UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everybody who may be asked about an attempt."""

    directory: CourseDirectory
    timetable: Timetable
    phones: Phones
    codes: NfcCodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An attempt with what was found out about it. missing: the services that could not be asked ("identity")."""

    attempt: Attempt
    facts: Facts
    missing: frozenset[str] = frozenset()


async def ask(attempt: Attempt, *, sources: Sources) -> Asked:
    """Return what held at `attempt.t`; an outage is a fact (None), not an error."""
    missing: set[str] = set()
    proof: ProofFacts | None = ProofFacts(has_device=attempt.has_device)
    if attempt.claim is not None:
        attempt, proof, missing = await _ask_about_claim(attempt, attempt.claim, sources)
    attempt, plan = await _ask_academics(attempt, sources)
    if plan is None:
        missing |= {"academics"}
    return Asked(attempt=attempt, facts=Facts(plan=plan, proof=proof), missing=frozenset(missing))


async def _ask_academics(attempt: Attempt, sources: Sources) -> tuple[Attempt, PlanFacts | None]:
    if attempt.course_id is None:
        if attempt.classroom_id is None:
            return attempt, PlanFacts(course=None)
        courses = await sources.timetable.find_in_room(attempt.classroom_id, attempt.t)
        if courses is None:
            return attempt, None
        if len(courses) != 1:
            return attempt, PlanFacts(course=None, basis="copy")
        attempt = replace(attempt, course_id=courses[0])
    try:
        return attempt, await sources.directory.get_plan(attempt)
    except UnavailableError:
        return attempt, None


async def _ask_about_claim(
    attempt: Attempt, claim: NfcClaim, sources: Sources
) -> tuple[Attempt, ProofFacts | None, set[str]]:
    missing: set[str] = set()
    has_device = True
    try:
        has_device = await sources.phones.check(claim.request, attempt.student_id, at=attempt.received_at)
    except (ForbiddenError, MalformedError, UnauthenticatedError):
        has_device = False
    except UnavailableError:
        missing.add("identity")
    reading = None
    try:
        reading = await sources.codes.read(claim.serial, claim.code, at=attempt.t, school_id=attempt.school_id)
    except UnavailableError:
        missing.add("beacon")
    if reading is not None:
        attempt = replace(attempt, beacon_id=reading.beacon_id, classroom_id=reading.classroom_id)
    facts = None if missing else ProofFacts(has_device=has_device, is_code_valid=reading is not None)
    return attempt, facts, missing
