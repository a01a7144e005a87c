"""Random passwords, made once and kept in files that only their owner reads."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from infra.private_files import kept

PASSWORD_BYTES = 24  # 192 bits


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords in one folder."""

    folder: Path

    def of(self, name: str) -> str:
        """Return the password of `name`: the kept one, or a new one. URL-safe characters only."""
        return kept(self.folder / name, secrets.token_urlsafe(PASSWORD_BYTES))
