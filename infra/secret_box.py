"""Secrets at rest: AES-256-GCM under a key from a file, bound to what they belong to."""

import base64
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
KEY_BYTES = 32


class SecretBox:
    """Seals and opens small secrets. about: names the owner; opening under another name fails."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("the key must have 32 bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> "SecretBox":
        """Read the key, base64 of 32 bytes. Raises: OSError, ValueError."""
        return cls(read_key(path))

    def seal(self, secret: bytes, *, about: str) -> bytes:
        """Return nonce and ciphertext."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, about.encode())

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Return the secret. Raises: ValueError when it was sealed with another key or about something else."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
        except InvalidTag as error:
            raise ValueError("this secret was sealed with another key") from error


def read_key(path: Path) -> bytes:
    """Return the 32 bytes that `path` holds in base64. Raises: OSError, ValueError."""
    key = base64.b64decode(path.read_text().strip(), validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError("the key must have 32 bytes")
    return key


def derived_key(path: Path, *, purpose: str) -> bytes:
    """Return 32 bytes that follow from the key in `path`, other ones for every `purpose`. Source: RFC 5869."""
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(read_key(path))
