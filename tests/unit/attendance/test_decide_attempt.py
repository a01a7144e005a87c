"""The table of attendance rules, row by row, a millisecond before, at and after every bound."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attendance_svc.domain.attempts import Facts, Preferences, ProofFacts
from attendance_svc.domain.deciding import closes_at, decide_attempt
from contracts.ids import ClassroomId, SchoolId, new_id
from tests.fakes.attendance import HOUR, MINUTE, MS, NINE, a_course, a_plan, an_attempt, some_facts

DAY = timedelta(days=1)
ROOM = ClassroomId(new_id())


def decided(facts, attempt):
    decision = decide_attempt(facts, attempt)
    return decision.status, decision.reason


def at(moment, plan=None, **changes):
    return decided(some_facts(plan), an_attempt(moment, **changes))


ON_TIME, LATE = ("ACCEPTED", "on_time"), ("LATE", "after_closing_delay")
CLOSED, ENDED, EARLY = ("REFUSED", "signing_closed"), ("REFUSED", "course_ended"), ("REFUSED", "too_early")
UNCERTAIN = ("PENDING", "clock_uncertain")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NINE - MS, EARLY),
        (NINE, ON_TIME),
        (NINE + MS, ON_TIME),
        (NINE + 15 * MINUTE - MS, ON_TIME),
        (NINE + 15 * MINUTE, ON_TIME),
        (NINE + 15 * MINUTE + MS, LATE),
        (NINE + 25 * MINUTE - MS, LATE),
        (NINE + 25 * MINUTE, LATE),
        (NINE + 25 * MINUTE + MS, CLOSED),
        (NINE + HOUR, CLOSED),
        (NINE + HOUR + MS, ENDED),
    ],
)
def test_the_time_decides_and_every_bound_still_counts(moment, expected):
    assert at(moment) == expected


@pytest.mark.parametrize(
    ("early_by", "expected"), [(5 * MINUTE + MS, EARLY), (5 * MINUTE, ON_TIME), (5 * MINUTE - MS, ON_TIME)]
)
def test_a_school_may_open_signing_early(early_by, expected):
    plan = a_plan(preferences=Preferences(early_open=5 * MINUTE))

    assert at(NINE - early_by, plan) == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(NINE + HOUR - MS, LATE), (NINE + HOUR, LATE), (NINE + HOUR + MS, ENDED)],
)
def test_grace_never_reaches_beyond_the_end(moment, expected):
    plan = a_plan(preferences=Preferences(late_grace=90 * MINUTE))

    assert at(moment, plan) == expected


def test_a_delay_longer_than_the_course_makes_nobody_late():
    assert at(NINE + HOUR, a_plan(a_course(closing_delay=2 * HOUR))) == ON_TIME


def test_a_delay_of_nothing_makes_everybody_late_but_the_first():
    plan = a_plan(a_course(closing_delay=timedelta(0)))

    assert [at(NINE, plan), at(NINE + MS, plan)] == [ON_TIME, LATE]


@pytest.mark.parametrize(
    ("age", "expected"),
    [(7 * DAY - MS, ("PENDING", "late_evidence")), (7 * DAY, ("PENDING", "late_evidence"))],
)
def test_a_proof_of_up_to_seven_days_is_kept(age, expected):
    assert at(NINE, received_at=NINE + age) == expected


def test_an_older_proof_is_stale():
    assert at(NINE, received_at=NINE + 7 * DAY + MS) == ("REFUSED", "stale_proof")


@pytest.mark.parametrize(
    ("ahead", "uncertainty", "expected"),
    [
        (timedelta(seconds=5), timedelta(0), ON_TIME),
        (timedelta(seconds=5) + MS, timedelta(0), ("REFUSED", "future_proof")),
        (timedelta(seconds=7), timedelta(seconds=2), ON_TIME),
        (timedelta(seconds=7) + MS, timedelta(seconds=2), ("REFUSED", "future_proof")),
    ],
)
def test_a_proof_from_the_future_is_refused_beyond_what_clocks_may_differ(ahead, uncertainty, expected):
    moment = NINE + 5 * MINUTE

    assert at(moment, received_at=moment - ahead, uncertainty=uncertainty) == expected


@pytest.mark.parametrize(
    ("age", "expected"), [(DAY - MS, ON_TIME), (DAY, ON_TIME), (DAY + MS, ("PENDING", "late_evidence"))]
)
def test_a_proof_older_than_a_day_waits_for_a_human(age, expected):
    assert at(NINE, received_at=NINE + age) == expected


@pytest.mark.parametrize("unknown", ["plan", "proof"])
def test_an_outage_is_never_a_refusal(unknown):
    facts = replace(some_facts(a_plan(is_enrolled=False)), **{unknown: None})

    assert decided(facts, an_attempt(NINE + 2 * HOUR)) == ("PENDING", "awaiting_validation")


def test_too_old_a_proof_needs_nobody_asked():
    assert decided(Facts(plan=None), an_attempt(NINE, received_at=NINE + 8 * DAY)) == ("REFUSED", "stale_proof")


def test_an_unknown_course_is_refused():
    assert at(NINE, replace(a_plan(), course=None)) == ("REFUSED", "course_unknown")


def test_a_course_of_another_school_is_unknown_to_the_student():
    plan = a_plan()

    assert at(NINE, plan, school_id=SchoolId(new_id())) == ("REFUSED", "course_unknown")
    assert at(NINE, plan, school_id=plan.course.school_id) == ON_TIME


def test_a_cancelled_course_cannot_be_signed():
    assert at(NINE, a_plan(a_course(is_cancelled=True))) == ("REFUSED", "course_cancelled")


@pytest.mark.parametrize(
    ("switched_off", "refused", "taken"),
    [
        ("enable_flash", {"FLASHLIGHT", "BEACON"}, {"NFC", "QR"}),
        ("enable_nfc", {"NFC"}, {"FLASHLIGHT", "BEACON", "QR"}),
        ("enable_qr", {"QR"}, {"FLASHLIGHT", "BEACON", "NFC"}),
    ],
)
def test_a_school_chooses_its_methods(switched_off, refused, taken):
    plan = a_plan(preferences=Preferences(**{switched_off: False}))

    assert {at(NINE, plan, method=method) for method in refused} == {("REFUSED", "method_disabled")}
    assert {at(NINE, plan, method=method) for method in taken} == {ON_TIME}


def test_a_stranger_is_not_enrolled():
    assert at(NINE, a_plan(is_enrolled=False)) == ("REFUSED", "not_enrolled")


@pytest.mark.parametrize(
    ("is_online", "has_rooms", "is_linked", "room", "expected"),
    [
        (False, True, False, ROOM, ("REFUSED", "wrong_classroom")),
        (False, True, True, ROOM, ON_TIME),
        (False, False, False, ROOM, ON_TIME),
        (True, True, False, ROOM, ON_TIME),
        (False, True, False, None, ON_TIME),
    ],
)
def test_a_proved_room_must_be_one_of_the_courses_rooms(is_online, has_rooms, is_linked, room, expected):
    plan = a_plan(a_course(is_online=is_online), has_rooms=has_rooms, is_room_linked=is_linked)

    assert at(NINE, plan, classroom_id=room) == expected


@pytest.mark.parametrize(
    ("proof", "reason"),
    [(ProofFacts(has_device=False), "device_not_bound"), (ProofFacts(is_code_valid=False), "nfc_code_invalid")],
)
def test_what_the_phone_claims_must_hold(proof, reason):
    assert decided(some_facts(proof=proof), an_attempt()) == ("REFUSED", reason)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(NINE + 5 * MINUTE - MS, ON_TIME), (NINE + 5 * MINUTE, ON_TIME), (NINE + 5 * MINUTE + MS, CLOSED)],
)
def test_a_close_by_hand_ends_signing_early(moment, expected):
    plan = a_plan(a_course(is_closed=True, closed_at=NINE + 5 * MINUTE))

    assert at(moment, plan) == expected


def test_a_close_by_the_job_writes_what_the_rules_say_anyway():
    course = a_course(is_closed=True, closed_at=NINE + 25 * MINUTE)

    assert [at(NINE + 25 * MINUTE, a_plan(course)), at(NINE + 25 * MINUTE + MS, a_plan(course))] == [LATE, CLOSED]


def test_closed_without_a_time_is_closed_throughout():
    plan = a_plan(a_course(is_closed=True), preferences=Preferences(early_open=5 * MINUTE))

    assert [at(NINE - 5 * MINUTE, plan), at(NINE, plan)] == [CLOSED, CLOSED]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NINE + 10 * MINUTE, LATE),
        (NINE + 40 * MINUTE - MS, LATE),
        (NINE + 40 * MINUTE, LATE),
        (NINE + 40 * MINUTE + MS, CLOSED),
    ],
)
def test_a_reopened_span_makes_late_until_its_end(moment, expected):
    assert at(moment, a_plan(a_course(open_until=NINE + 40 * MINUTE))) == expected


def test_a_reopened_span_may_be_closed_again():
    course = a_course(open_until=NINE + 40 * MINUTE, is_closed=True, closed_at=NINE + 30 * MINUTE)

    assert [at(NINE + 30 * MINUTE, a_plan(course)), at(NINE + 30 * MINUTE + MS, a_plan(course))] == [LATE, CLOSED]


def test_the_nominal_time_of_closing():
    course, grace = a_course(), Preferences(late_grace=10 * MINUTE)

    assert closes_at(course, grace) == NINE + 25 * MINUTE
    assert closes_at(course, Preferences(late_grace=2 * HOUR)) == NINE + HOUR
    assert closes_at(replace(course, open_until=NINE + 50 * MINUTE), grace) == NINE + 50 * MINUTE


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("bound", [NINE, NINE + 15 * MINUTE, NINE + 25 * MINUTE])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_clock_that_may_be_on_either_side_of_a_bound_asks_a_human(bound, side):
    assert at(bound + side * SECOND, uncertainty=2 * SECOND) == UNCERTAIN


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NINE + 2 * SECOND, ON_TIME),
        (NINE + 2 * SECOND - MS, UNCERTAIN),
        (NINE + 15 * MINUTE - 2 * SECOND, ON_TIME),
        (NINE + 15 * MINUTE - 2 * SECOND + MS, UNCERTAIN),
        (NINE - 2 * SECOND, UNCERTAIN),
        (NINE - 2 * SECOND - MS, EARLY),
        (NINE + 25 * MINUTE + 2 * SECOND, UNCERTAIN),
        (NINE + 25 * MINUTE + 2 * SECOND + MS, CLOSED),
    ],
)
def test_uncertainty_counts_to_the_millisecond(moment, expected):
    assert at(moment, uncertainty=2 * SECOND) == expected


@pytest.mark.parametrize(
    ("early_by", "expected"),
    [
        (5 * MINUTE + 2 * SECOND + MS, EARLY),
        (5 * MINUTE + 2 * SECOND, UNCERTAIN),
        (5 * MINUTE - 2 * SECOND + MS, UNCERTAIN),
        (5 * MINUTE - 2 * SECOND, ON_TIME),
    ],
)
def test_an_early_opening_is_a_bound_like_any_other(early_by, expected):
    plan = a_plan(preferences=Preferences(early_open=5 * MINUTE))

    assert at(NINE - early_by, plan, uncertainty=2 * SECOND) == expected


def test_uncertainty_between_two_refusals_is_a_refusal():
    assert at(NINE + HOUR - SECOND, uncertainty=2 * SECOND) == CLOSED
    assert at(NINE + HOUR + SECOND, uncertainty=2 * SECOND) == ENDED


def test_a_clock_that_was_never_set_asks_a_human_however_far_off_it_seems():
    moment = NINE + 3 * DAY

    assert at(moment, uncertainty=30 * DAY) == UNCERTAIN


def test_an_uncertain_clock_still_tells_a_stranger():
    assert at(NINE, a_plan(is_enrolled=False), uncertainty=2 * SECOND) == ("REFUSED", "not_enrolled")


@pytest.mark.parametrize("flag", ["chain_break", "two_rooms", "clock_unknown", "key_revoked_later", "chain_gap"])
def test_a_flagged_proof_waits_for_a_human(flag):
    assert at(NINE, flags=frozenset({flag})) == ("PENDING", "proof_flagged")


def test_what_a_human_took_back_only_a_human_gives_again():
    assert decided(some_facts(is_under_review=True), an_attempt()) == ("PENDING", "under_review")


@pytest.mark.parametrize(
    ("teacher_signed", "is_settled", "expected"),
    [
        (False, False, ("PENDING", "awaiting_teacher")),
        (False, True, ("REFUSED", "teacher_absent")),
        (True, False, ON_TIME),
        (True, True, ON_TIME),
    ],
)
def test_a_school_may_want_its_teacher_first(teacher_signed, is_settled, expected):
    plan = a_plan(preferences=Preferences(students_can_sign_before_teacher=False))
    facts = some_facts(plan, teacher_signed=teacher_signed, is_settled=is_settled)

    assert decided(facts, an_attempt()) == expected


# Everything that can be wrong at once, in the order of the table: of the rows that hold, the first is the answer.
WRONG = [
    ("stale_proof", {}, {"received_at": NINE + 10 * DAY}),
    ("awaiting_validation", {"facts": {"plan": None}}, {}),
    ("course_unknown", {}, {"school_id": SchoolId(new_id())}),
    ("course_cancelled", {"course": {"is_cancelled": True}}, {}),
    ("method_disabled", {"preferences": {"enable_flash": False}}, {}),
    ("too_early", {"course": {"start_at": NINE + MINUTE, "end_at": NINE + 2 * MINUTE}}, {}),
    ("course_ended", {"course": {"start_at": NINE - HOUR, "end_at": NINE - MINUTE}}, {}),
    ("not_enrolled", {"plan": {"is_enrolled": False}}, {}),
    ("wrong_classroom", {"plan": {"is_room_linked": False}}, {"classroom_id": ROOM}),
    ("device_not_bound", {"proof": {"has_device": False}}, {}),
    ("nfc_code_invalid", {"proof": {"is_code_valid": False}}, {}),
    ("signing_closed", {"course": {"is_closed": True, "closed_at": NINE - MINUTE}}, {}),
    ("clock_uncertain", {}, {"uncertainty": SECOND}),
    ("proof_flagged", {}, {"flags": frozenset({"chain_gap"})}),
    ("late_evidence", {}, {"received_at": NINE + 2 * DAY}),
    ("under_review", {"facts": {"is_under_review": True}}, {}),
    ("teacher_absent", {"preferences": {"students_can_sign_before_teacher": False}, "facts": {"is_settled": True}}, {}),
    ("awaiting_teacher", {"preferences": {"students_can_sign_before_teacher": False}}, {}),
]
# A later fault that would change what an earlier one rests on: it cannot be wrong in both ways at once.
EXCLUDES = {
    "course_ended": {"too_early"},
    "signing_closed": {"too_early", "course_ended"},
    "clock_uncertain": {"signing_closed", "too_early", "course_ended"},
    "late_evidence": {"stale_proof"},
}


def with_faults(faults):
    parts = {"course": {}, "preferences": {}, "plan": {}, "proof": {}, "facts": {}}
    asked = {}
    for _, known, attempt in reversed(faults):
        for part, changes in known.items():
            parts[part] |= changes
        asked |= attempt
    preferences = Preferences(late_grace=10 * MINUTE, **parts["preferences"])
    plan = a_plan(a_course(**parts["course"]), preferences=preferences, **parts["plan"])
    facts = some_facts(plan, proof=ProofFacts(**parts["proof"]))
    return replace(facts, **parts["facts"]), an_attempt(**asked)


@pytest.mark.parametrize("fault", WRONG, ids=lambda fault: fault[0])
def test_each_fault_alone_is_found(fault):
    assert decide_attempt(*with_faults([fault])).reason == fault[0]


@settings(max_examples=60)
@given(st.sets(st.integers(0, len(WRONG) - 1), min_size=2))
def test_of_many_faults_the_first_in_the_table_is_the_answer(chosen):
    faults = [WRONG[index] for index in sorted(chosen)]
    names = {name for name, _, _ in faults}
    faults = [fault for fault in faults if not EXCLUDES.get(fault[0], set()) & names]

    assert decide_attempt(*with_faults(faults)).reason == faults[0][0]


@settings(max_examples=100)
@given(st.integers(-120, 120), st.integers(0, 40))
def test_uncertainty_never_turns_presence_into_a_refusal(minute, uncertainty):
    moment = NINE + minute * MINUTE
    status, _ = at(moment)

    doubted, _ = at(moment, uncertainty=uncertainty * MINUTE)

    assert doubted in (status, "PENDING")
