"""Which passwords are refused: too short, too long, or among the first that anybody would try."""

import re
from typing import Final

from contracts.problems import InvalidInputError
from identity_svc.domain.accounts import Account, UserType

MIN_CHARS: Final[dict[UserType, int]] = {"student": 12, "teacher": 12, "admin": 15, "dev": 15}
MAX_CHARS = 128
# What is left of a common password without its digits and signs is one of these, or several.
COMMON = """
password passwort passw motdepasse secret letmein welcome bienvenue bonjour hello admin administrator root user
login access master superman batman dragon monkey football soccer baseball hockey iloveyou jetaime sunshine
soleil princess princesse shadow chocolate chocolat computer ordinateur internet google facebook azerty qwerty
qwertz asdf zxcv abc abcd abcdef qazwsx test changeme default guest summer winter spring autumn ete hiver
printemps automne school ecole college lycee university campus student eleve etudiant teacher professeur prof
rollcall attendance presence january february march april may june july august september october november
december monday tuesday wednesday thursday friday love the my is your a i
"""
LOOKALIKE = str.maketrans("01345@$!|", "oleasasil")
DECORATION = "0123456789!?.#*-_ "
NOT_LETTERS = re.compile(r"[^a-z]+")
WORDS = frozenset(COMMON.split())
FEWEST_DIFFERENT_CHARS = 5
SHORTEST_CONTEXT_WORD = 4


def check_password(password: str, account: Account) -> None:
    """Pass when `account` may have this password. Spaces and letter case count, exactly as typed.

    Raises: InvalidInputError("password_too_short" | "password_too_long" | "password_too_common").
    """
    if len(password) < MIN_CHARS[account.type]:
        raise InvalidInputError("password_too_short", min_chars=MIN_CHARS[account.type])
    if len(password) > MAX_CHARS:
        raise InvalidInputError("password_too_long", max_chars=MAX_CHARS)
    if is_common(password, account):
        raise InvalidInputError("password_too_common")


def is_common(password: str, account: Account) -> bool:
    """Return whether `password` says little beyond common words, sequences, or what `account` shows."""
    lowered = password.lower()
    if len(set(lowered)) < FEWEST_DIFFERENT_CHARS or lowered in "01234567890123456789abcdefghijklmnopqrstuvwxyz":
        return True
    for word in (account.email.partition("@")[0], account.firstname, account.lastname, account.student_number or ""):
        if len(word) >= SHORTEST_CONTEXT_WORD:
            lowered = lowered.replace(word.lower(), "")
    spelled = lowered.strip(DECORATION).translate(LOOKALIKE)
    return any(consists_of_words(NOT_LETTERS.sub("", text)) for text in (lowered, spelled))


def consists_of_words(text: str) -> bool:
    """Return whether `text` is nothing but common words, one after another. Takes time in proportion to its length."""
    ends = {0}
    for end in range(1, len(text) + 1):
        if any(text[start:end] in WORDS for start in ends):
            ends.add(end)
    return len(text) in ends
