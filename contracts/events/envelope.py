"""The wrapper every event travels in, whatever its payload: CloudEvents 1.0 attributes."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue, TypeAdapter

from contracts.values import value

ActorType = Literal["student", "teacher", "admin", "dev", "beacon", "service", "job"]


class Event(BaseModel):
    """Base of every payload: strings, integers, booleans, null, lists and objects of these; no floats.

    type: the wire name, `<service>.<aggregate>.<past>.v1`; never changes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: ClassVar[str]


@value
class Cause:
    """Who and what made a change happen; travels with its event.

    at: when it happened (aware UTC, a Clock's). request_id: as in `x-request-id`. traceparent: W3C trace context.
    causation_id: the event that led to this one.
    """

    at: datetime
    actor_type: ActorType
    actor_id: UUID | None = None
    request_id: str | None = None
    correlation_id: str | None = None
    causation_id: UUID | None = None
    traceparent: str | None = None


@value
class Aggregate:
    """What a change happened to. `type` and `id` name it; `version` counts its events, dense from 1.

    school_id: None for what has no school. recorded_at: the time of the writer's database, where readers need it.
    """

    type: str
    id: UUID
    version: int
    school_id: UUID | None
    recorded_at: datetime | None = None


@value
class Envelope:
    """One event as its writer made it; sealing adds position and hashes.

    id: names the event for ever (UUIDv7). subject: "<aggregate>/<uuid>". time: when it happened (the writer's Clock).
    recordedtime: when the writer's database recorded it. partitionkey: the school. aggver: the aggregate's version.
    data: the payload's fields; ids and times among them are spelled where the event becomes bytes.
    """

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str
    type: str
    subject: str
    time: AwareDatetime
    recordedtime: AwareDatetime | None = None
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    partitionkey: UUID | None
    aggver: int
    correlationid: str | None = None
    causationid: UUID | None = None
    requestid: str | None = None
    traceparent: str | None = None
    actor: dict[str, str]
    data: dict[str, JsonValue]


def envelope_schema() -> dict[str, Any]:
    """Return the JSON Schema of an envelope."""
    return TypeAdapter(Envelope).json_schema(mode="serialization")


def wrap(event: Event, *, id: UUID, of: Aggregate, cause: Cause) -> Envelope:
    """Put `event` in an envelope; its source is the first word of its type."""
    return Envelope(
        id=id,
        source="/" + event.type.split(".", maxsplit=1)[0],
        type=event.type,
        subject=f"{of.type}/{of.id}",
        time=cause.at.astimezone(UTC),
        recordedtime=of.recorded_at,
        dataschema=f"urn:rollcall:schema:{event.type}",
        partitionkey=of.school_id,
        aggver=of.version,
        correlationid=cause.correlation_id or cause.request_id,
        causationid=cause.causation_id,
        requestid=cause.request_id,
        traceparent=cause.traceparent,
        actor={"type": cause.actor_type} | ({"id": str(cause.actor_id)} if cause.actor_id else {}),
        data=event.__dict__,
    )
