"""Passwords at rest: Argon2id, worked out in few threads, because guessing and waiting cost the same memory."""

import asyncio
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from contracts.problems import UnavailableError

T = TypeVar("T")

THREAD_COUNT = 2
SALT_BYTES = 16
HASH_BYTES = 32
COST = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one hash costs. Source of the defaults: OWASP Password Storage Cheat Sheet, Argon2id."""

    memory_kib: int = 19_456
    iterations: int = 2
    lanes: int = 1


class PasswordHasher:
    """Hashes and checks passwords off the event loop.

    pepper: a secret kept apart from the hashes. max_waiting: beyond, callers are sent away rather than queued.
    """

    def __init__(self, *, pepper: bytes, cost: Cost | None = None, max_waiting: int = 32) -> None:
        self._pepper, self._cost, self._max_waiting = pepper, cost or Cost(), max_waiting
        self._threads = ThreadPoolExecutor(THREAD_COUNT, thread_name_prefix="argon2")
        self._waiting = 0
        # An account that is not there must cost as much time as one that is.
        self._nobody = self._hash(secrets.token_bytes(SALT_BYTES))

    def close(self) -> None:
        """Let the threads end; work that has begun is finished."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def check_room(self) -> None:
        """Raises: UnavailableError("overloaded") when too many are waiting already."""
        if self._waiting >= self._max_waiting:
            raise UnavailableError("overloaded")

    async def hash(self, password: str) -> str:
        """Return a new hash of `password`, exactly as given, as a PHC string. Raises: UnavailableError."""
        return await self._off_loop(partial(self._hash, password.encode()))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Return whether `hashed` was made of `password`; None matches nothing and takes as long.

        Raises: UnavailableError("overloaded").
        """
        right = await self._off_loop(partial(self._matches, password.encode(), hashed or self._nobody))
        return right and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Return whether `hashed` was made at another cost than today's."""
        found = COST.match(hashed)
        wanted = (self._cost.memory_kib, self._cost.iterations, self._cost.lanes)
        return found is None or tuple(map(int, found.groups())) != wanted

    async def _off_loop(self, work: "partial[T]") -> T:
        self.check_room()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _hash(self, password: bytes) -> str:
        return Argon2id(
            salt=secrets.token_bytes(SALT_BYTES),
            length=HASH_BYTES,
            iterations=self._cost.iterations,
            lanes=self._cost.lanes,
            memory_cost=self._cost.memory_kib,
            secret=self._pepper,
        ).derive_phc_encoded(password)

    def _matches(self, password: bytes, hashed: str) -> bool:
        try:
            Argon2id.verify_phc_encoded(password, hashed, secret=self._pepper)
        except InvalidKey:
            return False
        return True
