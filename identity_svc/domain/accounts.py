"""Accounts, and who may do what with them."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from contracts.ids import SchoolId, UserId
from contracts.problems import ForbiddenError, InvalidInputError, NotFoundError

UserType = Literal["student", "teacher", "admin", "dev"]
AdminRole = Literal["planning", "absence", "manager"]

# ASCII only: two addresses that look alike must not be two accounts. A domain in another script is written as IDNA.
EMAIL = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])",
    re.IGNORECASE | re.ASCII,
)
EMAIL_MAX_CHARS, LOCAL_PART_MAX_CHARS = 254, 64  # RFC 5321 section 4.5.3.1

# Whoever moves an account to another address can take it over, so a stolen token alone must not be enough.
RECENT_LOGIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person's account. school_id: None for developers only. admin_role None: an administrator with all rights.

    email: as written; compared in lower case. version: counts the changes, from 1.
    """

    id: UserId
    type: UserType
    school_id: SchoolId | None
    email: str
    firstname: str
    lastname: str
    student_number: str | None = None
    admin_role: AdminRole | None = None
    disabled_at: datetime | None = None
    retired_at: datetime | None = None
    version: int = 1
    created_at: datetime

    @property
    def is_live(self) -> bool:
        """Whether its owner may log in."""
        return self.disabled_at is None and self.retired_at is None

    @property
    def is_leading(self) -> bool:
        """Whether it is an administrator's who may make and change administrators."""
        return leads(self.type, self.admin_role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who calls, as the database knows them now. authenticated_at: when they last gave their password."""

    id: UserId
    type: UserType
    school_id: SchoolId | None
    admin_role: AdminRole | None
    session_id: UUID
    authenticated_at: datetime

    @property
    def is_leading(self) -> bool:
        """Whether they may make and change administrators."""
        return self.type == "dev" or leads(self.type, self.admin_role)


def leads(type_: UserType, role: AdminRole | None) -> bool:
    """Return whether such an administrator may make and change administrators."""
    return type_ == "admin" and role in (None, "manager")


def check_email(text: str) -> str:
    """Return `text` when it is an address this installation takes. Raises: InvalidInputError("email_malformed")."""
    local, _, _ = text.partition("@")
    if len(text) > EMAIL_MAX_CHARS or len(local) > LOCAL_PART_MAX_CHARS or not EMAIL.fullmatch(text):
        raise InvalidInputError("email_malformed")
    return text


def check_names(*names: str) -> None:
    """Raises: InvalidInputError("name_malformed") for control characters and invisible ones."""
    if not all(name.isprintable() for name in names):
        raise InvalidInputError("name_malformed")


def check_fields(account: Account) -> None:
    """Raises: InvalidInputError when a field is malformed, or is not one that this type of account has."""
    check_email(account.email)
    check_names(account.firstname, account.lastname, account.student_number or "")
    if account.student_number is not None and account.type != "student":
        raise InvalidInputError("field_not_for_type", fields=["student_number"])
    if account.admin_role is not None and account.type != "admin":
        raise InvalidInputError("field_not_for_type", fields=["admin_role"])


def school_of_new(actor: Actor, type_: UserType, wanted: SchoolId | None) -> SchoolId:
    """Return the school of the account that `actor` may make.

    Raises: ForbiddenError, NotFoundError for another school, InvalidInputError("school_id_required").
    """
    if actor.type not in ("admin", "dev"):
        raise ForbiddenError("forbidden")
    if actor.school_id is not None and wanted not in (None, actor.school_id):
        raise NotFoundError("not_found")
    if type_ == "dev" or (type_ == "admin" and not actor.is_leading):
        raise ForbiddenError("forbidden")
    school_id = actor.school_id or wanted
    if school_id is None:
        raise InvalidInputError("school_id_required")
    return school_id


def check_reach(actor: Actor, account: Account | None) -> Account:
    """Return `account` when `actor` may know that it exists. Raises: NotFoundError."""
    if account is None or (actor.type != "dev" and actor.school_id != account.school_id):
        raise NotFoundError("not_found")
    return account


def check_may_read(actor: Actor, account: Account) -> None:
    """Raises: ForbiddenError unless it is their own, or they administer."""
    if actor.id != account.id and actor.type not in ("admin", "dev"):
        raise ForbiddenError("forbidden")


def check_may_administer(actor: Actor, account: Account) -> None:
    """Raises: ForbiddenError unless `actor` administers accounts like this one."""
    if actor.type not in ("admin", "dev") or (account.is_leading and not actor.is_leading):
        raise ForbiddenError("forbidden")


def check_not_self(actor: Actor, account: Account) -> None:
    """Raises: ForbiddenError("own_account"): nobody locks themselves out or raises themselves."""
    if actor.id == account.id:
        raise ForbiddenError("own_account")


def check_may_change(actor: Actor, before: Account, after: Account, *, now: datetime) -> None:
    """Pass when `actor` may turn `before` into `after`. Raises: ForbiddenError."""
    check_may_administer(actor, before)
    moved = (before.email, before.student_number) != (after.email, after.student_number)
    if moved and actor.type == "admin" and now - actor.authenticated_at > RECENT_LOGIN:
        raise ForbiddenError("login_too_old")
    if before.admin_role != after.admin_role:
        check_not_self(actor, before)
        if not actor.is_leading:
            raise ForbiddenError("forbidden")
    if before.disabled_at != after.disabled_at:
        check_not_self(actor, before)
