"""Identifiers that more than one service speaks about: their types, how they are made, how they are read."""

import re
import secrets
import time
from typing import NewType
from uuid import UUID, uuid4

BeaconId = NewType("BeaconId", UUID)
ClassroomId = NewType("ClassroomId", UUID)
CourseId = NewType("CourseId", UUID)
DeviceId = NewType("DeviceId", UUID)
GroupId = NewType("GroupId", UUID)
SchoolId = NewType("SchoolId", UUID)
SignatureId = NewType("SignatureId", UUID)
StudentId = NewType("StudentId", UUID)
TeacherId = NewType("TeacherId", UUID)
UserId = NewType("UserId", UUID)

CANONICAL = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
RAND_B = (1 << 62) - 1
_is_canonical = re.compile(CANONICAL).fullmatch


def new_id() -> UUID:
    """Return a UUIDv7: ids made later sort later. Source: RFC 9562 section 5.7."""
    made_ms = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    return UUID(int=made_ms << 80 | 7 << 76 | chance >> 62 << 64 | 2 << 62 | chance & RAND_B)


def new_user_id() -> UserId:
    """Return a UUIDv4: a person's id must not tell when the account was made."""
    return UserId(uuid4())


def canonical_uuid(text: str) -> UUID:
    """Return the id that `text` spells in canonical lower case.

    The standard library alone also takes braces, `urn:uuid:` and full-width digits.
    Raises: ValueError for every other spelling.
    """
    if not _is_canonical(text):
        raise ValueError("not a canonical UUID")
    return UUID(int=int(text.replace("-", ""), 16))
