"""Which passwords are refused."""

from dataclasses import replace

import pytest

from contracts.problems import InvalidInputError
from identity_svc.domain.passwords import check_password
from tests.unit.identity.test_accounts import an_account

ADA = an_account(email="ada.king@school.example", firstname="Augusta", lastname="Lovelace", student_number="20251234")


@pytest.mark.parametrize(("type_", "shortest"), [("student", 12), ("teacher", 12), ("admin", 15), ("dev", 15)])
def test_how_short_a_password_may_be_depends_on_whose_it_is(type_, shortest):
    account = an_account(type_)
    check_password("zebra tulip 14 moss"[:shortest], account)

    with pytest.raises(InvalidInputError, match="password_too_short") as caught:
        check_password("zebra tulip 14 moss"[: shortest - 1], account)
    assert caught.value.extra == {"min_chars": shortest}


def test_characters_count_not_bytes():
    check_password("élan vital 🦉🦉", replace(ADA, student_number=None))
    with pytest.raises(InvalidInputError, match="password_too_short"):
        check_password("🦉 owl tulip", ADA)


def test_a_hundred_and_twenty_eight_characters_are_enough():
    text = "zebra tulip moss " * 8
    check_password(text[:128], ADA)

    with pytest.raises(InvalidInputError, match="password_too_long"):
        check_password(text[:129], ADA)


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password1234!",
        "P@ssw0rd2025",
        "motdepasse2025",
        "azerty123456",
        "qwertyqwerty",
        "iloveyou1234",
        "letmeinletmein",
        "administrator1",
        "welcome-my-school",
        "123456789012",
        "abcdefghijkl",
        "aaaaaaaaaaaa",
        "abababababab",
        "!!!!!!!!!!!1",
        "98712365498712",
        "ada.king2025!",
        "Lovelace-1815",
        "AugustaLovelace",
        "20251234!2025",
    ],
)
def test_the_first_guesses_are_refused(password):
    with pytest.raises(InvalidInputError, match="password_too_common"):
        check_password(password, ADA)


@pytest.mark.parametrize(
    "password",
    ["correct horse 7 battery", "zebra tulip 14", "Lovelace in a teapot", "xkcd936 fnord!", "mein grüner Igel"],
)
def test_a_password_with_something_of_its_own_is_taken(password):
    check_password(password, ADA)


def test_a_long_password_of_common_words_is_judged_at_once():
    with pytest.raises(InvalidInputError, match="password_too_common"):
        check_password(("abcabcdabcdef" * 10)[:128], ADA)
