"""Getting in, staying in, getting out."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.problems import NotFoundError, TooManyRequestsError, UnauthenticatedError
from identity_svc.domain.accounts import Account, Actor
from identity_svc.domain.sessions import (
    MAX_SESSIONS,
    RefreshTokens,
    Session,
    decide_refresh,
    rotate,
    start_session,
    vouches,
)
from identity_svc.domain.throttle import keys_of
from identity_svc.ports import Books, Credential, OpenBooks, Passwords


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who wants in.

    source: the caller's address. session_id: of the session to be. refresh_token: of an earlier one.
    """

    email: str
    password: str
    source: str
    session_id: UUID
    refresh_token: str | None = None


async def log_in(
    login: Login, *, tokens: RefreshTokens, open_books: OpenBooks, passwords: Passwords, now: datetime
) -> tuple[Account, Session]:
    """Check the password and start a session; of more than five, the oldest ends.

    Whoever brings the refresh token of a live session of the account is not kept out by others who guess at it; a token
    that is worth nothing changes nothing, and nobody is told.
    Raises: UnauthenticatedError("login_failed"), the same whatever was wrong; TooManyRequestsError("login_throttled");
    UnavailableError("overloaded").
    """
    passwords.check_room()
    async with open_books() as books:
        found = await books.accounts.find_credential(login.email)
        own_id = await _find_own_session(books, login, found, tokens=tokens, now=now)
        keys = keys_of("login:" + login.email.lower(), login.source, session_id=own_id)
        # Counted before the password is checked: of many guesses at once, few get through.
        wait_until = await books.tries.admit(keys, now=now)
    refuse_until(wait_until, now)
    hashed = found.password_hash if found else None
    if not await passwords.matches(login.password, hashed) or found is None or hashed is None:
        raise UnauthenticatedError("login_failed")
    rehashed = await passwords.hash(login.password) if passwords.is_outdated(hashed) else None
    async with open_books() as books:
        account = await books.accounts.lock(found.account.id)
        current = await books.accounts.get_credential(found.account.id)
        # What was true when the password was checked may not be so any more.
        if account is None or not account.is_live or current.changed_at != found.changed_at:
            raise UnauthenticatedError("login_failed")
        await books.tries.forget(list(keys))
        if rehashed:
            await books.accounts.replace_hash(account.id, rehashed)
        return account, await begin_session(books, account, login.session_id, now=now)


async def _find_own_session(
    books: Books, login: Login, found: Credential | None, *, tokens: RefreshTokens, now: datetime
) -> UUID | None:
    if login.refresh_token is None:
        return None
    # A token that nobody wrote is looked up like any other: how long it takes tells nothing.
    session_id, counter = tokens.read(login.refresh_token) or (login.session_id, 0)
    session = await books.sessions.find(session_id)
    return session_id if vouches(session, counter, found.account.id if found else None, now=now) else None


def refuse_until(moment: datetime | None, now: datetime) -> None:
    """Raises: TooManyRequestsError("login_throttled") when tries are refused until `moment`."""
    if moment is not None:
        raise TooManyRequestsError("login_throttled", retry_after_s=int((moment - now).total_seconds()) + 1)


async def begin_session(books: Books, account: Account, session_id: UUID, *, now: datetime) -> Session:
    """Start a session of a locked account and end the oldest of too many."""
    live = await books.sessions.list_live(account.id, now=now)
    await books.sessions.end(live[: max(0, len(live) + 1 - MAX_SESSIONS)], "too_many", now=now)
    session = start_session(session_id, account.id, account.type, now=now)
    await books.sessions.add(session)
    return session


async def refresh(
    token: str, *, tokens: RefreshTokens, open_books: OpenBooks, now: datetime
) -> tuple[Account, Session]:
    """Exchange a refresh token for the next one; a spent token ends its session.

    Safe to repeat for ten seconds: the same token then earns the same next one.
    Raises: UnauthenticatedError("refresh_failed").
    """
    named = tokens.read(token)
    if named is None:
        raise UnauthenticatedError("refresh_failed")
    async with open_books() as books:
        kept = await _refresh(books, *named, now=now)
    # Only now: a replay must be refused and yet leave its mark.
    if kept is None:
        raise UnauthenticatedError("refresh_failed")
    return kept


async def _refresh(books: Books, session_id: UUID, counter: int, *, now: datetime) -> tuple[Account, Session] | None:
    session = await books.sessions.lock(session_id)
    if session is None:
        return None
    account = (await books.accounts.get_credential(session.user_id)).account
    match decide_refresh(session, counter, now=now):
        case "rotate" if account.is_live:
            session = rotate(session, account.type, now=now)
            await books.sessions.save(session)
        case "repeat" if account.is_live:
            pass
        case "replayed":
            await books.sessions.end([session], "replayed", now=now)
            return None
        case _:
            return None
    return account, session


async def log_out(actor: Actor, *, everywhere: bool, books: Books, now: datetime) -> None:
    """End the session that calls, or all of its owner's. Safe to repeat."""
    live = await books.sessions.list_live(actor.id, now=now)
    await books.sessions.end([s for s in live if everywhere or s.id == actor.session_id], "logged_out", now=now)


async def end_session(session_id: UUID, *, actor: Actor, books: Books, now: datetime) -> None:
    """End one of the caller's own sessions. Safe to repeat. Raises: NotFoundError."""
    session = await books.sessions.lock(session_id)
    if session is None or session.user_id != actor.id:
        raise NotFoundError("not_found")
    await books.sessions.end([session], "logged_out", now=now)
