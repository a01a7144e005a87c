"""Events that identity_svc publishes. Ids and codes only: never names, e-mails or keys."""

from typing import ClassVar, Literal
from uuid import UUID

from contracts.events.envelope import Event

UserType = Literal["student", "teacher", "admin", "dev"]


class UserState(Event):
    """What the user events below report: the account after the change."""

    user_id: UUID
    school_id: UUID | None
    user_type: UserType
    disabled: bool


class UserCreated(UserState):
    """Said when an account was made."""

    type: ClassVar[str] = "identity.user.created.v1"


class UserUpdated(UserState):
    """Said when an account changed; what changed is asked for, never told here."""

    type: ClassVar[str] = "identity.user.updated.v1"


class UserDisabled(UserState):
    """Said when an account was shut; its tokens are void from now on."""

    type: ClassVar[str] = "identity.user.disabled.v1"


class UserDeleted(UserState):
    """Said when an account was retired; its id stays taken."""

    type: ClassVar[str] = "identity.user.deleted.v1"


class DeviceState(Event):
    """What the two device events report. kid: 16 hex digits, names the public key."""

    student_id: UUID
    device_id: UUID
    kid: str


class DeviceBound(DeviceState):
    """Said when a student's device was registered."""

    type: ClassVar[str] = "identity.device.bound.v1"


class DeviceUnbound(DeviceState):
    """Said when a student's device was reset or replaced."""

    type: ClassVar[str] = "identity.device.unbound.v1"


class SessionRevoked(Event):
    """Said when a session ended early; access tokens with this `session_id` are void."""

    type: ClassVar[str] = "identity.session.revoked.v1"

    session_id: UUID
    user_id: UUID
    reason: str


class KeyRotated(Event):
    """Said when tokens began to be signed with a new key. kid: RFC 7638 thumbprint."""

    type: ClassVar[str] = "identity.key.rotated.v1"

    kid: str


class KeyRevoked(Event):
    """Said when a signing key must no longer be trusted."""

    type: ClassVar[str] = "identity.key.revoked.v1"

    kid: str
