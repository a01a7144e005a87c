"""An event as bytes, as the fields of a stream entry, and as what a handler gets.

The bytes are RFC 8785 JSON, made once by the writer: what is sealed, sent, stored and archived is the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from contracts.events.envelope import Envelope
from contracts.ids import canonical_uuid
from streams.chain import flaw
from streams.entries import Damaged, Entry, StreamId

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

MAX_INTEGER = 2**53 - 1  # RFC 8785 numbers are IEEE doubles
SEALING = frozenset({"shard", "sequence", "incarnation", "salt", "commit", "prevhash", "hash"})
# Attributes whose text in the stream is JSON; every other one is a string.
RAW = frozenset({"aggver", "data", "actor"})


class UndecodableError(ValueError):
    """The bytes are no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One event as a handler gets it. `data` is what the publisher's model of this `type` reads.

    time: of the writer's clock. recorded_at: of the writer's database, where the publisher gives it.
    """

    id: UUID
    type: str
    subject: str
    time: datetime
    recorded_at: datetime | None
    school_id: UUID | None
    aggver: int
    actor: Mapping[str, str]
    data: dict[str, Json]
    correlation_id: str | None
    causation_id: str | None
    request_id: str | None
    traceparent: str | None
    shard: int
    pos: int
    ms: int

    @property
    def agg_id(self) -> UUID:
        return UUID(self.subject.partition("/")[2])


def body_of(event: Envelope) -> bytes:
    """Return `event` as RFC 8785 JSON; absent attributes are left out.

    Raises: ValueError for what has no canonical form: a float, an integer beyond 2**53, half a surrogate pair.
    """
    attributes = event.model_dump(mode="json", exclude_none=True)
    # exclude_none would also reach into the payload, where null means something.
    return canonical(cast(Json, attributes | {"data": event.data}))


def canonical(value: Json) -> bytes:
    """Return `value` as RFC 8785 JSON. Raises: ValueError."""
    return json.dumps(_ordered(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _ordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    if value is None or isinstance(value, bool | str) or (type(value) is int and abs(value) <= MAX_INTEGER):
        return value
    raise ValueError(f"no canonical form for {type(value).__name__}")


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def fields_of(entry: Entry) -> dict[str, str]:
    """Return the fields of the stream entry: each attribute, then what sealing added.

    Names keep to lower-case letters and digits, as CloudEvents demands: `prevhash`, not `prev_hash`.
    """
    fields = {} if entry.body is None else attributes_of(entry.body)
    fields["shard"] = str(entry.shard)
    fields["sequence"] = str(entry.pos)
    fields["incarnation"] = str(entry.incarnation)
    if entry.salt is not None:
        fields["salt"] = entry.salt.hex()
    return fields | {"commit": entry.commit.hex(), "prevhash": entry.prev_hash.hex(), "hash": entry.hash.hex()}


def attributes_of(body: bytes) -> dict[str, str]:
    """Return each attribute as its text in a stream entry."""
    attributes: dict[str, Json] = json.loads(body)
    return {name: canonical(value).decode() if name in RAW else cast(str, value) for name, value in attributes.items()}


def body_from(attributes: Mapping[str, str]) -> bytes:
    """Return the bytes whose attributes these are, in the writer's own spelling."""
    texts = (f"{_quoted(name)}:{_text(name, attributes[name])}" for name in sorted(attributes))
    return ("{" + ",".join(texts) + "}").encode()


def _text(name: str, value: str) -> str:
    return value if name in RAW else _quoted(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def read_entry(id_: StreamId, fields: Mapping[bytes, bytes]) -> Entry | Damaged:
    """Return the entry that a stream carries, or why it cannot be the one that was sealed."""
    try:
        entry = _entry(id_, {name.decode(): value.decode() for name, value in fields.items()})
    except (ValueError, KeyError) as error:
        return Damaged(id=id_, reason=type(error).__name__)
    wrong = flaw(entry)
    return entry if wrong is None else Damaged(id=id_, reason=wrong)


def _entry(id_: StreamId, fields: Mapping[str, str]) -> Entry:
    attributes = {name: value for name, value in fields.items() if name not in SEALING}
    if int(fields["sequence"]) != id_.pos:
        raise ValueError("the id is not the position")
    return Entry(
        incarnation=canonical_uuid(fields["incarnation"]),
        shard=int(fields["shard"]),
        pos=id_.pos,
        ms=id_.ms,
        body=body_from(attributes) if attributes else None,
        salt=bytes.fromhex(fields["salt"]) if "salt" in fields else None,
        commit=bytes.fromhex(fields["commit"]),
        prev_hash=bytes.fromhex(fields["prevhash"]),
        hash=bytes.fromhex(fields["hash"]),
    )


def delivered(entry: Entry) -> Delivered:
    """Return what a handler gets of `entry`. Raises: UndecodableError."""
    try:
        return _delivered(entry, json.loads(entry.body or b""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error


def _delivered(entry: Entry, event: dict[str, Json]) -> Delivered:
    subject, school, aggver = _string(event, "subject"), event.get("partitionkey"), event["aggver"]
    canonical_uuid(subject.partition("/")[2])
    data, actor = event["data"], event["actor"]
    if not (isinstance(data, dict) and isinstance(actor, dict) and type(aggver) is int):
        raise TypeError("an attribute of another kind")
    return Delivered(
        id=canonical_uuid(_string(event, "id")),
        type=_string(event, "type"),
        subject=subject,
        time=_moment(_string(event, "time")),
        recorded_at=_moment(_string(event, "recordedtime")) if "recordedtime" in event else None,
        school_id=None if school is None else canonical_uuid(_string(event, "partitionkey")),
        aggver=aggver,
        actor=cast(Mapping[str, str], actor),
        data=data,
        correlation_id=_optional(event, "correlationid"),
        causation_id=_optional(event, "causationid"),
        request_id=_optional(event, "requestid"),
        traceparent=_optional(event, "traceparent"),
        shard=entry.shard,
        pos=entry.pos,
        ms=entry.ms,
    )


def _string(event: Mapping[str, Json], name: str) -> str:
    value = event[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no string")
    return value


def _optional(event: Mapping[str, Json], name: str) -> str | None:
    return _string(event, name) if name in event else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment
