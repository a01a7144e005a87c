"""Signatures and transitions as rows, and rows as signatures."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attendance_svc.domain.attempts import Attempt, DeviceRequest, NfcClaim
from attendance_svc.domain.signatures import Signature, Transition
from contracts.ids import BeaconId, ClassroomId, CourseId, SchoolId, SignatureId, StudentId
from infra.postgres import Row

MILLISECOND = timedelta(milliseconds=1)
METHODS_OF_STUDENTS = frozenset(("QR", "NFC", "FLASHLIGHT", "BEACON"))
Json = dict[str, Any]


def to_row(signature: Signature) -> Json:
    """Return the columns of `signature`, `student_signature` and `proof` as JSON values."""
    row: Json = {
        "id": str(signature.id),
        "school_id": _text(signature.school_id),
        "course_id": _text(signature.course_id),
        "kind": signature.kind,
        "subject_id": str(signature.subject_id),
        "status": signature.status,
        "reason": signature.reason,
        "method": signature.method,
        "t": signature.t.isoformat(),
        "received_at": signature.received_at.isoformat(),
        "rule_version": signature.rule_version,
        "version": signature.version,
        "announced": signature.announced,
        "idempotency_key": signature.idempotency_key,
        "digest": _hex(signature.digest),
        "beacon_id": _text(signature.beacon_id),
        "classroom_id": _text(signature.classroom_id),
        "superseded_by": _text(signature.superseded_by),
        "voided_at": _moment(signature.voided_at),
        "judged_by": signature.judged_by,
        "judged_at": _moment(signature.judged_at),
    }
    return row | _attempt(signature.attempt)


def _attempt(attempt: Attempt | None) -> Json:
    if attempt is None:
        return {"uncertainty_ms": 0, "flags": [], "has_device": True, "claim": None, "bytes": None}
    return {
        "uncertainty_ms": attempt.uncertainty // MILLISECOND,
        "flags": sorted(attempt.flags),
        "has_device": attempt.has_device,
        "claim": None if attempt.claim is None else claim_to(attempt.claim),
        "bytes": _hex(attempt.proof),
    }


def claim_to(claim: NfcClaim) -> Json:
    """Return a claim as JSON values."""
    request = claim.request
    return {
        "serial": claim.serial,
        "code": claim.code,
        "method": request.method,
        "path": request.path,
        "body": request.body.hex(),
        "headers": [list(header) for header in request.headers],
    }


def _claim_from(text: str) -> NfcClaim:
    fields = json.loads(text)
    request = DeviceRequest(
        method=fields["method"],
        path=fields["path"],
        body=bytes.fromhex(fields["body"]),
        headers=tuple((name, value) for name, value in fields["headers"]),
    )
    return NfcClaim(serial=fields["serial"], code=fields["code"], request=request)


def from_row(row: Row) -> Signature:
    """Columns as in judged_signature."""
    return Signature(
        id=SignatureId(row["id"]),
        school_id=SchoolId(row["school_id"]) if row["school_id"] else None,
        course_id=CourseId(row["course_id"]) if row["course_id"] else None,
        kind=row["kind"],
        subject_id=row["subject_id"],
        status=row["status"],
        reason=row["reason"],
        method=row["method"],
        t=row["t"],
        received_at=row["received_at"],
        rule_version=row["rule_version"],
        version=row["version"],
        announced=row["announced"],
        idempotency_key=row["idempotency_key"],
        digest=row["digest"],
        beacon_id=BeaconId(row["beacon_id"]) if row["beacon_id"] else None,
        classroom_id=ClassroomId(row["classroom_id"]) if row["classroom_id"] else None,
        superseded_by=SignatureId(row["superseded_by"]) if row["superseded_by"] else None,
        voided_at=row["voided_at"],
        judged_by=row["judged_by"],
        judged_at=row["judged_at"],
        attempt=_attempt_from(row) if row["method"] in METHODS_OF_STUDENTS else None,
    )


def _attempt_from(row: Row) -> Attempt:
    """The bytes of the proof stay in their table: they were looked at when it was judged first."""
    return Attempt(
        idempotency_key=row["idempotency_key"],
        school_id=SchoolId(row["school_id"]) if row["school_id"] else None,
        course_id=CourseId(row["course_id"]) if row["course_id"] else None,
        student_id=StudentId(row["subject_id"]),
        method=row["method"],
        t=row["t"],
        received_at=row["received_at"],
        uncertainty=row["uncertainty_ms"] * MILLISECOND,
        flags=frozenset(row["flags"]),
        beacon_id=BeaconId(row["beacon_id"]) if row["beacon_id"] else None,
        classroom_id=ClassroomId(row["classroom_id"]) if row["classroom_id"] else None,
        proof_digest=row["digest"],
        has_device=row["has_device"],
        claim=_claim_from(row["claim"]) if row["claim"] else None,
    )


def transition_to_row(transition: Transition) -> Json:
    """Return the columns of `signature_transition` as JSON values."""
    return {
        "signature_id": str(transition.signature_id),
        "n": transition.n,
        "from_status": transition.before,
        "to_status": transition.after,
        "reason": transition.reason,
        "note": transition.note,
        "actor_type": transition.actor.type,
        "actor_id": _text(transition.actor.id),
        "rule_version": transition.rule_version,
        "at": transition.at.isoformat(),
        "evidence": dict(transition.evidence),
        "salt": _hex(transition.salt),
        "digest": "\\x" + transition.digest(),
    }


def to_json(rows: list[Json]) -> str:
    """Return what jsonb_to_recordset reads."""
    return json.dumps(rows)


def evidence_from(text: str) -> Mapping[str, Any]:
    """Return the evidence of a transition."""
    evidence: Mapping[str, Any] = json.loads(text)
    return evidence


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _hex(value: bytes | None) -> str | None:
    return None if value is None else "\\x" + value.hex()


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat()
