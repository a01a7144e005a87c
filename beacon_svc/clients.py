"""gRPC clients of beacon_svc."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import grpc
import grpc.aio

from beacon_svc.domain.proofs import STALE_AFTER
from beacon_svc.ports import HandedIn, NotHandedIn, StoredProof
from contracts.ids import canonical_uuid
from contracts.problems import ConflictError, InvalidInputError, NotFoundError, ProblemError
from contracts.rpc.attendance.api.v1 import attendance_pb2 as attendance
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as attendance_rpc
from infra.grpc_client import COMMAND_TIMEOUT_S, Peer

MS = timedelta(milliseconds=1)
PROOF_TYPE = "buzzLightyear"
# Where nobody knows how far off a time is, attendance hears the longest that still counts.
MOST_UNCERTAINTY = STALE_AFTER
# Two full calls, one after the other, end within a request's 8 s: who waited for the first still hears "held".
PER_PROOF_S = 0.01
# Attendance takes up to 512.
PER_CALL = 256
# What the same request would meet again, whenever it comes.
FINAL = (InvalidInputError, ConflictError, NotFoundError)
FINAL_STATUSES = frozenset(
    status.value[0]
    for status in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
    )
)
STATUS = {
    attendance.SIGNATURE_STATUS_PENDING: "PENDING",
    attendance.SIGNATURE_STATUS_ACCEPTED: "ACCEPTED",
    attendance.SIGNATURE_STATUS_REFUSED: "REFUSED",
    attendance.SIGNATURE_STATUS_LATE: "LATE",
}
# An answer that makes no sense is an outage of attendance, not a fault of the proof.
NONSENSE = NotHandedIn("attendance_down", is_final=False)


class GrpcAttendanceDesk:
    """Satisfies ports.AttendanceDesk. One proof goes alone, more go in one call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = attendance_rpc.AttendanceCommandServiceStub(channel)
        self._peer = Peer("attendance")

    async def hand_in(self, proofs: Sequence[StoredProof]) -> list[HandedIn | NotHandedIn]:
        calls = (proofs[start : start + PER_CALL] for start in range(0, len(proofs), PER_CALL))
        return [answer for some in calls for answer in await self._call(some)]

    async def _call(self, proofs: Sequence[StoredProof]) -> list[HandedIn | NotHandedIn]:
        try:
            if len(proofs) == 1:
                request = to_request(proofs[0])
                timeout_s = COMMAND_TIMEOUT_S
                answer = await self._peer.ask(self._stub.CreateSignatureAttempt, request, timeout_s=timeout_s)
                return [handed_in(answer)]
            batch = attendance.CreateSignatureAttemptsRequest(attempts=map(to_request, proofs))
            timeout_s = COMMAND_TIMEOUT_S + PER_PROOF_S * len(proofs)
            answers = await self._peer.ask(self._stub.CreateSignatureAttempts, batch, timeout_s=timeout_s)
        except ProblemError as problem:
            if isinstance(problem, FINAL) and len(proofs) > 1:
                # One of them spoils the call for all: each by itself.
                return [answer for proof in proofs for answer in await self._call([proof])]
            return [NotHandedIn(problem.code, isinstance(problem, FINAL))] * len(proofs)
        if len(answers.results) != len(proofs):
            return [NONSENSE] * len(proofs)
        return [result_of(result) for result in answers.results]


def to_request(proof: StoredProof) -> attendance.CreateSignatureAttemptRequest:
    """Fill in the contract; the payload can be verified again by whoever has the beacon's key."""
    uncertainty = min(MOST_UNCERTAINTY, proof.uncertainty if proof.uncertainty is not None else MOST_UNCERTAINTY)
    return attendance.CreateSignatureAttemptRequest(
        course_id=_text(proof.course_id),
        student_id=_text(proof.student_id),
        method=attendance.SIGNATURE_METHOD_FLASHLIGHT,
        beacon_proof=attendance.BeaconProof(
            beacon_id=str(proof.beacon_id),
            classroom_id=_text(proof.classroom_id),
            proof_type=PROOF_TYPE,
            proof_payload=proof.message + b"\n" + proof.signature.encode("ascii"),
            proof_time=proof.proved_at,
            uncertainty_ms=uncertainty // MS,
            flags=proof.flags,
        ),
        received_at=proof.received_at,
        idempotency_key=str(proof.id),
        acting_school_id=_text(proof.acting_school_id),
    )


def _text(value: UUID | None) -> str:
    return "" if value is None else str(value)


def handed_in(answer: attendance.CreateSignatureAttemptResponse) -> HandedIn | NotHandedIn:
    """Read attendance's answer."""
    try:
        signature_id = canonical_uuid(answer.signature_id)
        return HandedIn(signature_id=signature_id, status=STATUS[answer.status], reason=answer.reason)
    except (ValueError, KeyError):
        return NONSENSE


def result_of(result: attendance.AttemptResult) -> HandedIn | NotHandedIn:
    """Read the answer to one of many."""
    if result.WhichOneof("result") == "response":
        return handed_in(result.response)
    return NotHandedIn(result.problem.code, result.problem.grpc_status in FINAL_STATUSES)
