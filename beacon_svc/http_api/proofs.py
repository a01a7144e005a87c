"""The doors through which beacons push proofs and report how they are."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from beacon_svc.commands.hand_over import is_waiting
from beacon_svc.commands.judging import Submission
from beacon_svc.commands.proofs import SEQ_CONFLICT, Push, Receipt
from beacon_svc.http_api.acting import cause_of
from beacon_svc.http_api.proof_bodies import PushAnswer, PushBody, TelemetryBody, result_of
from beacon_svc.ports import BeaconReports, Outcome, Report, StoredProof
from contracts.ids import BeaconId
from contracts.problems import ConflictError, ForbiddenError, InvalidInputError
from infra.clock import Clock
from infra.http_bodies import NoQuery
from infra.http_routes import BEACONS, AnyRoute, Call, Reply, Route

ACCEPTED, HELD = 200, 202


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofParts:
    """What the doors of beacons need. take_in, hand_over: done together with those of other requests."""

    take_in: Callable[[Push], Awaitable[Receipt]]
    hand_over: Callable[[Sequence[StoredProof]], Awaitable[Mapping[UUID, Outcome]]]
    open_reports: Callable[[], AbstractAsyncContextManager[BeaconReports]]
    now: Clock


class ProofApi:
    """Routes for beacons that are logged in."""

    def __init__(self, parts: ProofParts) -> None:
        self._parts = parts

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place. Both paths for proofs are the same door."""
        pushes: list[AnyRoute] = [
            Route(
                method="POST",
                path=path,
                handler=self.post_proofs,
                who=BEACONS,
                body=PushBody,
                answer=PushAnswer,
                summary="Push one proof, or up to 100 of one key",
            )
            for path in ("/beacon/proofs", "/beacon/buzzLightyear")
        ]
        report: AnyRoute = Route(
            method="POST",
            path="/beacon/telemetry",
            handler=self.post_telemetry,
            who=BEACONS,
            body=TelemetryBody,
            status=204,
            summary="Report how the beacon is",
        )
        return [*pushes, report]

    async def post_proofs(self, call: Call[PushBody, NoQuery]) -> Reply:
        parts, caller = self._parts, call.caller
        submissions = [proof.submission() for proof in call.body.proofs]
        check_push(submissions, pushed_by=BeaconId(caller.id), is_batch=call.body.is_batch)
        pushed_by, cause = BeaconId(caller.id), cause_of(caller, now=parts.now())
        receipt = await parts.take_in(Push(submissions=submissions, pushed_by=pushed_by, cause=cause))
        if not call.body.is_batch and SEQ_CONFLICT in receipt.refused.values():
            raise ConflictError("seq_conflict")
        waiting = [proof for proof in receipt.stored.values() if is_waiting(proof)]
        outcomes = await parts.hand_over(waiting) if waiting else {}
        results = [result_of(one, outcome_in(receipt, one, outcomes)) for one in submissions]
        answer = PushAnswer(ack_seq=receipt.ack_seq, results=results)
        return Reply(status=HELD if any(r.status == "held" for r in results) else ACCEPTED, body=answer)

    async def post_telemetry(self, call: Call[TelemetryBody, NoQuery]) -> Reply:
        body = call.body
        report = Report(
            boot=body.boot,
            uptime_ms=body.uptime_ms,
            queued_count=body.queued_count,
            misread_count=body.misread_count,
            battery_mv=body.battery_mv,
            firmware=body.firmware,
        )
        async with self._parts.open_reports() as reports:
            await reports.keep(BeaconId(call.caller.id), report, at=self._parts.now())
        return Reply(status=204)


def check_push(submissions: list[Submission], *, pushed_by: BeaconId, is_batch: bool) -> None:
    """Pass when these proofs may come in one push: one key's, and a single proof from its own beacon.

    Raises: ForbiddenError("forbidden"), InvalidInputError("mixed_batch").
    """
    if not is_batch and submissions[0].claim.beacon_id != pushed_by:
        raise ForbiddenError("forbidden")
    if len({(one.claim.beacon_id, one.claim.kid) for one in submissions}) > 1:
        raise InvalidInputError("mixed_batch")


def outcome_in(receipt: Receipt, one: Submission, handed_over: Mapping[UUID, Outcome]) -> Outcome:
    """Return what became of a pushed proof. One number pushed with two contents: only what is stored counts as its."""
    seq, stored = one.claim.seq, receipt.stored.get(one.claim.seq)
    if stored is None or stored.message != one.message:
        return receipt.refused[seq]
    return handed_over.get(stored.id, stored.outcome)
