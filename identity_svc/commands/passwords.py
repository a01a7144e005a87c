"""Choosing a new password: with the old one, or with a one-time token."""

import hashlib
import secrets
from datetime import datetime, timedelta

from contracts.ids import UserId
from contracts.problems import ForbiddenError, UnauthenticatedError
from identity_svc.commands.access import refuse_until
from identity_svc.commands.accounts import end_sessions, get_for_change
from identity_svc.domain.accounts import Actor, check_may_administer, check_not_self
from identity_svc.domain.passwords import check_password
from identity_svc.domain.throttle import keys_of
from identity_svc.ports import Books, OpenBooks, Passwords

RESET_PREFIX = "pr1."
RESET_BYTES = 32
RESET_LIFE = timedelta(hours=24)


async def change_password(
    current: str, new: str, *, actor: Actor, open_books: OpenBooks, passwords: Passwords, now: datetime
) -> None:
    """Replace the caller's own password, end their other sessions and any reset token of theirs.

    Raises: ForbiddenError("password_wrong"), InvalidInputError, TooManyRequestsError, UnavailableError.
    """
    passwords.check_room()
    # Counted like logins: whoever holds a stolen token must not be able to guess the password either.
    keys = keys_of(f"password:{actor.id}", str(actor.session_id))
    async with open_books() as books:
        wait_until = await books.tries.admit(keys, now=now)
        known = await books.accounts.get_credential(actor.id)
    refuse_until(wait_until, now)
    check_password(new, known.account)
    if not await passwords.matches(current, known.password_hash):
        raise ForbiddenError("password_wrong")
    hashed = await passwords.hash(new)
    async with open_books() as books:
        await books.accounts.lock(actor.id)
        if (await books.accounts.get_credential(actor.id)).changed_at != known.changed_at:
            raise ForbiddenError("password_wrong")
        await books.tries.forget(list(keys))
        await books.accounts.set_password(actor.id, hashed, at=now)
        await books.resets.forget(actor.id)
        others = [s for s in await books.sessions.list_live(actor.id, now=now) if s.id != actor.session_id]
        await books.sessions.end(others, "password_changed", now=now)


async def issue_reset(user_id: UserId, *, actor: Actor, books: Books, now: datetime) -> tuple[str, datetime]:
    """Return a one-time token, and until when its holder may choose a new password for the account.

    The old password and the sessions stay until it is used. Raises: NotFoundError, ForbiddenError.
    """
    account = await get_for_change(user_id, actor=actor, books=books)
    check_may_administer(actor, account)
    check_not_self(actor, account)
    if account.type == "dev":
        raise ForbiddenError("forbidden")
    token = RESET_PREFIX + secrets.token_urlsafe(RESET_BYTES)
    await books.resets.put(user_id, digest_of(token), expires_at=now + RESET_LIFE)
    await books.trail.note("password_reset_issued", account)
    return token, now + RESET_LIFE


async def use_reset(token: str, new: str, *, open_books: OpenBooks, passwords: Passwords, now: datetime) -> None:
    """Set the password of the token's account and end all of its sessions. Works once.

    Raises: UnauthenticatedError("reset_token_invalid"), InvalidInputError, UnavailableError.
    """
    digest = digest_of(token)
    async with open_books() as books:
        user_id = await books.resets.find(digest, now=now)
        account = (await books.accounts.get_credential(user_id)).account if user_id else None
    if account is None or not account.is_live:
        raise UnauthenticatedError("reset_token_invalid")
    check_password(new, account)
    hashed = await passwords.hash(new)
    async with open_books() as books:
        await books.accounts.lock(account.id)
        if await books.resets.take(digest, now=now) != account.id:
            raise UnauthenticatedError("reset_token_invalid")
        await books.accounts.set_password(account.id, hashed, at=now)
        await end_sessions(account, "password_changed", books=books, now=now)


def digest_of(token: str) -> bytes:
    """Return what is stored of a reset token; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
