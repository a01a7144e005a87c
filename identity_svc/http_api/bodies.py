"""What identity_svc's REST door reads and writes."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from identity_svc.domain.accounts import Account, AdminRole, UserType
from identity_svc.domain.devices import Device
from identity_svc.domain.sessions import Session
from infra.http_bodies import Answer, Body, Id, Name, PageQuery, Query, Reason

Email = Annotated[str, StringConstraints(min_length=3, max_length=254)]
# Exactly as typed; how long a new one must be depends on whose it is.
PasswordText = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Number = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
# Pydantic does not look at defaults: a field that is left out is absent, one that is null is refused.
ABSENT: Any = None


class LoginBody(Body):
    """Who wants in. refresh_token: of an earlier session, if there is one: others' guesses then keep nobody out."""

    email: Email
    password: PasswordText
    refresh_token: Token | None = None


class RefreshBody(Body):
    """The refresh token of the last answer."""

    refresh_token: Token


class LogoutBody(Body):
    """all: every session, not only the one that calls."""

    all: bool = False


class PasswordBody(Body):
    """A new password, vouched for by the old one."""

    current_password: PasswordText
    new_password: PasswordText


class ResetBody(Body):
    """A new password, vouched for by a one-time token."""

    reset_token: Token
    new_password: PasswordText


class UserRow(Body):
    """An account to be made, as a row of a file has it: without a password, its owner gets one by a reset token."""

    user_type: Literal["student", "teacher", "admin", "dev"]
    email: Email
    firstname: Name
    lastname: Name
    student_number: Number | None = None
    admin_role: Literal["planning", "absence", "manager"] | None = None


class UserBody(UserRow):
    """An account to be made. school_id: developers must name it. password: without one, issue a password reset."""

    school_id: Id | None = None
    password: PasswordText | None = None


class UserPatch(Body):
    """The fields that are to change."""

    email: Email = ABSENT
    firstname: Name = ABSENT
    lastname: Name = ABSENT
    student_number: Number | None = None
    admin_role: Literal["planning", "absence", "manager"] | None = None
    disabled: bool = ABSENT


class DeviceBody(Body):
    """A phone to be bound. public_key: PEM or SPKI in base64. signature: 86 characters, by that key."""

    device_identifier: Id | None = None
    public_key: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    signature: Annotated[str, StringConstraints(min_length=86, max_length=86)]


class ReasonBody(Body):
    """Why, for the trail."""

    reason: Reason


class UserQuery(PageQuery):
    """Which accounts. q: part of a name, an address or a student's number."""

    user_type: Literal["student", "teacher", "admin", "dev"] | None = None
    school_id: Id | None = None
    q: Annotated[str | None, StringConstraints(min_length=1, max_length=100)] = None


class ImportQuery(Query):
    """school_id: of all accounts in the file; developers must name it."""

    school_id: Id | None = None


class BatchQuery(Query):
    """id: up to 100 ids, separated by commas."""

    id: Annotated[str, StringConstraints(min_length=36, max_length=3_699)]


class UserAnswer(Answer):
    """An account."""

    id: Id
    user_type: UserType
    school_id: Id | None
    email: str
    firstname: str
    lastname: str
    student_number: str | None
    admin_role: AdminRole | None
    disabled: bool
    version: int
    created_at: AwareDatetime

    @classmethod
    def of(cls, account: Account) -> "UserAnswer":
        """Show `account`."""
        return cls(
            id=account.id,
            user_type=account.type,
            school_id=account.school_id,
            email=account.email,
            firstname=account.firstname,
            lastname=account.lastname,
            student_number=account.student_number,
            admin_role=account.admin_role,
            disabled=account.disabled_at is not None,
            version=account.version,
            created_at=account.created_at,
        )


class UserLite(Answer):
    """What everybody in a school may know of somebody in it."""

    id: Id
    firstname: str
    lastname: str
    user_type: UserType


class LiteAnswer(Answer):
    """Those that were found, in the order of their ids."""

    items: list[UserLite]


class TokensAnswer(Answer):
    """A session's tokens. expires_in: seconds until the access token ends."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- the name of a scheme
    expires_in: int
    refresh_token: str
    user: UserAnswer


class MeAnswer(Answer):
    """Who calls."""

    user: UserAnswer
    session_id: Id


class SessionAnswer(Answer):
    """One login. current: the one that calls."""

    id: Id
    authenticated_at: AwareDatetime
    last_used_at: AwareDatetime
    expires_at: AwareDatetime
    current: bool

    @classmethod
    def of(cls, session: Session, *, current_id: object) -> "SessionAnswer":
        """Show `session` to its owner."""
        return cls(
            id=session.id,
            authenticated_at=session.authenticated_at,
            last_used_at=session.rotated_at,
            expires_at=min(session.expires_at, session.idle_expires_at),
            current=session.id == current_id,
        )


class SessionsAnswer(Answer):
    """The live sessions, oldest first."""

    items: list[SessionAnswer]


class ResetAnswer(Answer):
    """A one-time token, to be handed to its owner by a way that only they read."""

    reset_token: str
    expires_at: AwareDatetime


class ChallengeAnswer(Answer):
    """What a new device signs. device_identifier: the name it gets unless it brings its own."""

    challenge: str
    device_identifier: Id
    expires_at: AwareDatetime


class DeviceAnswer(Answer):
    """A bound device, without its key."""

    device_identifier: Id
    kid: str
    bound_at: AwareDatetime

    @classmethod
    def of(cls, device: Device) -> "DeviceAnswer":
        """Show `device`."""
        return cls(device_identifier=device.id, kid=device.kid, bound_at=device.bound_at)


class Jwks(Answer):
    """The keys that access tokens are checked with. Source: RFC 7517."""

    keys: Annotated[list[dict[str, str]], Field(max_length=16)]
