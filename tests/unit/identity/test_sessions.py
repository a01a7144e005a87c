"""What a refresh token is worth, by the rules alone and through the command."""

import base64
import string
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import UserId
from contracts.problems import TooManyRequestsError, UnauthenticatedError, UnavailableError
from identity_svc.commands.access import Login, log_in, refresh
from identity_svc.domain.sessions import (
    RefreshTokens,
    access_life,
    decide_refresh,
    rotate,
    start_session,
)
from identity_svc.ports import Credential
from tests.fakes.identity import InMemoryBooks, PlainPasswords
from tests.unit.identity.test_accounts import an_account

NINE = datetime(2025, 9, 1, 9, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
GRACE = timedelta(seconds=10)
TOKENS = RefreshTokens(b"k" * 32)


def a_session(type_="student", *, rotations=0, now=NINE):
    session = start_session(uuid4(), UserId(uuid4()), type_, now=now)
    for _ in range(rotations):
        session = rotate(session, type_, now=now)
    return session


@pytest.mark.parametrize(
    ("type_", "idle", "absolute", "access_s"),
    [
        ("student", timedelta(days=14), timedelta(days=30), 600),
        ("teacher", timedelta(days=7), timedelta(days=30), 600),
        ("admin", timedelta(hours=12), timedelta(days=7), 600),
        ("dev", timedelta(hours=1), timedelta(hours=12), 300),
    ],
)
def test_a_session_ends_at_its_idle_and_its_absolute_limit(type_, idle, absolute, access_s):
    session = a_session(type_)

    assert decide_refresh(session, 0, now=NINE + idle - MS) == "rotate"
    assert decide_refresh(session, 0, now=NINE + idle) == "ended"
    late = rotate(session, type_, now=NINE + absolute - idle / 2)
    assert decide_refresh(late, 1, now=NINE + absolute - MS) == "rotate"
    assert decide_refresh(late, 1, now=NINE + absolute) == "ended"
    assert access_life(session, type_, now=NINE) == timedelta(seconds=access_s)


@pytest.mark.parametrize(
    ("counter", "passed", "decision"),
    [
        (3, timedelta(0), "rotate"),
        (3, timedelta(hours=1), "rotate"),
        (2, timedelta(0), "repeat"),
        (2, GRACE, "repeat"),
        (2, GRACE + MS, "replayed"),
        (1, timedelta(0), "replayed"),
        (0, timedelta(0), "replayed"),
        (4, timedelta(0), "replayed"),
    ],
)
def test_only_the_newest_token_is_good_and_the_one_before_it_for_a_moment(counter, passed, decision):
    assert decide_refresh(a_session(rotations=3), counter, now=NINE + passed) == decision


def test_no_access_token_outlives_its_session():
    session = a_session("dev")

    assert access_life(session, "dev", now=NINE) == timedelta(minutes=5)
    assert access_life(session, "dev", now=session.expires_at - MS) == MS


@given(st.binary(max_size=80))
def test_no_bytes_but_our_own_are_a_token(raw):
    assert TOKENS.read("rt1." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()) is None


@given(st.text(max_size=100))
def test_no_text_but_our_own_is_a_token(text):
    assert TOKENS.read(text) is None
    assert TOKENS.read("rt1." + text) is None


def test_a_token_says_session_and_counter_to_whoever_has_the_key():
    session = a_session(rotations=5)

    assert TOKENS.read(TOKENS.write(session)) == (session.id, 5)
    assert RefreshTokens(b"x" * 32).read(TOKENS.write(session)) is None


def test_a_token_has_one_spelling():
    token = TOKENS.write(a_session())
    characters = string.ascii_letters + string.digits + "-_"
    twins = {token[:-1] + last for last in characters} - {token}

    # 56 bytes leave two bits of the last character unused.
    assert sum(raw_of(twin) == raw_of(token) for twin in twins) == 3
    assert [TOKENS.read(twin) for twin in (*twins, token + "=", token[4:])] == [None] * 65


def raw_of(token):
    return base64.urlsafe_b64decode(token.removeprefix("rt1.") + "=")


async def a_school(books):
    account = an_account()
    books.accounts.kept[account.id] = Credential(account=account, password_hash="plain1:secret", changed_at=NINE)
    return account


def a_login(**changes):
    usual = {"email": "ada@school.example", "password": "secret", "source": "192.0.2.1", "session_id": uuid4()}
    return Login(**(usual | changes))


async def test_a_stolen_token_ends_the_session_whoever_uses_it_first():
    books = InMemoryBooks()
    await a_school(books)
    _, session = await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=PlainPasswords(), now=NINE)
    stolen = TOKENS.write(session)
    _, session = await refresh(stolen, tokens=TOKENS, open_books=books.open, now=NINE)
    later = NINE + GRACE + MS

    with pytest.raises(UnauthenticatedError, match="refresh_failed"):
        await refresh(stolen, tokens=TOKENS, open_books=books.open, now=later)

    with pytest.raises(UnauthenticatedError, match="refresh_failed"):
        await refresh(TOKENS.write(session), tokens=TOKENS, open_books=books.open, now=later)
    assert books.sessions.ended == [(session.id, "replayed")]


