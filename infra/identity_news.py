"""What identity_svc says that every process must know at once: void tokens, new keys, phones that changed hands."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from contracts.events.identity import (
    DeviceBound,
    DeviceState,
    DeviceUnbound,
    KeyRevoked,
    KeyRotated,
    SessionRevoked,
    UserDeleted,
    UserDisabled,
    UserState,
)
from infra.clock import Clock
from infra.jwks import RemoteKeys
from infra.tokens import LEEWAY, USER_TOKEN, Revocations

# A token may come from a clock that far ahead, and counts that long after its end.
REMEMBERED = USER_TOKEN.max_ttl + 2 * LEEWAY
DEVICE_LIFE_S = 60.0
MOST_DEVICES = 50_000

Remembered = TypeVar("Remembered")


class Told(Protocol):
    """What counts of an event: when it happened, and the payload that its type's model reads."""

    @property
    def time(self) -> datetime: ...

    @property
    def data(self) -> Mapping[str, object]: ...


Listener = Callable[[Told], Awaitable[None]]


class Devices(Protocol):
    """What a process remembers of students' phones."""

    def drop(self, student_id: UUID, device_id: UUID) -> None:
        """Forget one phone; an answer about it that is under way is not to be remembered either."""

    def drop_all(self) -> None:
        """Forget every phone."""


class DeviceMemory(Generic[Remembered]):
    """Remembers for a minute what identity answered about students' phones; satisfies Devices."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic, most_count: int = MOST_DEVICES) -> None:
        self._monotonic_s, self._most_count = monotonic_s, most_count
        self._known: OrderedDict[tuple[UUID, UUID], tuple[float, Remembered]] = OrderedDict()
        self._drops = 0

    def find(self, student_id: UUID, device_id: UUID) -> Remembered | None:
        """Return what is remembered of a student's phone."""
        until_s, known = self._known.get((student_id, device_id), (float("-inf"), None))
        return known if self._monotonic_s() < until_s else None

    def mark(self) -> int:
        """Return what `keep` wants to know; taken before identity is asked."""
        return self._drops

    def keep(self, student_id: UUID, device_id: UUID, answer: Remembered, *, mark: int) -> None:
        """Remember an answer, unless phones changed hands since `mark`: it may tell how things were before."""
        if mark != self._drops:
            return
        self.forget(student_id, device_id)
        self._known[student_id, device_id] = (self._monotonic_s() + DEVICE_LIFE_S, answer)
        if len(self._known) > self._most_count:
            self._known.popitem(last=False)

    def forget(self, student_id: UUID, device_id: UUID) -> None:
        """Forget one phone; an answer that is under way may be newer, and is remembered."""
        self._known.pop((student_id, device_id), None)

    def drop(self, student_id: UUID, device_id: UUID) -> None:
        self._drops += 1
        self.forget(student_id, device_id)

    def drop_all(self) -> None:
        self._drops += 1
        self._known.clear()


class IdentityNews:
    """Keeps `revoked`, the keys and what is remembered of phones in step with identity's events.

    Every effect may be repeated, so the past may be heard again; it is heard from REMEMBERED ago on.
    """

    def __init__(self, keys: RemoteKeys, *, now: Clock, devices: Devices | None = None) -> None:
        self.revoked = Revocations()
        self._keys, self._now, self._devices = keys, now, devices

    def listeners(self) -> dict[str, Listener]:
        """Return who hears which event."""
        listeners: dict[str, Listener] = {
            SessionRevoked.type: self.on_session_revoked,
            UserDisabled.type: self.on_user_shut_out,
            UserDeleted.type: self.on_user_shut_out,
            KeyRevoked.type: self.on_key_revoked,
            KeyRotated.type: self.on_key_rotated,
        }
        if self._devices is not None:
            listeners |= dict.fromkeys((DeviceBound.type, DeviceUnbound.type), self.on_device_changed)
        return listeners

    async def on_session_revoked(self, event: Told) -> None:
        self._remember(self.revoked.sessions, SessionRevoked.model_validate(event.data).session_id, event.time)

    async def on_user_shut_out(self, event: Told) -> None:
        self._remember(self.revoked.people, UserState.model_validate(event.data).user_id, event.time)

    async def on_key_revoked(self, event: Told) -> None:
        # For as long as the process lives: whoever stole a key can date its tokens as they like.
        self.revoked.keys.add(KeyRevoked.model_validate(event.data).kid)

    async def on_key_rotated(self, event: Told) -> None:
        self._keys.announce(KeyRotated.model_validate(event.data).kid)

    async def on_device_changed(self, event: Told) -> None:
        device = DeviceState.model_validate(event.data)
        if self._devices is not None:
            self._devices.drop(device.student_id, device.device_id)

    async def start_anew(self, _shard: int) -> None:
        """Forget what may have changed unheard. What was revoked stays so."""
        if self._devices is not None:
            self._devices.drop_all()

    def _remember(self, known: dict[UUID, datetime], id: UUID, at: datetime) -> None:
        known[id] = max(at, known.get(id, at))
        # Oldest first, nearly: of several shards each is heard in its own order.
        while known and next(iter(known.values())) + REMEMBERED < self._now():
            del known[next(iter(known))]
