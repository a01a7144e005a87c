"""Every book keeps the same promises, in memory or in PostgreSQL."""

from datetime import timedelta
from uuid import uuid4

import pytest

from identity_svc.domain.sessions import rotate, start_session
from identity_svc.domain.throttle import FROM_ANYWHERE, FROM_ONE_PLACE
from tests.contract.identity.conftest import NINE, PostgresShelf, an_account

PLACE, ANYWHERE = b"p" * 32, b"a" * 32
KEYS = {PLACE: FROM_ONE_PLACE, ANYWHERE: FROM_ANYWHERE}


async def a_session(shelf, *, at=NINE, account=None):
    if account is None:
        account = an_account()
        await shelf.add(account)
    session = start_session(uuid4(), account.id, account.type, now=at)
    async with shelf.open() as books:
        await books.sessions.add(session)
    return session


async def test_a_session_is_found_as_it_was_kept_and_as_it_was_refreshed(shelf):
    session = await a_session(shelf)
    later = rotate(session, "student", now=NINE + timedelta(minutes=1))

    async with shelf.open() as books:
        found = await books.sessions.lock(session.id)
        assert found == await books.sessions.find(session.id)
        await books.sessions.save(later)
        assert (found, await books.sessions.lock(session.id)) == (session, later)
        assert await books.sessions.lock(uuid4()) is await books.sessions.find(uuid4()) is None


async def test_live_sessions_come_oldest_first_without_those_that_ended(shelf):
    account = an_account()
    await shelf.add(account)
    at = [NINE + timedelta(minutes=n) for n in (2, 0, 1)]
    second, first, ended = [await a_session(shelf, at=moment, account=account) for moment in at]
    await a_session(shelf)

    async with shelf.open() as books:
        await books.sessions.end([ended], "logged_out", now=NINE)
        live = await books.sessions.list_live(account.id, now=NINE + timedelta(minutes=3))
        rested = await books.sessions.list_live(account.id, now=first.idle_expires_at)
        none = await books.sessions.list_live(account.id, now=second.expires_at)

    assert live == [first, second]
    assert (rested, none) == ([second], [])


async def test_an_ended_session_is_announced_once(shelf):
    session = await a_session(shelf)

    for reason in ("logged_out", "forced"):
        async with shelf.open() as books:
            await books.sessions.end([session], reason, now=NINE)

    assert await shelf.ended() == [(session.id, "logged_out")]
    async with shelf.open() as books:
        assert (await books.sessions.lock(session.id)).revoked_at == NINE


async def test_tries_are_counted_until_one_must_wait_and_then_not(shelf):
    answers = []
    for _ in range(7):
        async with shelf.open() as books:
            answers.append(await books.tries.admit(KEYS, now=NINE))

    assert answers == [None] * 5 + [NINE + timedelta(minutes=1)] * 2


async def test_a_refused_try_counts_under_no_key(shelf):
    for _ in range(30):
        async with shelf.open() as books:
            await books.tries.admit(KEYS, now=NINE)

    async with shelf.open() as books:
        assert await books.tries.admit({ANYWHERE: FROM_ANYWHERE}, now=NINE) is None


async def test_forgotten_tries_count_no_more(shelf):
    for _ in range(5):
        async with shelf.open() as books:
            await books.tries.admit(KEYS, now=NINE)

    async with shelf.open() as books:
        await books.tries.forget([PLACE, ANYWHERE])
    async with shelf.open() as books:
        assert await books.tries.admit(KEYS, now=NINE) is None


async def test_an_account_is_found_by_its_address_in_any_letter_case_until_it_is_retired(shelf):
    account = an_account(email="Ada@School.example")
    await shelf.add(account)
    await shelf.add(an_account(email="gone@school.example"))

    async with shelf.open() as books:
        found = await books.accounts.find_credential("aDA@sCHOOL.example")
        assert (found.account, found.password_hash) == (account, "hash")
        assert await books.accounts.get_credential(account.id) == found
        assert await books.accounts.lock(account.id) == account
        assert await books.accounts.find_credential("bob@school.example") is None
        assert await books.accounts.lock(uuid4()) is None


async def test_another_hash_of_the_same_password_is_no_new_password(shelf):
    account = an_account()
    await shelf.add(account, "old")
    later = NINE + timedelta(minutes=1)

    async with shelf.open() as books:
        await books.accounts.replace_hash(account.id, "new")
        same = await books.accounts.get_credential(account.id)
        await books.accounts.set_password(account.id, "other", at=later)
        other = await books.accounts.get_credential(account.id)

    assert (same.password_hash, same.changed_at) == ("new", NINE)
    assert (other.password_hash, other.changed_at) == ("other", later)


async def test_a_new_password_replaces_the_old_one(shelf):
    account = an_account()
    await shelf.add(account, "old")

    async with shelf.open() as books:
        await books.accounts.set_password(account.id, "new", at=NINE)
        assert (await books.accounts.get_credential(account.id)).password_hash == "new"
        await books.accounts.set_password(account.id, None, at=NINE)
        assert (await books.accounts.get_credential(account.id)).password_hash is None


async def test_when_the_caller_fails_neither_change_nor_event_is_kept(pool):
    shelf = PostgresShelf(pool)
    session = await a_session(shelf)

    with pytest.raises(ZeroDivisionError):
        async with shelf.open() as books:
            await books.sessions.end([session], "forced", now=NINE)
            raise ZeroDivisionError

    assert await shelf.ended() == []
    async with shelf.open() as books:
        assert await books.sessions.lock(session.id) == session
