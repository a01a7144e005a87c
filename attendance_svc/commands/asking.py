"""Find out what holds about an attempt: from the copy of academics, else from academics, identity and beacon_svc."""

from collections.abc import Sequence
from dataclasses import replace

from attendance_svc.commands.academics import Academics
from attendance_svc.domain.attempts import Attempt, Claim, Decision, Facts, NfcClaim, PlanFacts, ProofFacts
from attendance_svc.domain.freshness import SeenVersion
from attendance_svc.ports import NfcCodes, Phones, Timetable
from contracts.problems import ForbiddenError, MalformedError, UnauthenticatedError, UnavailableError
from contracts.values import value


@value
class Sources:
    """Everybody who knows something about an attempt."""

    academics: Academics
    timetable: Timetable
    phones: Phones
    codes: NfcCodes

    def after(self, seen: SeenVersion | None) -> "Sources":
        """Return the same, for a caller who has seen academics write `seen`."""
        return self if seen is None else replace(self, academics=self.academics.after(seen))


@value
class Asked:
    """An attempt with what was found out about it. missing: the services that could not be asked ("identity").

    decision: what these facts alone earn, where that was looked at already.
    """

    attempt: Attempt
    facts: Facts
    missing: frozenset[str] = frozenset()
    decision: Decision | None = None


async def find_out(attempt: Attempt, *, sources: Sources) -> Asked:
    """Return what held at `attempt.t`, asking as few as possible; an outage is a fact (None), not an error."""
    [known] = await look_up([attempt], sources=sources)
    return known or await ask(attempt, sources=sources)


async def look_up(attempts: Sequence[Attempt], *, sources: Sources) -> list[Asked | None]:
    """Return what held about each attempt as far as nobody else need be asked; all are read in one snapshot.

    None: `ask` about this one, without letting the others wait for it.
    """
    proofs = {
        place: ProofFacts(has_device=attempt.has_device)
        for place, attempt in enumerate(attempts)
        if attempt.claim is None
    }
    found = await _look_up([(attempts[place], proof) for place, proof in proofs.items()], sources)
    known = list[Asked | None]([None] * len(attempts))
    for (place, proof), (attempt, plan, decision) in zip(proofs.items(), found, strict=True):
        if plan is not None:
            known[place] = Asked(attempt=attempt, facts=Facts(plan=plan, proof=proof), decision=decision)
    return known


async def ask(attempt: Attempt, *, sources: Sources) -> Asked:
    """Ask those who know what held at `attempt.t`; an outage is a fact (None), not an error."""
    missing: set[str] = set()
    proof: ProofFacts | None = ProofFacts(has_device=attempt.has_device)
    plan: PlanFacts | None = None
    if attempt.claim is None:
        attempt, plan = await _place(attempt, sources)
    else:
        attempt, proof, missing = await _ask_about_claim(attempt, attempt.claim, sources)
        [(attempt, plan, _)] = await _look_up([(attempt, proof)], sources)
    if plan is None and attempt.course_id is not None:
        plan = await sources.academics.ask(attempt)
    if plan is None:
        missing |= {"academics"}
    return Asked(attempt=attempt, facts=Facts(plan=plan, proof=proof), missing=frozenset(missing))


async def _look_up(
    wanted: Sequence[tuple[Attempt, ProofFacts | None]], sources: Sources
) -> list[tuple[Attempt, PlanFacts | None, Decision | None]]:
    placed = [await _place(attempt, sources) for attempt, _ in wanted]
    found: list[tuple[Attempt, PlanFacts | None, Decision | None]] = [(*each, None) for each in placed]
    places = [place for place, (attempt, plan) in enumerate(placed) if plan is None and attempt.course_id is not None]
    answers = await sources.academics.look_up([(placed[place][0], wanted[place][1]) for place in places])
    for place, answer in zip(places, answers, strict=True):
        if answer is not None:
            found[place] = (placed[place][0], *answer)
    return found


async def _place(attempt: Attempt, sources: Sources) -> tuple[Attempt, PlanFacts | None]:
    """Return the attempt with its course: the only one in the proved room. The facts: that there is no such course."""
    if attempt.course_id is not None:
        return attempt, None
    if attempt.classroom_id is None:
        return attempt, PlanFacts(course=None, basis="copy")
    margin = sources.academics.margin
    courses = await sources.timetable.find_in_room(attempt.classroom_id, attempt.t, margin=margin)
    if courses is None:
        return attempt, None
    if len(courses) != 1:
        return attempt, PlanFacts(course=None, basis="copy")
    return replace(attempt, course_id=courses[0]), None


async def _ask_about_claim(
    attempt: Attempt, claim: Claim, sources: Sources
) -> tuple[Attempt, ProofFacts | None, set[str]]:
    missing: set[str] = set()
    has_device = is_code_valid = True
    try:
        has_device = bool(await sources.phones.check(claim.request, attempt.student_id, at=attempt.received_at))
    except (ForbiddenError, MalformedError, UnauthenticatedError):
        has_device = False
    except UnavailableError:
        missing.add("identity")
    if isinstance(claim, NfcClaim):
        try:
            reading = await sources.codes.read(claim.serial, claim.code, at=attempt.t, school_id=attempt.school_id)
            is_code_valid = reading is not None
            if reading is not None:
                attempt = replace(attempt, beacon_id=reading.beacon_id, classroom_id=reading.classroom_id)
        except UnavailableError:
            missing.add("beacon")
    facts = None if missing else ProofFacts(has_device=has_device, is_code_valid=is_code_valid)
    return attempt, facts, missing
