"""What can be asked of identity_svc: SQL to values, on the connection that is given."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.ids import DeviceId, SchoolId, UserId
from identity_svc.domain.accounts import Account, Actor, UserType
from identity_svc.domain.devices import Device
from identity_svc.domain.sessions import Session
from infra.postgres import Connection, Row, columns, planned_anew

FIND_ACTOR = """
SELECT a.id, a.user_type, a.school_id, a.admin_role, s.id AS session_id, s.authenticated_at
FROM session s JOIN account a ON a.id = s.user_id
WHERE s.id = $1 AND s.user_id = $2 AND s.revoked_at IS NULL AND s.expires_at > $3
  AND a.disabled_at IS NULL AND a.retired_at IS NULL
"""
FIND_ACCOUNT = "SELECT * FROM account WHERE id = $1 AND retired_at IS NULL"
LIST_ACCOUNTS = """
SELECT * FROM account
WHERE retired_at IS NULL AND ($1::uuid IS NULL OR school_id = $1) AND ($2::text IS NULL OR user_type = $2)
  AND ($3::text IS NULL OR position(lower($3) IN
       lower(concat_ws(' ', firstname, lastname, email, student_number))) > 0)
  AND ($4::uuid IS NULL OR id > $4)
ORDER BY id LIMIT $5
"""
LIST_ACCOUNTS_BY_ID = """
SELECT * FROM account
WHERE id = ANY($1::uuid[]) AND retired_at IS NULL AND ($2::uuid IS NULL OR school_id = $2) ORDER BY id
"""
LIST_SESSIONS = """
SELECT * FROM session
WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND idle_expires_at > $2 ORDER BY authenticated_at, id
"""
FIND_DEVICE = "SELECT * FROM device WHERE student_id = $1 AND unbound_at IS NULL"
# One look into an index for each, whatever the planner once knew of the tables.
LIST_USABLE_DEVICES = """
SELECT d.id, d.student_id, d.public_key FROM unnest($1::uuid[], $2::uuid[]) AS w (student_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM device WHERE id = w.id AND student_id = w.student_id AND unbound_at IS NULL OFFSET 0
) AS d
CROSS JOIN LATERAL (
    SELECT FROM app_user WHERE id = d.student_id AND disabled_at IS NULL AND retired_at IS NULL OFFSET 0
) AS u
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFilter:
    """Which accounts are wanted; None means any. text: part of a name, an address or a student's number."""

    school_id: SchoolId | None = None
    user_type: UserType | None = None
    text: str | None = None


async def find_actor(connection: Connection, *, user_id: UUID, session_id: UUID | None, now: datetime) -> Actor | None:
    """Return who holds the session, None when it has ended or its owner was shut out since the token was made."""
    row = await connection.fetchrow(FIND_ACTOR, session_id, user_id, now)
    if row is None:
        return None
    return Actor(
        id=UserId(row["id"]),
        type=row["user_type"],
        school_id=row["school_id"],
        admin_role=row["admin_role"],
        session_id=row["session_id"],
        authenticated_at=row["authenticated_at"],
    )


async def find_account(connection: Connection, user_id: UUID) -> Account | None:
    """Return an unretired account."""
    row = await connection.fetchrow(FIND_ACCOUNT, user_id)
    return None if row is None else account_of(row)


async def list_accounts(
    connection: Connection, wanted: AccountFilter, *, after: UUID | None, limit: int
) -> list[Account]:
    """Return unretired accounts in the order of their ids."""
    async with planned_anew(connection):
        rows = await connection.fetch(LIST_ACCOUNTS, wanted.school_id, wanted.user_type, wanted.text, after, limit)
    return [account_of(row) for row in rows]


async def list_accounts_by_id(
    connection: Connection, user_ids: Sequence[UUID], *, school_id: UUID | None
) -> list[Account]:
    """Return the unretired accounts among `user_ids`, of one school unless that is None."""
    return [account_of(row) for row in await connection.fetch(LIST_ACCOUNTS_BY_ID, user_ids, school_id)]


async def list_sessions(connection: Connection, user_id: UUID, *, now: datetime) -> list[Session]:
    """Return the live sessions, oldest first."""
    return [session_of(row) for row in await connection.fetch(LIST_SESSIONS, user_id, now)]


async def find_device(connection: Connection, student_id: UUID) -> Device | None:
    """Return the student's bound device."""
    row = await connection.fetchrow(FIND_DEVICE, student_id)
    return None if row is None else device_of(row)


async def list_usable_devices(
    connection: Connection, pairs: Collection[tuple[UUID, UUID | None]]
) -> dict[tuple[UUID, UUID | None], bytes]:
    """Return the public key (SPKI, DER) of each device that is bound to its student, who may log in.

    pairs: of a student and a device, None when that is none of ours.
    """
    rows = await connection.fetch(LIST_USABLE_DEVICES, *columns(pairs, 2))
    return {(row["student_id"], row["id"]): row["public_key"] for row in rows}


def account_of(row: Row) -> Account:
    """Read a row of the view `account`."""
    return Account(
        id=UserId(row["id"]),
        type=row["user_type"],
        school_id=row["school_id"],
        email=row["email"],
        firstname=row["firstname"],
        lastname=row["lastname"],
        student_number=row["student_number"],
        admin_role=row["admin_role"],
        disabled_at=row["disabled_at"],
        retired_at=row["retired_at"],
        version=row["version"],
        created_at=row["created_at"],
    )


def session_of(row: Row) -> Session:
    """Read a row of `session`."""
    return Session(
        id=row["id"],
        user_id=UserId(row["user_id"]),
        counter=row["counter"],
        authenticated_at=row["authenticated_at"],
        rotated_at=row["rotated_at"],
        expires_at=row["expires_at"],
        idle_expires_at=row["idle_expires_at"],
        revoked_at=row["revoked_at"],
    )


def device_of(row: Row) -> Device:
    """Read a row of `device`."""
    return Device(
        id=DeviceId(row["id"]),
        student_id=UserId(row["student_id"]),
        kid=row["kid"],
        public_key=row["public_key"],
        bound_at=row["bound_at"],
        unbound_at=row["unbound_at"],
        unbound_reason=row["unbound_reason"],
    )
