"""Making, changing and retiring accounts."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from contracts.events.identity import UserDeleted, UserDisabled, UserUpdated
from contracts.ids import UserId
from contracts.problems import ConflictError, NotFoundError, PreconditionFailedError
from identity_svc.domain.accounts import (
    Account,
    Actor,
    AdminRole,
    check_fields,
    check_may_administer,
    check_may_change,
    check_not_self,
    check_reach,
    school_of_new,
)
from identity_svc.domain.passwords import check_password
from identity_svc.domain.sessions import EndReason
from identity_svc.ports import Books, Credential, Draft, OpenBooks, Passwords


class Changes(TypedDict, total=False):
    """The fields of an account that are to change; absent ones stay."""

    firstname: str
    lastname: str
    email: str
    student_number: str | None
    admin_role: AdminRole | None
    disabled: bool


async def create_user(
    draft: Draft, *, actor: Actor, open_books: OpenBooks, passwords: Passwords, now: datetime
) -> Account:
    """Make an account; without a password its owner gets one by a reset token.

    Safe to repeat with the same id and content.
    Raises: ForbiddenError, NotFoundError, InvalidInputError,
    ConflictError("email_taken" | "student_number_taken" | "idempotency_key_reused"), UnavailableError.
    """
    account = account_for(draft, actor=actor, now=now)
    hashed = await passwords.hash(draft.password) if draft.password else None
    async with open_books() as books:
        if await keep_new(account, hashed, books=books, now=now):
            return account
        earlier = _repeated(await books.accounts.lock(account.id), account)
        known = await books.accounts.get_credential(account.id)
    # A password that its owner has replaced since says nothing about the first one.
    if known.changed_at == earlier.created_at and not await _is_made_of(draft.password, known, passwords):
        raise ConflictError("idempotency_key_reused")
    return earlier


async def _is_made_of(password: str | None, known: Credential, passwords: Passwords) -> bool:
    if password is None or known.password_hash is None:
        return password is None and known.password_hash is None
    return await passwords.matches(password, known.password_hash)


def account_for(draft: Draft, *, actor: Actor, now: datetime) -> Account:
    """Return the account that `actor` wants to make. Raises: ForbiddenError, NotFoundError, InvalidInputError."""
    school_id = school_of_new(actor, draft.type, draft.school_id)
    return new_account(replace(draft, school_id=school_id), now=now)


async def keep_new(account: Account, hashed: str | None, *, books: Books, now: datetime) -> bool:
    """Keep a new account with the hash of its password; False when its id is taken.

    Raises: ConflictError("email_taken" | "student_number_taken").
    """
    if not await books.accounts.add(account):
        return False
    await books.accounts.set_password(account.id, hashed, at=now)
    await books.trail.note("user_created", account)
    return True


def new_account(draft: Draft, *, now: datetime) -> Account:
    """Return the account that `draft` describes. Raises: InvalidInputError."""
    account = Account(
        id=draft.id,
        type=draft.type,
        school_id=draft.school_id,
        email=draft.email,
        firstname=draft.firstname,
        lastname=draft.lastname,
        student_number=draft.student_number,
        admin_role=draft.admin_role,
        created_at=now,
    )
    check_fields(account)
    if draft.password is not None:
        check_password(draft.password, account)
    return account


def _repeated(earlier: Account | None, account: Account) -> Account:
    if earlier is None or replace(earlier, version=account.version, created_at=account.created_at) != account:
        raise ConflictError("idempotency_key_reused")
    return earlier


async def create_first_dev(
    draft: Draft, *, another: bool, open_books: OpenBooks, passwords: Passwords, now: datetime
) -> Account:
    """Make a developer's account, which nobody can over REST. another: although there is one already.

    Raises: ConflictError("dev_exists" | "email_taken"), InvalidInputError.
    """
    account = new_account(draft, now=now)
    hashed = await passwords.hash(draft.password or "")
    async with open_books() as books:
        if not another and await books.accounts.dev_exists():
            raise ConflictError("dev_exists")
        await books.accounts.add(account)
        await books.accounts.set_password(account.id, hashed, at=now)
        await books.trail.note("user_created", account)
    return account


async def update_user(
    user_id: UserId, changes: Changes, *, seen: int, actor: Actor, books: Books, now: datetime
) -> Account:
    """Change an account; disabling it or changing its role ends its sessions. seen: the version the caller saw.

    Raises: NotFoundError, ForbiddenError, InvalidInputError, PreconditionFailedError("version_stale"),
    ConflictError("last_manager" | "email_taken" | "student_number_taken").
    """
    before = await get_for_change(user_id, actor=actor, books=books)
    after = applied(before, changes, now=now)
    check_may_change(actor, before, after, now=now)
    check_fields(after)
    if before.version != seen:
        raise PreconditionFailedError("version_stale")
    if after == before:
        return before
    await _keep_a_leader(before, after, books=books)
    is_shut = before.disabled_at is None and after.disabled_at is not None
    after = await books.accounts.save(after, UserDisabled if is_shut else UserUpdated)
    if is_shut:
        await end_sessions(after, "disabled", books=books, now=now)
    elif before.admin_role != after.admin_role:
        await end_sessions(after, "role_changed", books=books, now=now)
    await books.trail.note("user_changed", after)
    return after


async def get_for_change(user_id: UserId, *, actor: Actor, books: Books) -> Account:
    """Lock and return an unretired account that `actor` may know of. Raises: NotFoundError."""
    account = check_reach(actor, await books.accounts.lock(user_id))
    if account.retired_at is not None:
        raise NotFoundError("not_found")
    return account


def applied(account: Account, changes: Changes, *, now: datetime) -> Account:
    """Return `account` with `changes`."""
    disabled_at = account.disabled_at
    if "disabled" in changes:
        disabled_at = (disabled_at or now) if changes["disabled"] else None
    return replace(
        account,
        firstname=changes.get("firstname", account.firstname),
        lastname=changes.get("lastname", account.lastname),
        email=changes.get("email", account.email),
        student_number=changes.get("student_number", account.student_number),
        admin_role=changes.get("admin_role", account.admin_role),
        disabled_at=disabled_at,
    )


async def _keep_a_leader(before: Account, after: Account, *, books: Books) -> None:
    was, is_ = (account.is_leading and account.is_live for account in (before, after))
    if was and not is_ and not await books.accounts.has_other_leader(before):
        raise ConflictError("last_manager")


async def delete_user(user_id: UserId, *, actor: Actor, books: Books, now: datetime) -> None:
    """Retire an account for good: its sessions end, its device is unbound, its address is free again.

    Safe to repeat. Raises: NotFoundError, ForbiddenError, ConflictError("last_manager").
    """
    account = check_reach(actor, await books.accounts.lock(user_id))
    check_may_administer(actor, account)
    check_not_self(actor, account)
    if account.retired_at is not None:
        return
    retired = replace(account, retired_at=now)
    await _keep_a_leader(account, retired, books=books)
    await books.accounts.save(retired, UserDeleted)
    await books.accounts.set_password(user_id, None, at=now)
    await end_sessions(account, "deleted", books=books, now=now)
    device = await books.devices.find_latest(user_id)
    if device is not None and device.unbound_at is None:
        await books.devices.unbind(device.id, "deleted", at=now)
    await books.trail.note("user_deleted", account)


async def force_log_out(user_id: UserId, *, actor: Actor, books: Books, now: datetime) -> None:
    """End every session of somebody else's account. Safe to repeat. Raises: NotFoundError, ForbiddenError."""
    account = await get_for_change(user_id, actor=actor, books=books)
    check_may_administer(actor, account)
    await end_sessions(account, "forced", books=books, now=now)
    await books.trail.note("sessions_ended", account)


async def end_sessions(account: Account, reason: EndReason, *, books: Books, now: datetime) -> None:
    """End every live session of an account that the caller has locked."""
    await books.sessions.end(await books.sessions.list_live(account.id, now=now), reason, now=now)
