"""Who may meet another one of the same batch has a later turn."""

from dataclasses import replace
from uuid import uuid4

from attendance_svc.commands.asking import Asked
from attendance_svc.commands.attempts import Case, in_turns
from contracts.events.envelope import Cause
from contracts.ids import CourseId, SignatureId, StudentId, new_id
from tests.fakes.attendance import NINE, an_attempt, some_facts

ANN, BOB = StudentId(uuid4()), StudentId(uuid4())
MATHS, ART = CourseId(new_id()), CourseId(new_id())


def a_case(student, course, key=None):
    attempt = replace(an_attempt(student_id=student, course_id=course), idempotency_key=key)
    asked = Asked(attempt=attempt, facts=some_facts())
    return Case(asked=asked, signature_id=SignatureId(new_id()), cause=Cause(at=NINE, actor_type="job"))


def turns_of(*cases):
    """The numbers of the cases, turn by turn."""
    return [list(turn) for turn in in_turns(cases)]


def test_those_who_cannot_meet_go_at_once():
    assert turns_of(a_case(ANN, MATHS), a_case(BOB, MATHS), a_case(ANN, ART), a_case(BOB, None)) == [[0, 1, 2, 3]]


def test_a_student_who_comes_again_in_a_course_waits_each_time():
    assert turns_of(a_case(ANN, MATHS), a_case(ANN, MATHS), a_case(BOB, MATHS), a_case(ANN, MATHS)) == [
        [0, 2],
        [1],
        [3],
    ]


def test_a_key_that_comes_again_waits_whoever_brings_it():
    assert turns_of(a_case(ANN, MATHS, "k"), a_case(BOB, ART, "k"), a_case(BOB, ART, "l")) == [[0], [1], [2]]


def test_nothing_takes_no_turn():
    assert in_turns([]) == []
