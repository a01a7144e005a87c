"""Whoever guesses at an account gets nowhere, and does not keep its owner out."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.problems import TooManyRequestsError, UnauthenticatedError
from identity_svc.commands.access import log_in
from identity_svc.domain.sessions import GRACE, LIFETIMES, RefreshTokens, rotate, vouches
from tests.fakes.identity import InMemoryBooks, PlainPasswords
from tests.unit.identity.test_sessions import MS, NINE, TOKENS, a_login, a_school, a_session

HOUR = timedelta(hours=1)


async def enter(books, *, now=NINE, passwords=None, **changes):
    passwords = passwords or PlainPasswords()
    return await log_in(a_login(**changes), tokens=TOKENS, open_books=books.open, passwords=passwords, now=now)


async def is_refused(books, **changes):
    """Return what a login that must fail is told, and for how long."""
    with pytest.raises((UnauthenticatedError, TooManyRequestsError)) as caught:
        await enter(books, **changes)
    return caught.value.code, caught.value.extra


async def under_attack(books, *, guesses=20, now=NINE):
    """Guess at the account from as many networks, until nobody may try any more."""
    for number in range(guesses):
        await is_refused(books, password="guess", source=f"10.0.{number}.1", now=now)


async def in_since_yesterday(books):
    """Return the refresh token of a session that the account's owner began a day ago."""
    await a_school(books)
    _, session = await enter(books, now=NINE - timedelta(days=1))
    return TOKENS.write(session)


async def test_of_ten_thousand_guesses_at_most_twenty_an_hour_are_checked():
    books, now, checked = InMemoryBooks(), NINE, []
    await a_school(books)

    class Counted(PlainPasswords):
        async def matches(self, password, hashed):
            checked.append(now)
            return await super().matches(password, hashed)

    for number in range(10_000):
        now += timedelta(seconds=0.72)
        source = f"10.{number // 256}.{number % 256}.1"
        await is_refused(books, password="guess", source=source, passwords=Counted(), now=now)

    busiest = max(sum(at <= other < at + HOUR for other in checked) for at in checked)
    assert (busiest, len(checked)) == (20, 24)


async def test_who_is_in_elsewhere_logs_in_while_others_guess():
    books = InMemoryBooks()
    token = await in_since_yesterday(books)
    await under_attack(books)

    assert (await is_refused(books))[0] == "login_throttled"
    account, session = await enter(books, refresh_token=token)

    assert session.user_id == account.id
    assert (await is_refused(books))[0] == "login_throttled"


async def test_a_session_does_not_help_against_the_limit_of_its_network():
    books = InMemoryBooks()
    token = await in_since_yesterday(books)
    for _ in range(5):
        await is_refused(books, password="guess")

    refused = await is_refused(books, refresh_token=token)

    assert refused == ("login_throttled", {"retry_after_s": 61})


async def test_a_stolen_session_guesses_no_faster_than_a_stranger():
    books = InMemoryBooks()
    token = await in_since_yesterday(books)
    told = [
        await is_refused(books, password="guess", source=f"10.0.{number}.1", refresh_token=token)
        for number in range(18)
    ]

    assert [code for code, _ in told] == ["login_failed"] * 17 + ["login_throttled"]


async def test_a_token_that_is_worth_nothing_changes_nothing():
    books = InMemoryBooks()
    token = await in_since_yesterday(books)
    strangers = a_session(now=NINE)
    await books.sessions.add(strangers)
    await under_attack(books)

    worthless = ["nonsense", token + "A", TOKENS.write(strangers), TOKENS.write(a_session()), None]
    worthless.append(RefreshTokens(b"x" * 32).write(strangers))
    told = [await is_refused(books, refresh_token=each) for each in worthless]
    told.append(await is_refused(books, email="nobody@school.example", refresh_token=token, source="10.0.99.1"))

    assert told == [("login_throttled", {"retry_after_s": 901})] * 6 + [("login_failed", {})]


@pytest.mark.parametrize(
    ("rotations", "counter", "passed", "is_good"),
    [
        (0, 0, LIFETIMES["student"].idle - MS, True),
        (0, 0, LIFETIMES["student"].idle, False),
        (0, 0, LIFETIMES["student"].idle + MS, False),
        (2, 1, GRACE, True),
        (2, 1, GRACE + MS, False),
        (2, 0, timedelta(0), False),
        (2, 3, timedelta(0), False),
    ],
)
def test_a_token_vouches_while_it_could_be_refreshed(rotations, counter, passed, is_good):
    session = a_session(rotations=rotations)

    assert vouches(session, counter, session.user_id, now=NINE + passed) is is_good


def test_a_token_vouches_for_nobody_else_and_not_once_its_session_ended():
    session = rotate(a_session(), "student", now=NINE)

    assert vouches(session, 1, session.user_id, now=NINE)
    assert not vouches(session, 1, uuid4(), now=NINE)
    assert not vouches(session, 1, None, now=NINE)
    assert not vouches(None, 1, None, now=NINE)
