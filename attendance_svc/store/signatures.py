"""The book of signatures in Postgres."""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import asyncpg

from attendance_svc.domain.signatures import Evidence, Kind, Place, Signature, Situation, Step
from attendance_svc.store.rows import added_row, changed_columns, evidence_from, from_row, transition_columns
from contracts.events.envelope import Envelope
from contracts.ids import CourseId, SignatureId
from contracts.problems import ConflictError, PreconditionFailedError
from infra.postgres import Connection, Pool, Row, transaction
from streams.outbox import Outbox

LOCK_COURSE = "SELECT pg_advisory_xact_lock($1)"
# Taken in the order given: a plain scan of the first array, then one of the second.
LOCK_ALL = """
SELECT pg_advisory_xact_lock_shared(course)::text FROM unnest($1::bigint[]) AS c (course)
UNION ALL
SELECT pg_advisory_xact_lock(subject)::text FROM unnest($2::bigint[]) AS s (subject)
"""
FIND = "SELECT * FROM judged_signature WHERE id = $1"
# LIMIT and OFFSET 0, here and below, keep each look at a table by itself, by its index: joined, it would be planned for
# a table of yesterday's size.
FIND_REPEATS = """
WITH RECURSIVE chain AS (
    SELECT idempotency_key AS key, id, superseded_by, 0 AS depth FROM signature WHERE idempotency_key = ANY ($1)
    UNION ALL
    SELECT c.key, s.id, s.superseded_by, c.depth + 1
    FROM chain c CROSS JOIN LATERAL (SELECT id, superseded_by FROM signature WHERE id = c.superseded_by OFFSET 0) AS s
)
SELECT c.key, j.*
FROM chain c CROSS JOIN LATERAL (SELECT * FROM judged_signature WHERE id = c.id OFFSET 0) AS j ORDER BY c.depth
"""
# For each place what holds for the course, with every open signature of the subject, if any, and whether the key that
# is to be used there was used before; no row where there is nothing of all that.
GET_SITUATIONS = """
SELECT
    u.course, u.subject, taught.yes IS NOT NULL AS teacher_signed, over.yes IS NOT NULL AS is_settled,
    h.judged_by AS last_judge, coalesce(h.status = 'REFUSED' OR h.voided_at IS NOT NULL, false) AS is_under_review,
    used.yes IS NOT NULL AS is_key_used, j.*
FROM unnest($1::uuid[], $2::uuid[], $4::text[]) AS u (course, subject, key)
LEFT JOIN LATERAL (SELECT true AS yes FROM signature WHERE idempotency_key = u.key LIMIT 1) AS used ON true
LEFT JOIN LATERAL (
    SELECT true AS yes FROM signature
    WHERE course_id = u.course AND kind = 'teacher' AND status IN ('ACCEPTED', 'LATE')
    AND superseded_by IS NULL AND voided_at IS NULL LIMIT 1
) AS taught ON true
LEFT JOIN LATERAL (SELECT true AS yes FROM course_settled WHERE course_id = u.course LIMIT 1) AS over ON true
LEFT JOIN LATERAL (
    SELECT judged_by, status, voided_at FROM signature
    WHERE course_id = u.course AND subject_id = u.subject AND kind = $3 AND judged_at IS NOT NULL
    ORDER BY judged_at DESC, id DESC LIMIT 1
) AS h ON true
LEFT JOIN LATERAL (
    SELECT * FROM judged_signature
    WHERE course_id = u.course AND subject_id = u.subject AND kind = $3
    AND superseded_by IS NULL AND voided_at IS NULL AND status <> 'REFUSED' OFFSET 0
) AS j ON true
WHERE num_nonnulls(taught.yes, over.yes, h.status, used.yes, j.id) > 0
ORDER BY j.t, j.id
"""
NOTHING = Situation()
LIST_AWAITING_TEACHER = """
SELECT j.*, e.evidence
FROM judged_signature j CROSS JOIN LATERAL (
    SELECT evidence FROM signature_transition WHERE signature_id = j.id AND n = j.version OFFSET 0
) AS e
WHERE j.course_id = $1 AND j.status = 'PENDING' AND j.reason = 'awaiting_teacher'
  AND j.superseded_by IS NULL AND j.voided_at IS NULL
ORDER BY j.t, j.id LIMIT $2
"""
SETTLE = "INSERT INTO course_settled (course_id, settled_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
CHANGE = """
UPDATE signature s
SET school_id = n.school_id, course_id = n.course_id, status = n.status, reason = n.reason,
    rule_version = n.rule_version, version = n.version, announced = n.announced, beacon_id = n.beacon_id,
    classroom_id = n.classroom_id, superseded_by = n.superseded_by, voided_at = n.voided_at, judged_by = n.judged_by,
    judged_at = n.judged_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[],
            $9::uuid[], $10::uuid[], $11::uuid[], $12::timestamptz[], $13::text[], $14::timestamptz[])
     AS n (id, school_id, course_id, status, reason, rule_version, version, announced, beacon_id, classroom_id,
           superseded_by, voided_at, judged_by, judged_at)
CROSS JOIN LATERAL (SELECT ctid AS place FROM signature WHERE id = n.id OFFSET 0) AS f
WHERE s.ctid = f.place AND s.version = n.version - 1
"""
# Steps of signatures that were there before.
ADD_STEPS = """
INSERT INTO signature_transition (
    signature_id, n, from_status, to_status, reason, note, actor_type, actor_id, rule_version, at, evidence, salt,
    digest
)
SELECT * FROM unnest(
    $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::integer[],
    $10::timestamptz[], $11::jsonb[], $12::bytea[], $13::bytea[]
)
"""
# One statement for new signatures with all their parts and their first steps, for every event, and for the sheets that
# no longer say how it is: those that were published. Publishing holds the course's lock alone, so none is missed.
ADD = """
WITH n AS (
    SELECT * FROM unnest($1::added_signature[])
), added AS (
    INSERT INTO signature (
        id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at, rule_version, version,
        announced, idempotency_key, digest, beacon_id, classroom_id, superseded_by, judged_by, judged_at
    )
    SELECT id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at, rule_version, 1,
           announced, idempotency_key, digest, beacon_id, classroom_id, superseded_by, judged_by, judged_at
    FROM n
), students AS (
    INSERT INTO student_signature (signature_id, uncertainty_ms, flags, has_device, claim)
    SELECT id, uncertainty_ms, flags, has_device, claim FROM n WHERE kind = 'student'
), teachers AS (
    INSERT INTO teacher_signature (signature_id) SELECT id FROM n WHERE kind = 'teacher'
), proofs AS (
    INSERT INTO proof (signature_id, bytes) SELECT id, proof FROM n WHERE proof IS NOT NULL
), marked AS (
    INSERT INTO sheet_change (course_id) SELECT course_id FROM sheet WHERE course_id = ANY ($2::uuid[]) AND version > 0
), told AS (
    INSERT INTO streams_pending (shard, event_id, agg_type, agg_id, aggver, tenant, type, body)
    SELECT shard, event_id, agg_type, agg_id, aggver, tenant, type, body
    FROM unnest($3::smallint[], $4::uuid[], $5::text[], $6::uuid[], $7::bigint[], $8::uuid[], $9::text[], $10::bytea[])
         WITH ORDINALITY AS e (shard, event_id, agg_type, agg_id, aggver, tenant, type, body, place)
    ORDER BY place
)
INSERT INTO signature_transition (
    signature_id, n, from_status, to_status, reason, note, actor_type, actor_id, rule_version, at, evidence, salt,
    digest
)
SELECT id, 1, NULL, status, reason, note, actor_type, actor_id, rule_version, at, evidence, salt, step_digest FROM n
"""


class PostgresSignatureBook:
    """Satisfies ports.SignatureBook. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection, outbox: Outbox) -> None:
        self._connection, self._outbox = connection, outbox
        self.announced_in: set[int] = set()

    async def lock(self, course_id: CourseId | None, subject_id: UUID, *, alone: bool = False) -> None:
        if alone and course_id is not None:
            await self._connection.execute(LOCK_COURSE, lock_number(course_id))
        else:
            await self.lock_all([(course_id, subject_id)])

    async def lock_all(self, places: Collection[Place]) -> None:
        # Courses before subjects, as with one place, and each in one order.
        courses = sorted(lock_number(course_id) for course_id in {course_id for course_id, _ in places} - {None})
        subjects = sorted({lock_number(*place) for place in places})
        await self._connection.execute(LOCK_ALL, courses, subjects)

    async def find_repeats(self, keys: Collection[str]) -> Mapping[str, tuple[Signature, Signature]]:
        chains: defaultdict[str, list[Row]] = defaultdict(list)
        for row in await self._connection.fetch(FIND_REPEATS, list(keys)):
            chains[row["key"]].append(row)
        return {key: (from_row(rows[0]), from_row(rows[-1])) for key, rows in chains.items()}

    async def get_situation(self, course_id: CourseId | None, kind: Kind, subject_id: UUID) -> Situation:
        place = course_id, subject_id
        return (await self.get_situations(kind, {place: None}))[place]

    async def get_situations(self, kind: Kind, places: Mapping[Place, str | None]) -> dict[Place, Situation]:
        courses, subjects = [course for course, _ in places], [subject for _, subject in places]
        by_place: defaultdict[Place, list[Row]] = defaultdict(list)
        for row in await self._connection.fetch(GET_SITUATIONS, courses, subjects, kind, list(places.values())):
            by_place[row["course"], row["subject"]].append(row)
        return dict.fromkeys(places, NOTHING) | {place: to_situation(rows) for place, rows in by_place.items()}

    async def find(self, signature_id: SignatureId) -> Signature | None:
        row = await self._connection.fetchrow(FIND, signature_id)
        return None if row is None else from_row(row)

    async def list_awaiting_teacher(self, course_id: CourseId, *, limit: int) -> list[tuple[Signature, Evidence]]:
        rows = await self._connection.fetch(LIST_AWAITING_TEACHER, course_id, limit)
        return [(from_row(row), evidence_from(row["evidence"])) for row in rows]

    async def settle(self, course_id: CourseId, *, at: datetime) -> None:
        await self._connection.execute(SETTLE, course_id, at)

    async def keep(self, steps: Sequence[Step], news: Sequence[Envelope]) -> None:
        changed = [step for step in steps if step.before is not None]
        # Whatever stops standing first, so that its place is free.
        await self._change([step for step in changed if not step.after.stands])
        await self._change([step for step in changed if step.after.stands])
        new = [added_row(step) for step in steps if step.before is None]
        courses = {step.after.course_id for step in steps if step.after.course_id}
        try:
            await self._connection.execute(ADD, new, list(courses), *self._outbox.rows(*news))
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "signature_key":
                raise ConflictError("idempotency_key_reused") from error
            raise
        self.announced_in |= self._outbox.shards_of(*news)

    async def _change(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        changed = zip(*(changed_columns(step.after) for step in steps), strict=True)
        done = await self._connection.execute(CHANGE, *changed)
        if int(done.removeprefix("UPDATE ")) != len(steps):
            raise PreconditionFailedError("version_stale")
        transitions = zip(*(transition_columns(step.transition) for step in steps), strict=True)
        await self._connection.execute(ADD_STEPS, *transitions)


def to_situation(rows: Sequence[Row]) -> Situation:
    """Columns as in GET_SITUATIONS, of one subject."""
    open_ones = [from_row(row) for row in rows if row["id"] is not None]
    return Situation(
        teacher_signed=rows[0]["teacher_signed"],
        is_settled=rows[0]["is_settled"],
        is_under_review=rows[0]["is_under_review"],
        last_judge=rows[0]["last_judge"],
        standing=next((each for each in open_ones if each.stands), None),
        undecided=tuple(each for each in open_ones if each.status == "PENDING"),
        is_key_used=rows[0]["is_key_used"],
    )


def lock_number(course_id: CourseId | None, subject_id: UUID | None = None) -> int:
    """Return the number of the advisory lock of a course, or of one subject in it: 64 bits, signed."""
    digest = hashlib.sha256(f"{course_id}:{subject_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@asynccontextmanager
async def open_book(
    pool: Pool, outbox: Outbox, poke: Callable[[Collection[int]], None]
) -> AsyncIterator[PostgresSignatureBook]:
    """Open a book and its transaction: leaving commits, an exception rolls everything back.

    poke: hears afterwards which shards have news.
    """
    async with transaction(pool) as lent:
        book = PostgresSignatureBook(lent, outbox)
        yield book
    poke(book.announced_in)
