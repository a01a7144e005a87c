"""gRPC door of attendance_svc: beacon_svc hands in verified proofs."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import grpc.aio
from asyncpg.pgproto import pgproto
from google.protobuf.timestamp_pb2 import Timestamp

from attendance_svc.commands.asking import Sources
from attendance_svc.commands.attempts import (
    Keep,
    Submission,
    create_signature_attempt,
    create_signature_attempts,
)
from attendance_svc.domain.attempts import Attempt, Method, Status
from attendance_svc.domain.freshness import read_token
from attendance_svc.domain.signatures import Answer
from contracts.events.envelope import Cause
from contracts.ids import BeaconId, ClassroomId, CourseId, SchoolId, SignatureId, StudentId, new_id
from contracts.problems import InvalidInputError, ProblemError
from contracts.rpc.attendance.api.v1 import attendance_pb2 as pb
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as rpc
from infra.clock import Clock
from infra.problem_table import GRPC_STATUS
from infra.request_context import current
from infra.telemetry import logger

Named = TypeVar("Named", bound=UUID)
Context = grpc.aio.ServicerContext[Any, Any]

# What a beacon can show. Marks and QR scans come through the REST door.
METHODS: dict[int, Method] = {
    pb.SIGNATURE_METHOD_NFC: "NFC",
    pb.SIGNATURE_METHOD_FLASHLIGHT: "FLASHLIGHT",
    pb.SIGNATURE_METHOD_BEACON: "BEACON",
}
STATUSES: dict[Status, pb.SignatureStatus] = {
    "PENDING": pb.SIGNATURE_STATUS_PENDING,
    "ACCEPTED": pb.SIGNATURE_STATUS_ACCEPTED,
    "REFUSED": pb.SIGNATURE_STATUS_REFUSED,
    "LATE": pb.SIGNATURE_STATUS_LATE,
}
KEY = re.compile(r"[!-~]{1,128}")
FLAG = re.compile(r"[a-z_]{1,40}")
MAX_FLAGS = 16
MAX_PROOF_BYTES = 16_384
MAX_ATTEMPTS = 512
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
NANOS = 1_000_000_000
LATEST_AHEAD = timedelta(days=3652)
# A clock that is this far off says nothing; more would leave what a datetime can hold.
MAX_UNCERTAINTY_MS = 365 * 24 * 3_600_000
log = logger(__name__)
TOKEN_KEY = "x-consistency-token"  # noqa: S105 -- what a caller has seen, no secret


class AttendanceDesk(rpc.AttendanceCommandServiceServicer):
    """Answers AttendanceCommandService; problems leave as exceptions, for the server's interceptor."""

    def __init__(self, *, sources: Sources, keep: Keep, now: Clock) -> None:
        self._sources, self._keep, self._now = sources, keep, now

    async def CreateSignatureAttempt(  # noqa: N802 -- as generated
        self, request: pb.CreateSignatureAttemptRequest, context: Context
    ) -> pb.CreateSignatureAttemptResponse:
        submission, sources = to_submission(request, self._now()), self._sources_for(context)
        return to_response(await create_signature_attempt(submission, sources=sources, keep=self._keep))

    async def CreateSignatureAttempts(  # noqa: N802
        self, request: pb.CreateSignatureAttemptsRequest, context: Context
    ) -> pb.CreateSignatureAttemptsResponse:
        if len(request.attempts) > MAX_ATTEMPTS:
            raise InvalidInputError("malformed_field", "attempts")
        now, sources = self._now(), self._sources_for(context)
        read = [to_submission_or_problem(attempt, now) for attempt in request.attempts]
        submissions = [each for each in read if isinstance(each, Submission)]
        outcomes = iter(await create_signature_attempts(submissions, sources=sources, keep=self._keep))
        results = [to_result(next(outcomes) if isinstance(each, Submission) else each) for each in read]
        return pb.CreateSignatureAttemptsResponse(results=results)

    def _sources_for(self, context: Context) -> Sources:
        """Return whom to ask for this call: not a copy that lacks what its caller has seen academics write."""
        metadata = dict(context.invocation_metadata() or ())
        token = metadata.get(TOKEN_KEY)
        return self._sources.after(read_token(token if isinstance(token, str) else None))


def to_submission_or_problem(request: pb.CreateSignatureAttemptRequest, now: datetime) -> Submission | ProblemError:
    """Read one of many: what is wrong with it is nobody else's."""
    try:
        return to_submission(request, now)
    except ProblemError as problem:
        return problem


def to_submission(request: pb.CreateSignatureAttemptRequest, now: datetime) -> Submission:
    """Read the contract. Raises: as `to_attempt`."""
    attempt = to_attempt(request, now)
    return Submission(attempt=attempt, signature_id=SignatureId(new_id()), cause=cause_of(attempt.beacon_id, now))


