"""Signatures and transitions as rows, and rows as signatures."""

import json
from collections.abc import Mapping
from datetime import timedelta
from operator import attrgetter
from typing import Any

from attendance_svc.domain.attempts import Attempt, Claim, DeviceRequest, NfcClaim, QrClaim
from attendance_svc.domain.signatures import Signature, Step, Transition
from contracts.ids import BeaconId, ClassroomId, CourseId, SchoolId, SignatureId, StudentId
from infra.postgres import Row

MILLISECOND = timedelta(milliseconds=1)
METHODS_OF_STUDENTS = frozenset(("QR", "NFC", "FLASHLIGHT", "BEACON"))
Json = dict[str, Any]


# Columns as in CHANGE; they are called as in the domain.
changed_columns = attrgetter(
    *("id", "school_id", "course_id", "status", "reason", "rule_version", "version", "announced", "beacon_id"),
    *("classroom_id", "superseded_by", "voided_at", "judged_by", "judged_at"),
)
# Attributes of the type added_signature, those of the table `signature`.
signature_attributes = attrgetter(
    *("id", "school_id", "course_id", "kind", "subject_id", "status", "reason", "method", "t", "received_at"),
    *("rule_version", "announced", "idempotency_key", "digest", "beacon_id", "classroom_id", "superseded_by"),
    *("judged_by", "judged_at"),
)
NO_ATTEMPT = (0, (), True, None, None)


def added_row(step: Step) -> tuple[object, ...]:
    """Return the first step of a signature, and the signature, as an added_signature."""
    transition = step.transition
    return (
        *signature_attributes(step.after),
        *(NO_ATTEMPT if step.after.attempt is None else _attempt_attributes(step.after.attempt)),
        transition.note,
        transition.actor.type,
        transition.actor.id,
        transition.at,
        transition.evidence_text,
        transition.salt,
        bytes.fromhex(transition.digest()),
    )


def _attempt_attributes(attempt: Attempt) -> tuple[object, ...]:
    """Those of the tables `student_signature` and `proof`."""
    claim = None if attempt.claim is None else json.dumps(claim_to(attempt.claim))
    return attempt.uncertainty // MILLISECOND, sorted(attempt.flags), attempt.has_device, claim, attempt.proof


def claim_to(claim: Claim) -> Json:
    """Return a claim as JSON values; one with a code is of NFC."""
    request = claim.request
    code = {"serial": claim.serial, "code": claim.code} if isinstance(claim, NfcClaim) else {}
    return code | {
        "method": request.method,
        "path": request.path,
        "body": request.body.hex(),
        "headers": [list(header) for header in request.headers],
    }


def _claim_from(text: str) -> Claim:
    fields = json.loads(text)
    request = DeviceRequest(
        method=fields["method"],
        path=fields["path"],
        body=bytes.fromhex(fields["body"]),
        headers=tuple((name, value) for name, value in fields["headers"]),
    )
    if "code" not in fields:
        return QrClaim(request=request)
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


def transition_columns(transition: Transition) -> tuple[object, ...]:
    """Columns as in ADD_STEPS."""
    return (
        transition.signature_id,
        transition.n,
        transition.before,
        transition.after,
        transition.reason,
        transition.note,
        transition.actor.type,
        transition.actor.id,
        transition.rule_version,
        transition.at,
        transition.evidence_text,
        transition.salt,
        bytes.fromhex(transition.digest()),
    )


def evidence_from(text: str) -> Mapping[str, Any]:
    """Return the evidence of a transition."""
    evidence: Mapping[str, Any] = json.loads(text)
    return evidence
