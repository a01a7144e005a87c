"""The hash chain of a log: how an entry commits to its body and to everything before it."""

import secrets
from hashlib import sha256
from struct import pack
from uuid import UUID

from streams.entries import Entry, Place

SALT_BYTES = 16
NO_HASH = bytes(32)


def new_salt() -> bytes:
    """Return 16 random bytes: without them an erased body could be guessed from its commit."""
    return secrets.token_bytes(SALT_BYTES)


def commit_of(salt: bytes, body: bytes) -> bytes:
    """Return what the chain keeps of a body, 32 bytes."""
    return sha256(b"\x01" + salt + body).digest()


def genesis(source: str, shard: int, incarnation: UUID, earlier: bytes = NO_HASH) -> bytes:
    """Return the hash that the first entry of an incarnation follows.

    earlier: the last hash of the incarnation before.
    """
    name = b"rollcall.genesis.v1" + source.encode() + b"\x00"
    return sha256(name + pack(">H", shard) + incarnation.bytes + earlier).digest()


def link(before: Place, shard: int, ms: int, commit: bytes) -> bytes:
    """Return the hash of the entry that follows `before`. Integers are big-endian."""
    return _link(before.hash, before.incarnation, pack(">HQQ", shard, before.pos + 1, ms), commit)


def _link(prev_hash: bytes, incarnation: UUID, numbers: bytes, commit: bytes) -> bytes:
    return sha256(b"rollcall.log.v1" + prev_hash + incarnation.bytes + numbers + commit).digest()


def seal_after(before: Place, shard: int, ms: int, body: bytes) -> Entry:
    """Return `body` as the next entry after `before`."""
    salt = new_salt()
    commit = commit_of(salt, body)
    return Entry(
        incarnation=before.incarnation,
        shard=shard,
        pos=before.pos + 1,
        ms=ms,
        body=body,
        salt=salt,
        commit=commit,
        prev_hash=before.hash,
        hash=link(before, shard, ms, commit),
    )


def flaw(entry: Entry) -> str | None:
    """Return what contradicts itself in `entry`, None when it is sound. Says nothing of its neighbours."""
    if entry.body is not None and (entry.salt is None or commit_of(entry.salt, entry.body) != entry.commit):
        return "commit"
    numbers = pack(">HQQ", entry.shard, entry.pos, entry.ms)
    return None if _link(entry.prev_hash, entry.incarnation, numbers, entry.commit) == entry.hash else "hash"