async def test_a_refresh_of_a_session_that_is_gone_or_shut_fails():
    books = InMemoryBooks()
    account = await a_school(books)
    _, session = await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=PlainPasswords(), now=NINE)
    books.accounts.kept[account.id] = Credential(
        account=an_account(disabled_at=NINE), password_hash=None, changed_at=NINE
    )

    for token in (TOKENS.write(session), TOKENS.write(a_session())):
        with pytest.raises(UnauthenticatedError, match="refresh_failed"):
            await refresh(token, tokens=TOKENS, open_books=books.open, now=NINE)


async def test_a_password_changed_while_it_was_checked_lets_nobody_in():
    books = InMemoryBooks()
    account = await a_school(books)

    class Slow(PlainPasswords):
        async def matches(self, password, hashed):
            await books.accounts.set_password(account.id, "plain1:other", at=NINE + MS)
            return await super().matches(password, hashed)

    with pytest.raises(UnauthenticatedError, match="login_failed"):
        await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=Slow(), now=NINE)
    assert books.sessions.kept == {}


async def test_an_old_hash_is_replaced_and_the_tries_are_forgotten():
    books = InMemoryBooks()
    account = await a_school(books)
    books.accounts.kept[account.id] = Credential(account=account, password_hash="plain0:secret", changed_at=NINE)

    await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=PlainPasswords(), now=NINE)

    assert books.accounts.kept[account.id].password_hash == "plain1:secret"
    assert books.tries.kept == {}


async def test_a_sixth_session_ends_the_oldest_alone():
    books = InMemoryBooks()
    await a_school(books)
    sessions = []
    for minute in range(7):
        at = NINE + timedelta(minutes=minute)
        _, session = await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=PlainPasswords(), now=at)
        sessions.append(session.id)

    assert books.sessions.ended == [(sessions[0], "too_many"), (sessions[1], "too_many")]


async def test_a_full_queue_costs_nobody_a_try():
    books = InMemoryBooks()

    class Full(PlainPasswords):
        def check_room(self):
            raise UnavailableError("overloaded")

    with pytest.raises(UnavailableError):
        await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=Full(), now=NINE)
    assert books.tries.kept == {}


async def test_waiting_is_the_same_for_addresses_that_nobody_has():
    books = InMemoryBooks()
    for _ in range(5):
        with pytest.raises(UnauthenticatedError, match="login_failed"):
            await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=PlainPasswords(), now=NINE)

    with pytest.raises(TooManyRequestsError, match="login_throttled") as caught:
        await log_in(a_login(), tokens=TOKENS, open_books=books.open, passwords=PlainPasswords(), now=NINE)
    assert caught.value.extra == {"retry_after_s": 61}
