"""Check what is stored of signatures' steps against their digests, and against what the log tells of them."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from attendance_svc.domain.signatures import Actor, Transition
from contracts.ids import SignatureId
from infra.postgres import Connection, Row
from streams.codec import UndecodableError, delivered
from streams.entries import Entry

LIST_DIGESTS = "SELECT signature_id, digest FROM signature_transition WHERE signature_id = ANY ($1)"
LIST_SIGNATURES = "SELECT id, version, status FROM signature WHERE id > $1 ORDER BY id LIMIT $2"
LIST_TRANSITIONS = """
SELECT signature_id, n, from_status, to_status, reason, note, actor_type, actor_id, rule_version, at, evidence, salt,
       digest
FROM signature_transition WHERE signature_id = ANY ($1) ORDER BY signature_id, n
"""
# Steps of no signature, among those of ids beyond $1, up to $2.
LIST_STRAY = """
SELECT signature_id, n FROM signature_transition t
WHERE signature_id > $1 AND signature_id <= $2
  AND NOT EXISTS (SELECT FROM signature WHERE id = t.signature_id OFFSET 0)
ORDER BY signature_id, n
"""
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
PAGE = 1000


async def check_told(connection: Connection, entries: Sequence[Entry]) -> tuple[int, str] | None:
    """Return the first of these events that tells of a step which is not stored, and which signature's it is."""
    told = [(entry.pos, *digest) for entry in entries if (digest := _digest_in(entry))]
    rows = await connection.fetch(LIST_DIGESTS, [signature_id for _, signature_id, _ in told])
    kept = {(row["signature_id"], row["digest"].hex()) for row in rows}
    missing = ((pos, id_) for pos, id_, digest in told if (id_, digest) not in kept)
    return next(((pos, f"signature {id_} has no such transition") for pos, id_ in missing), None)


def _digest_in(entry: Entry) -> tuple[UUID, str] | None:
    if entry.body is None:
        return None
    try:
        data = delivered(entry).data
    except UndecodableError:
        return None
    digest, signature_id = data.get("transition_digest"), data.get("signature_id")
    return (UUID(str(signature_id)), str(digest)) if digest is not None else None


async def check_rows(connection: Connection) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
    """Yield how many steps were looked at, and what is wrong, a page of signatures after the other."""
    after = FIRST
    while after != LAST:
        signatures = await connection.fetch(LIST_SIGNATURES, after, PAGE)
        last = signatures[-1]["id"] if len(signatures) == PAGE else LAST
        steps: dict[UUID, list[Row]] = {row["id"]: [] for row in signatures}
        for row in await connection.fetch(LIST_TRANSITIONS, list(steps)):
            steps[row["signature_id"]].append(row)
        flaws = [flaw for row in signatures for flaw in _flaws(row, steps[row["id"]])]
        for stray in await connection.fetch(LIST_STRAY, after, last):
            flaws.append(_flaw(stray["signature_id"], stray["n"], "is of no signature"))
        yield sum(map(len, steps.values())), flaws
        after = last


def _flaws(signature: Row, steps: Sequence[Row]) -> list[dict[str, Any]]:
    """Columns as in LIST_SIGNATURES and LIST_TRANSITIONS."""
    found = [(step["n"], "is not what was decided") for step in steps if not _is_as_decided(step)]
    numbers = {step["n"] for step in steps}
    found += [(n, "is missing") for n in range(1, signature["version"] + 1) if n not in numbers]
    found += [(n, "is beyond the signature's version") for n in sorted(numbers) if n > signature["version"]]
    if steps and steps[-1]["to_status"] != signature["status"]:
        found.append((steps[-1]["n"], f"led to {steps[-1]['to_status']}, the signature says {signature['status']}"))
    return [_flaw(signature["id"], n, why) for n, why in found]


def _flaw(signature_id: UUID, n: int, why: str) -> dict[str, Any]:
    return {"signature_id": signature_id, "transition": n, "why": why}


def _is_as_decided(row: Row) -> bool:
    evidence = json.loads(row["evidence"])
    return isinstance(evidence, dict) and transition_of(row, evidence).digest() == row["digest"].hex()


def transition_of(row: Row, evidence: dict[str, Any]) -> Transition:
    """Columns as in LIST_TRANSITIONS, whose evidence was read."""
    return Transition(
        signature_id=SignatureId(row["signature_id"]),
        n=row["n"],
        before=row["from_status"],
        after=row["to_status"],
        reason=row["reason"],
        note=row["note"],
        actor=Actor(type=row["actor_type"], id=row["actor_id"]),
        rule_version=row["rule_version"],
        at=row["at"],
        evidence=evidence,
        salt=row["salt"],
    )
