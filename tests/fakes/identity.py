"""In-memory parts of identity_svc. Held to the real ones by tests/contract."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from contracts.ids import UserId
from identity_svc.domain.sessions import EndReason, Session
from identity_svc.domain.throttle import Limit, Tries, after_try, allowed_at
from identity_svc.ports import Credential


class PlainPasswords:
    """Hashes in no time, with nothing to guard."""

    def check_room(self) -> None:
        return

    async def hash(self, password: str) -> str:
        return "plain1:" + password

    async def matches(self, password: str, hashed: str | None) -> bool:
        return hashed is not None and hashed.partition(":")[2] == password

    def is_outdated(self, hashed: str) -> bool:
        return not hashed.startswith("plain1:")


@dataclass
class InMemorySessions:
    kept: dict[UUID, Session] = field(default_factory=dict)
    ended: list[tuple[UUID, EndReason]] = field(default_factory=list)

    async def add(self, session: Session) -> None:
        self.kept[session.id] = session

    async def find(self, session_id: UUID) -> Session | None:
        return self.kept.get(session_id)

    async def lock(self, session_id: UUID) -> Session | None:
        return self.kept.get(session_id)

    async def save(self, session: Session) -> None:
        self.kept[session.id] = session

    async def list_live(self, user_id: UserId, *, now: datetime) -> list[Session]:
        live = [session for session in self.kept.values() if session.user_id == user_id and session.is_live(now)]
        return sorted(live, key=lambda session: (session.authenticated_at, session.id))

    async def end(self, sessions: Sequence[Session], reason: EndReason, *, now: datetime) -> None:
        for session in sorted(sessions, key=lambda session: session.id):
            if self.kept[session.id].revoked_at is None:
                self.kept[session.id] = replace(self.kept[session.id], revoked_at=now)
                self.ended.append((session.id, reason))


@dataclass
class InMemoryTries:
    kept: dict[bytes, Tries] = field(default_factory=dict)

    async def admit(self, keys: dict[bytes, Limit], *, now: datetime) -> datetime | None:
        counted = {key: after_try(self.kept.get(key), limit, now=now) for key, limit in keys.items()}
        for key in sorted(keys):
            if counted[key] is None:
                return allowed_at(self.kept[key], keys[key])
        self.kept |= {key: tries for key, tries in counted.items() if tries is not None}
        return None

    async def forget(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self.kept.pop(key, None)


@dataclass
class InMemoryAccounts:
    """Enough of an AccountBook to let people in."""

    kept: dict[UUID, Credential] = field(default_factory=dict)

    async def lock(self, user_id: UserId) -> Any:
        return self.kept[user_id].account if user_id in self.kept else None

    async def get_credential(self, user_id: UserId) -> Credential:
        return self.kept[user_id]

    async def find_credential(self, email: str) -> Credential | None:
        found = (one for one in self.kept.values() if one.account.email.lower() == email.lower())
        return next((one for one in found if one.account.retired_at is None), None)

    async def set_password(self, user_id: UserId, password_hash: str | None, *, at: datetime) -> None:
        self.kept[user_id] = replace(self.kept[user_id], password_hash=password_hash, changed_at=at)

    async def replace_hash(self, user_id: UserId, password_hash: str) -> None:
        self.kept[user_id] = replace(self.kept[user_id], password_hash=password_hash)


@dataclass
class InMemoryBooks:
    accounts: InMemoryAccounts = field(default_factory=InMemoryAccounts)
    sessions: InMemorySessions = field(default_factory=InMemorySessions)
    tries: InMemoryTries = field(default_factory=InMemoryTries)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(accounts=self.accounts, sessions=self.sessions, tries=self.tries)
