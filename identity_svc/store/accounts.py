"""Accounts, their passwords and the tokens to choose a new one, in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from contracts.events.identity import UserCreated, UserState
from contracts.ids import UserId
from contracts.problems import ConflictError
from identity_svc.domain.accounts import Account, UserType
from identity_svc.ports import Credential
from identity_svc.queries import account_of
from identity_svc.store.news import News
from infra.postgres import Connection, Row, planned_anew

LOCK = "SELECT 1 FROM app_user WHERE id = $1 FOR UPDATE"
FIND = "SELECT * FROM account WHERE id = $1"
# OFFSET 0 keeps each look by itself, by its index: joined, it would be planned for a table of yesterday's size.
FIND_CREDENTIAL = """
SELECT a.*, c.* FROM account a
CROSS JOIN LATERAL (SELECT password_hash, changed_at FROM credential WHERE user_id = a.id OFFSET 0) AS c
WHERE lower(a.email) = lower($1) AND a.retired_at IS NULL
"""
FIND_BY_EMAILS = """
SELECT a.* FROM unnest($1::text[]) AS w (email)
CROSS JOIN LATERAL (SELECT * FROM account WHERE lower(email) = lower(w.email) AND retired_at IS NULL OFFSET 0) AS a
"""
GET_CREDENTIAL = """
SELECT a.*, c.password_hash, c.changed_at FROM account a JOIN credential c ON c.user_id = a.id WHERE a.id = $1
"""
ADD = """
INSERT INTO app_user (id, user_type, school_id, email, firstname, lastname, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING RETURNING version
"""
ADD_STUDENT = "INSERT INTO student (user_id, school_id, student_number) VALUES ($1, $2, $3)"
ADD_TEACHER = "INSERT INTO teacher (user_id) VALUES ($1)"
ADD_ADMINISTRATOR = "INSERT INTO administrator (user_id, admin_role) VALUES ($1, $2)"
ADD_DEVELOPER = "INSERT INTO developer (user_id) VALUES ($1)"
SAVE = """
UPDATE app_user SET email = $2, firstname = $3, lastname = $4, disabled_at = $5, retired_at = $6, version = version + 1
WHERE id = $1
"""
SAVE_STUDENT = "UPDATE student SET student_number = $2, is_live = $3 WHERE user_id = $1"
SAVE_ADMINISTRATOR = "UPDATE administrator SET admin_role = $2 WHERE user_id = $1"
KEEP_CREDENTIAL = """
INSERT INTO credential (user_id, password_hash, changed_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = excluded.changed_at
"""
REPLACE_HASH = "UPDATE credential SET password_hash = $2 WHERE user_id = $1"
# Not the others' rows: two who remove each other hold one row each, and would wait for each other's.
HOLD_LEADERS = "SELECT pg_advisory_xact_lock(hashtextextended('leaders ' || $1::uuid::text, 0))"
FIND_OTHER_LEADER = """
SELECT 1 FROM app_user u
CROSS JOIN LATERAL (SELECT admin_role FROM administrator WHERE user_id = u.id OFFSET 0) AS a
WHERE u.school_id = $1 AND u.id <> $2 AND u.disabled_at IS NULL AND u.retired_at IS NULL
  AND coalesce(a.admin_role, 'manager') = 'manager'
LIMIT 1
"""
FIND_DEV = "SELECT 1 FROM app_user WHERE user_type = 'dev' AND retired_at IS NULL LIMIT 1"

PUT_RESET = """
INSERT INTO password_reset (user_id, token_sha256, expires_at) VALUES ($1, $2, $3)
ON CONFLICT (user_id) DO UPDATE SET token_sha256 = excluded.token_sha256, expires_at = excluded.expires_at
"""
FIND_RESET = "SELECT user_id FROM password_reset WHERE token_sha256 = $1 AND expires_at > $2"
FORGET_RESET = "DELETE FROM password_reset WHERE user_id = $1"
TAKE_RESET = "DELETE FROM password_reset WHERE token_sha256 = $1 AND expires_at > $2 RETURNING user_id"

CODE_BY_INDEX: Final = {"app_user_email": "email_taken", "student_number": "student_number_taken"}


class PostgresAccountBook:
    """Satisfies ports.AccountBook."""

    def __init__(self, connection: Connection, news: News) -> None:
        self._connection, self._news = connection, news

    async def lock(self, user_id: UserId) -> Account | None:
        await self._connection.execute(LOCK, user_id)
        row = await self._connection.fetchrow(FIND, user_id)
        return None if row is None else account_of(row)

    async def find_credential(self, email: str) -> Credential | None:
        row = await self._connection.fetchrow(FIND_CREDENTIAL, email)
        return None if row is None else credential_of(row)

    async def find_by_emails(self, emails: Sequence[str]) -> dict[str, Account]:
        # An import begins when there is nobody: a plan for that would go through all who are there by its end.
        async with planned_anew(self._connection):
            rows = await self._connection.fetch(FIND_BY_EMAILS, emails)
        return {row["email"].lower(): account_of(row) for row in rows}

    async def get_credential(self, user_id: UserId) -> Credential:
        row = one(await self._connection.fetchrow(GET_CREDENTIAL, user_id))
        return credential_of(row)

    async def add(self, account: Account) -> bool:
        try:
            version = await self._connection.fetchval(
                ADD,
                account.id,
                account.type,
                account.school_id,
                account.email,
                account.firstname,
                account.lastname,
                account.created_at,
            )
            if version is None:
                return False
            await self._add_subtype(account)
        except asyncpg.UniqueViolationError as error:
            raise taken(error) from error
        await self._announce(account, UserCreated, version)
        return True

    async def _add_subtype(self, account: Account) -> None:
        rows: dict[UserType, tuple[str, tuple[object, ...]]] = {
            "student": (ADD_STUDENT, (account.id, account.school_id, account.student_number)),
            "teacher": (ADD_TEACHER, (account.id,)),
            "admin": (ADD_ADMINISTRATOR, (account.id, account.admin_role)),
            "dev": (ADD_DEVELOPER, (account.id,)),
        }
        statement, values = rows[account.type]
        await self._connection.execute(statement, *values)

    async def save(self, account: Account, announce: type[UserState]) -> Account:
        try:
            await self._connection.execute(
                SAVE,
                account.id,
                account.email,
                account.firstname,
                account.lastname,
                account.disabled_at,
                account.retired_at,
            )
            if account.type == "student":
                is_live = account.retired_at is None
                await self._connection.execute(SAVE_STUDENT, account.id, account.student_number, is_live)
            if account.type == "admin":
                await self._connection.execute(SAVE_ADMINISTRATOR, account.id, account.admin_role)
        except asyncpg.UniqueViolationError as error:
            raise taken(error) from error
        saved = account_of(one(await self._connection.fetchrow(FIND, account.id)))
        await self._announce(saved, announce, saved.version)
        return saved

    async def _announce(self, account: Account, event: type[UserState], version: int) -> None:
        state = event(
            user_id=account.id,
            school_id=account.school_id,
            user_type=account.type,
            disabled=account.disabled_at is not None,
        )
        await self._news.announce("user", account.id, (version, state), school_id=account.school_id)

    async def set_password(self, user_id: UserId, password_hash: str | None, *, at: datetime) -> None:
        await self._connection.execute(KEEP_CREDENTIAL, user_id, password_hash, at)

    async def replace_hash(self, user_id: UserId, password_hash: str) -> None:
        await self._connection.execute(REPLACE_HASH, user_id, password_hash)

    async def has_other_leader(self, account: Account) -> bool:
        await self._connection.execute(HOLD_LEADERS, account.school_id)
        # A statement after the lock sees what its last holder did.
        return await self._connection.fetchval(FIND_OTHER_LEADER, account.school_id, account.id) is not None

    async def dev_exists(self) -> bool:
        return await self._connection.fetchval(FIND_DEV) is not None


def credential_of(row: Row) -> Credential:
    """Read a row of the view `account` with its credential."""
    return Credential(account=account_of(row), password_hash=row["password_hash"], changed_at=row["changed_at"])


def one(row: Row | None) -> Row:
    """Return a row that must be there. Raises: LookupError."""
    if row is None:
        raise LookupError("an account that was known to exist does not")
    return row


def taken(error: asyncpg.UniqueViolationError) -> ConflictError:
    """Return what the caller did wrong. Raises: the error itself when it is not the caller's."""
    code = CODE_BY_INDEX.get(getattr(error, "constraint_name", None) or "")
    if code is None:
        raise error
    return ConflictError(code)


class PostgresResetBook:
    """Satisfies ports.ResetBook."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, user_id: UserId, digest: bytes, *, expires_at: datetime) -> None:
        await self._connection.execute(PUT_RESET, user_id, digest, expires_at)

    async def find(self, digest: bytes, *, now: datetime) -> UserId | None:
        found: UserId | None = await self._connection.fetchval(FIND_RESET, digest, now)
        return found

    async def take(self, digest: bytes, *, now: datetime) -> UserId | None:
        found: UserId | None = await self._connection.fetchval(TAKE_RESET, digest, now)
        return found

    async def forget(self, user_id: UserId) -> None:
        await self._connection.execute(FORGET_RESET, user_id)
