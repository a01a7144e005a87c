"""Show signatures, their transitions and sheets: rows to values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from attendance_svc.domain.attempts import Status
from contracts.ids import CourseId, SchoolId, SignatureId
from infra.postgres import Connection, Row, planned_anew

FIND_SIGNATURE = "SELECT * FROM signature WHERE id = $1"
# Each filter counts only when given; a status names signatures that still count for something.
LIST_SIGNATURES = """
SELECT * FROM signature
WHERE ($1::uuid IS NULL OR school_id = $1) AND ($2::uuid IS NULL OR course_id = $2)
  AND ($3::uuid IS NULL OR subject_id = $3)
  AND ($4::text IS NULL OR (status = $4 AND superseded_by IS NULL AND voided_at IS NULL))
  AND ($5::timestamptz IS NULL OR t >= $5) AND ($6::timestamptz IS NULL OR t < $6)
  AND ($7::uuid IS NULL OR id > $7)
ORDER BY id LIMIT $8
"""
LIST_TRANSITIONS = """
SELECT n, from_status, to_status, reason, note, actor_type, actor_id, rule_version, at, evidence, digest
FROM signature_transition WHERE signature_id = $1 AND n > $2 ORDER BY n LIMIT $3
"""
# Of several signatures of one person the one that counts most, then the earliest.
LIST_STATES = """
SELECT DISTINCT ON (kind, subject_id) kind, subject_id, id, status, reason, method, t
FROM signature
WHERE course_id = $1 AND superseded_by IS NULL AND voided_at IS NULL
ORDER BY kind, subject_id, array_position(ARRAY['ACCEPTED', 'LATE', 'PENDING', 'REFUSED'], status), t, id
"""
# Without what nobody was told of yet, which has no school.
LIST_COUNTING = """
SELECT kind, subject_id, id, status, reason, method, t, announced
FROM (SELECT * FROM signature WHERE course_id = $1 AND superseded_by IS NULL AND voided_at IS NULL OFFSET 0) AS s
WHERE school_id = $2
ORDER BY t, id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureView:
    """A signature as people see it."""

    id: SignatureId
    school_id: UUID | None
    course_id: UUID | None
    kind: str
    subject_id: UUID
    status: str
    reason: str
    method: str
    t: datetime
    received_at: datetime
    classroom_id: UUID | None
    rule_version: int
    version: int
    superseded_by: UUID | None
    voided_at: datetime | None
    judged_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionView:
    """One step of a signature. digest: 64 hex digits, as its event carries it."""

    n: int
    before: str | None
    after: str
    reason: str
    note: str | None
    actor_type: str
    actor_id: UUID | None
    rule_version: int
    at: datetime
    evidence: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What became of one person in one course."""

    kind: str
    subject_id: UUID
    signature_id: UUID
    status: Status
    reason: str
    method: str
    t: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingView:
    """A signature that no other one took the place of. announced: how many events told of it."""

    kind: str
    subject_id: UUID
    signature_id: UUID
    status: Status
    reason: str
    method: str
    t: datetime
    announced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureFilter:
    """Which signatures; what is None does not matter. since, until: half-open, of the time that counts."""

    school_id: UUID | None = None
    course_id: UUID | None = None
    subject_id: UUID | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def find_signature(connection: Connection, signature_id: SignatureId) -> SignatureView | None:
    """Return a signature of any school."""
    row = await connection.fetchrow(FIND_SIGNATURE, signature_id)
    return None if row is None else _signature(row)


async def list_signatures(
    connection: Connection, wanted: SignatureFilter, *, after: UUID | None, limit: int
) -> list[SignatureView]:
    """Return up to `limit` signatures in the order of their ids, those after the given one."""
    async with planned_anew(connection):
        rows = await connection.fetch(
            LIST_SIGNATURES,
            wanted.school_id,
            wanted.course_id,
            wanted.subject_id,
            wanted.status,
            wanted.since,
            wanted.until,
            after,
            limit,
        )
    return [_signature(row) for row in rows]


async def list_transitions(
    connection: Connection, signature_id: SignatureId, *, after: int, limit: int
) -> list[TransitionView]:
    """Return up to `limit` steps of a signature in their order, those after the given number."""
    return [_transition(row) for row in await connection.fetch(LIST_TRANSITIONS, signature_id, after, limit)]


async def list_states(connection: Connection, course_id: CourseId) -> Sequence[State]:
    """Return what became of everybody who signed, or was marked, in a course: one state per person."""
    return [
        State(
            kind=row["kind"],
            subject_id=row["subject_id"],
            signature_id=row["id"],
            status=row["status"],
            reason=row["reason"],
            method=row["method"],
            t=row["t"],
        )
        for row in await connection.fetch(LIST_STATES, course_id)
    ]


async def list_counting(connection: Connection, course_id: CourseId, school_id: SchoolId) -> Sequence[CountingView]:
    """Return every signature of a course that was announced and counts for something, refused ones too."""
    return [
        CountingView(
            kind=row["kind"],
            subject_id=row["subject_id"],
            signature_id=row["id"],
            status=row["status"],
            reason=row["reason"],
            method=row["method"],
            t=row["t"],
            announced=row["announced"],
        )
        for row in await connection.fetch(LIST_COUNTING, course_id, school_id)
    ]


def _signature(row: Row) -> SignatureView:
    return SignatureView(
        id=SignatureId(row["id"]),
        school_id=row["school_id"],
        course_id=row["course_id"],
        kind=row["kind"],
        subject_id=row["subject_id"],
        status=row["status"],
        reason=row["reason"],
        method=row["method"],
        t=row["t"],
        received_at=row["received_at"],
        classroom_id=row["classroom_id"],
        rule_version=row["rule_version"],
        version=row["version"],
        superseded_by=row["superseded_by"],
        voided_at=row["voided_at"],
        judged_by=row["judged_by"],
    )


def _transition(row: Row) -> TransitionView:
    return TransitionView(
        n=row["n"],
        before=row["from_status"],
        after=row["to_status"],
        reason=row["reason"],
        note=row["note"],
        actor_type=row["actor_type"],
        actor_id=row["actor_id"],
        rule_version=row["rule_version"],
        at=row["at"],
        evidence=json.loads(row["evidence"]),
        digest=row["digest"].hex(),
    )
