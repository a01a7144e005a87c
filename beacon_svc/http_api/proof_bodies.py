"""JSON of the doors through which beacons push proofs and report how they are."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import CoreSchema

from beacon_svc.commands.judging import Submission
from beacon_svc.domain.claims import Claim
from beacon_svc.http_api.beacon_bodies import Kid
from beacon_svc.http_api.logins import Counter, FormatVersion, Signature, UnixMs
from beacon_svc.ports import Outcome, ProofState
from contracts.ids import BeaconId
from infra.http_bodies import Answer, Body, Id

MAX_PROOFS = 100


# 32 bytes in canonical base64url: the last character carries four bits, and two that are zero.
Hash = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
Number = Annotated[int, Field(ge=1, lt=2**53)]


class QualityBody(Body):
    """How well a code could be read; a hint, not signed."""

    snr: Annotated[int, Field(ge=-1000, le=1000)] | None = None
    tries: Counter | None = None


class ProofBody(Body):
    """A signed proof, format (b3). sync_age_ms: null when the beacon's clock was never set. totp is not signed."""

    v: FormatVersion
    beacon_id: Id
    kid: Kid
    boot: Counter
    seq: Number
    code: Annotated[int, Field(ge=0, lt=2**28)]
    observed_at: UnixMs
    uptime_ms: UnixMs
    sync_age_ms: UnixMs | None
    prev: Hash
    sig: Signature
    quality: QualityBody | None = None
    totp: Annotated[str, StringConstraints(pattern=r"^[0-9]{8}$")] | None = None

    def submission(self) -> Submission:
        """Say in the service's terms what a beacon sent."""
        claim = Claim(
            beacon_id=BeaconId(self.beacon_id),
            kid=self.kid,
            boot=self.boot,
            seq=self.seq,
            code=self.code,
            observed_ms=self.observed_at,
            uptime_ms=self.uptime_ms,
            sync_age_ms=self.sync_age_ms,
            prev=self.prev,
        )
        return Submission(claim=claim, signature=self.sig, totp=self.totp)


class PushBody(Body):
    """JSON of POST /beacon/proofs: `{"proofs": [...]}`, at most 100 of one key; or one proof as it is."""

    proofs: Annotated[list[ProofBody], Field(min_length=1, max_length=MAX_PROOFS)]
    is_batch: SkipJsonSchema[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:  # noqa: ANN401 -- any JSON value
        if not isinstance(given, dict) or given.keys() == {"proofs"}:
            return given
        return {"proofs": [given], "is_batch": False}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe both forms."""
        batch = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [batch, batch["properties"]["proofs"]["items"]]}


class ResultAnswer(Answer):
    """What became of a proof. reason: attendance's once it is accepted. signature_*: null before."""

    seq: int
    proof_id: UUID
    status: ProofState
    reason: str
    signature_id: UUID | None
    signature_status: str | None


class PushAnswer(Answer):
    """What became of a push, in its order. ack_seq: the beacon may forget everything up to it."""

    ack_seq: int
    results: list[ResultAnswer]


def result_of(one: Submission, outcome: Outcome) -> ResultAnswer:
    """Say what became of a proof."""
    return ResultAnswer(
        seq=one.claim.seq,
        proof_id=one.id,
        status=outcome.state,
        reason=outcome.reason,
        signature_id=outcome.signature_id,
        signature_status=outcome.signature_status,
    )


class TelemetryBody(Body):
    """JSON of POST /beacon/telemetry. queued_count: proofs not acknowledged. misread_count: damaged frames seen."""

    v: FormatVersion
    boot: Counter
    uptime_ms: UnixMs
    queued_count: Counter
    misread_count: Counter
    battery_mv: Annotated[int, Field(ge=0, le=100_000)] | None = None
    firmware: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[!-~]+$")] | None = None
