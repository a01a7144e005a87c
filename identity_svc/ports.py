"""What identity_svc needs from the outside, in its own words."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from contracts.events.identity import UserState
from contracts.ids import DeviceId, SchoolId, UserId
from identity_svc.domain.accounts import Account
from identity_svc.domain.devices import Challenge, Device, UnbindReason
from identity_svc.domain.sessions import EndReason, Session
from identity_svc.domain.throttle import Limit

Deed = Literal[
    "user_created", "user_changed", "user_deleted", "sessions_ended", "password_reset_issued", "device_reset"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An account with what its password is checked against; None: it has no password yet.

    changed_at: when the password was chosen; hashing the same one anew does not count.
    """

    account: Account
    password_hash: str | None
    changed_at: datetime


class AccountBook(Protocol):
    """The accounts and their passwords."""

    async def lock(self, user_id: UserId) -> Account | None:
        """Return the account, retired ones too; nobody else changes it before the transaction ends."""
        ...

    async def find_credential(self, email: str) -> Credential | None:
        """Return the unretired account with that address, in any letter case. Locks nothing."""
        ...

    async def find_by_emails(self, emails: Sequence[str]) -> dict[str, Account]:
        """Return the unretired accounts with these addresses, in any letter case, by the address in lower case."""
        ...

    async def get_credential(self, user_id: UserId) -> Credential:
        """Return an account that is known to exist. Locks nothing."""
        ...

    async def add(self, account: Account) -> bool:
        """Keep a new account and announce it; False when its id is taken.

        Raises: ConflictError("email_taken" | "student_number_taken").
        """
        ...

    async def save(self, account: Account, announce: type[UserState]) -> Account:
        """Keep a changed account, which the caller has locked; return it with its next version.

        Raises: ConflictError("email_taken" | "student_number_taken").
        """
        ...

    async def set_password(self, user_id: UserId, password_hash: str | None, *, at: datetime) -> None:
        """Replace the password; None leaves the account without one."""
        ...

    async def replace_hash(self, user_id: UserId, password_hash: str) -> None:
        """Keep another hash of the same password."""
        ...

    async def has_other_leader(self, account: Account) -> bool:
        """Return whether the school has another live administrator with all rights; they stay so until the end."""
        ...

    async def dev_exists(self) -> bool:
        """Return whether there is a developer's account."""
        ...


class ResetBook(Protocol):
    """The one-time tokens by which people choose a new password; digests only."""

    async def put(self, user_id: UserId, digest: bytes, *, expires_at: datetime) -> None:
        """Keep the one token of `user_id`; an earlier one is worthless from now on."""
        ...

    async def find(self, digest: bytes, *, now: datetime) -> UserId | None:
        """Return whose unexpired token this is. Locks nothing."""
        ...

    async def take(self, digest: bytes, *, now: datetime) -> UserId | None:
        """Use an unexpired token up and return whose it was. Of two at once, one gets it."""
        ...

    async def forget(self, user_id: UserId) -> None:
        """Make the token of `user_id` worthless, if there is one."""
        ...


class SessionBook(Protocol):
    """The sessions."""

    async def add(self, session: Session) -> None:
        """Keep a new session."""
        ...

    async def find(self, session_id: UUID) -> Session | None:
        """Return the session. Locks nothing."""
        ...

    async def lock(self, session_id: UUID) -> Session | None:
        """Return the session; nobody else refreshes it before the transaction ends."""
        ...

    async def save(self, session: Session) -> None:
        """Keep a session that was refreshed."""
        ...

    async def list_live(self, user_id: UserId, *, now: datetime) -> list[Session]:
        """Return the live sessions, oldest first."""
        ...

    async def end(self, sessions: Sequence[Session], reason: EndReason, *, now: datetime) -> None:
        """Revoke and announce those that are not revoked yet."""
        ...


class DeviceBook(Protocol):
    """The students' devices."""

    async def put_challenge(self, challenge: Challenge) -> None:
        """Keep the one challenge of a student, replacing an earlier one."""
        ...

    async def take_challenge(self, student_id: UserId, *, now: datetime) -> Challenge | None:
        """Return and forget the student's unexpired challenge."""
        ...

    async def find_latest(self, student_id: UserId) -> Device | None:
        """Return the device that was bound last, whether it still is or not."""
        ...

    async def bind(self, device: Device) -> None:
        """Keep and announce a bound device.

        Raises: ConflictError("device_taken") when it, or its key, is bound already or another student's.
        """
        ...

    async def unbind(self, device_id: DeviceId, reason: UnbindReason, *, at: datetime) -> None:
        """End and announce a binding."""
        ...


class TryBook(Protocol):
    """How often passwords were tried lately."""

    async def admit(self, keys: dict[bytes, Limit], *, now: datetime) -> datetime | None:
        """Count one try under every key and return None, or return when a try is allowed and count nothing."""
        ...

    async def forget(self, keys: Sequence[bytes]) -> None:
        """Forget the tries: the right password was given."""
        ...


class Trail(Protocol):
    """Who did what to whose account, for good."""

    async def note(self, deed: Deed, account: Account, *, reason: str | None = None) -> None:
        """Record a deed of the transaction's actor."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Everything that is kept, in one transaction."""

    accounts: AccountBook
    resets: ResetBook
    sessions: SessionBook
    devices: DeviceBook
    tries: TryBook
    trail: Trail


# Opens the books and their transaction: leaving commits, an exception rolls everything back.
OpenBooks = Callable[[], AbstractAsyncContextManager[Books]]


class Passwords(Protocol):
    """Hashes passwords, at a cost that guessers must pay too."""

    def check_room(self) -> None:
        """Raises: UnavailableError("overloaded")."""
        ...

    async def hash(self, password: str) -> str:
        """Return a new hash. Raises: UnavailableError("overloaded")."""
        ...

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Return whether `hashed` was made of `password`; None takes as long and matches nothing.

        Raises: UnavailableError("overloaded").
        """
        ...

    def is_outdated(self, hashed: str) -> bool:
        """Return whether it should be made anew at the next login."""
        ...


class TokenMint(Protocol):
    """Makes access tokens and shows the keys to check them with."""

    async def issue(self, account: Account, session: Session, *, now: datetime) -> str:
        """Return an access token for the session. Raises: UnavailableError."""
        ...

    async def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWKS document. Raises: UnavailableError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An account to be made. id: decided by the caller, so that a repeat makes the same one."""

    id: UserId
    type: Literal["student", "teacher", "admin", "dev"]
    school_id: SchoolId | None
    email: str
    firstname: str
    lastname: str
    student_number: str | None = None
    admin_role: Literal["planning", "absence", "manager"] | None = None
    password: str | None = None