def to_result(outcome: Answer | BaseException) -> pb.AttemptResult:
    """Say the outcome of one of many in wire terms."""
    if isinstance(outcome, ProblemError):
        status: int = GRPC_STATUS[type(outcome)].value[0]
        return pb.AttemptResult(problem=pb.AttemptProblem(grpc_status=status, code=outcome.code))
    if isinstance(outcome, BaseException):
        # One that cannot be kept must not take the others with it.
        log.error("an attempt failed", action="bug", exc_info=outcome)
        internal: int = grpc.StatusCode.INTERNAL.value[0]
        return pb.AttemptResult(problem=pb.AttemptProblem(grpc_status=internal, code="internal"))
    return pb.AttemptResult(response=to_response(outcome))


def cause_of(beacon_id: BeaconId | None, now: datetime) -> Cause:
    """Return that a beacon caused what happens, with the ids of the call."""
    context = current()
    return Cause(
        at=now,
        actor_type="beacon",
        actor_id=beacon_id,
        request_id=context.request_id if context else None,
        traceparent=context.traceparent if context else None,
    )


def to_attempt(request: pb.CreateSignatureAttemptRequest, now: datetime) -> Attempt:
    """Read the contract. Raises: InvalidInputError("malformed_field") naming the field."""
    method = METHODS.get(request.method)
    if method is None:
        raise InvalidInputError("malformed_field", "method")
    if request.teacher_id or request.administrator_id:
        raise InvalidInputError("malformed_field", "teacher_id")
    if request.idempotency_key and not KEY.fullmatch(request.idempotency_key):
        raise InvalidInputError("malformed_field", "idempotency_key")
    proof = request.beacon_proof
    # What beacon_svc received cannot lie ahead of now: else a proof from the future would be believed.
    received_at = min(_moment(request, "received_at", now) or now, now)
    course_id, student_id = _id(request.course_id, "course_id"), _id(request.student_id, "student_id")
    school_id, beacon_id = _id(request.acting_school_id, "acting_school_id"), _id(proof.beacon_id, "beacon_id")
    classroom_id = _id(proof.classroom_id, "classroom_id")
    if student_id is None:
        raise InvalidInputError("malformed_field", "student_id")
    return Attempt(
        idempotency_key=request.idempotency_key or None,
        school_id=SchoolId(school_id) if school_id else None,
        course_id=CourseId(course_id) if course_id else None,
        student_id=StudentId(student_id),
        method=method,
        t=_moment(proof, "proof_time", now) or received_at,
        received_at=received_at,
        uncertainty=_uncertainty(proof),
        flags=_flags(proof),
        beacon_id=BeaconId(beacon_id) if beacon_id else None,
        classroom_id=ClassroomId(classroom_id) if classroom_id else None,
        proof=_payload(proof),
        proof_digest=hashlib.sha256(f"{proof.beacon_id}\n{proof.proof_type}\n".encode() + proof.proof_payload).digest(),
        has_device=not request.HasField("device_verified") or request.device_verified,
    )


def _id(text: str, field: str) -> UUID | None:
    if not text:
        return None
    try:
        # The driver's own: read, spelled and stored in a tenth of the time of the standard library's.
        made: UUID = pgproto.UUID(text)
    except ValueError as error:
        raise InvalidInputError("malformed_field", field) from error
    if str(made) != text:
        raise InvalidInputError("malformed_field", field)
    return made


def _moment(message: pb.CreateSignatureAttemptRequest | pb.BeaconProof, field: str, now: datetime) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        moment = EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError as error:
        raise InvalidInputError("malformed_field", field) from error
    if not (0 <= stamp.nanos < NANOS and EARLIEST <= moment <= now + LATEST_AHEAD):
        raise InvalidInputError("malformed_field", field)
    return moment


def _uncertainty(proof: pb.BeaconProof) -> timedelta:
    if proof.uncertainty_ms < 0:
        raise InvalidInputError("malformed_field", "uncertainty_ms")
    return timedelta(milliseconds=min(proof.uncertainty_ms, MAX_UNCERTAINTY_MS))


def _flags(proof: pb.BeaconProof) -> frozenset[str]:
    flags = frozenset(proof.flags)
    if flags and (len(proof.flags) > MAX_FLAGS or not all(map(FLAG.fullmatch, flags))):
        raise InvalidInputError("malformed_field", "flags")
    return flags


def _payload(proof: pb.BeaconProof) -> bytes | None:
    if len(proof.proof_payload) > MAX_PROOF_BYTES or len(proof.proof_type) > MAX_FLAGS * 8:
        raise InvalidInputError("malformed_field", "proof_payload")
    return proof.proof_payload or None


def to_response(answer: Answer) -> pb.CreateSignatureAttemptResponse:
    """Say the outcome in wire terms."""
    signature = answer.signature
    return pb.CreateSignatureAttemptResponse(
        signature_id=str(signature.id),
        status=STATUSES[signature.status],
        message=answer.reason.replace("_", " "),
        reason=answer.reason,
        rule_version=signature.rule_version,
    )
