"""Guessing codes gets nowhere, and forgetting is bounded."""

from datetime import timedelta
from uuid import uuid4

import pytest

from attendance_svc.commands.phones import STUDENTS_REMEMBERED, WrongCodes
from contracts.problems import TooManyRequestsError
from tests.fakes.attendance import MINUTE, MS, NINE


def guessing(times):
    codes, student = WrongCodes(), uuid4()
    for n in range(times):
        codes.note(student, NINE + timedelta(seconds=n))
    return codes, student


def test_four_wrong_codes_are_forgiven_and_the_fifth_is_not():
    codes, student = guessing(4)
    codes.check(student, NINE + MINUTE / 2)
    codes.note(student, NINE + MINUTE / 2)

    with pytest.raises(TooManyRequestsError):
        codes.check(student, NINE + MINUTE / 2)


def test_a_minute_later_a_student_may_try_again():
    codes, student = guessing(5)

    with pytest.raises(TooManyRequestsError):
        codes.check(student, NINE + MINUTE - MS)
    codes.check(student, NINE + MINUTE)


def test_one_students_guesses_do_not_stop_another():
    codes, _ = guessing(5)

    codes.check(uuid4(), NINE)


def test_only_so_many_students_are_remembered():
    codes, student = guessing(5)
    for _ in range(STUDENTS_REMEMBERED):
        codes.note(uuid4(), NINE)

    codes.check(student, NINE + MINUTE / 2)
