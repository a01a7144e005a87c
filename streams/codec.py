"""An event as bytes, as the fields of a stream entry, and as what a handler gets.

The bytes are RFC 8785 JSON, made once by the writer: what is sealed, sent, stored and archived is the same.
"""

import struct
from binascii import unhexlify
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from operator import attrgetter
from typing import cast
from uuid import UUID

from asyncpg.pgproto import pgproto
from pydantic_core import from_json, to_json

from contracts.events.envelope import Envelope
from contracts.ids import canonical_uuid
from contracts.values import value
from streams.chain import flaw
from streams.entries import Damaged, Entry, StreamId

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
# What a writer gives: ids and times are spelled when it becomes bytes.
Value = None | bool | int | str | datetime | UUID | Sequence["Value"] | Mapping[str, "Value"]

MAX_INTEGER = 2**53 - 1  # RFC 8785 numbers are IEEE doubles
SEALING = frozenset({"shard", "sequence", "incarnation", "salt", "commit", "prevhash", "hash"})
# Attributes whose text in the stream is JSON; every other one is a string.
RAW = frozenset({"aggver", "data", "actor"})
# What stands between those and the others, which are strings.
BEFORE_ACTOR, BEFORE_AGGVER, BEFORE_DATA, AFTER_DATA = b'{"actor":', b',"aggver":', b',"data":', b',"datacontenttype":'
ATTRIBUTES = tuple(sorted(Envelope.__dataclass_fields__))
_values = attrgetter(*ATTRIBUTES)
# What stands around an attribute's text in a body.
AROUND = tuple(
    (name.encode(), f'"{name}":'.encode() + quote, quote + b",")
    for name in ATTRIBUTES
    for quote in [b"" if name in RAW else b'"']
)
# Values of these have one spelling, and the encoder knows it.
PLAIN = frozenset({str, bool, type(None), datetime})


class UndecodableError(ValueError):
    """The bytes are no event."""


@value
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
        return _id(self.subject.partition("/")[2])


def body_of(event: Envelope) -> bytes:
    """Return `event` as RFC 8785 JSON; absent attributes are left out.

    Raises: ValueError for what has no canonical form: a float, an integer beyond 2**53, half a surrogate pair.
    """
    return to_json(
        {
            name: value if type(value) in PLAIN else _ordered(value)
            for name, value in zip(ATTRIBUTES, _values(event), strict=True)
            if value is not None
        }
    )


def canonical(value: Value) -> bytes:
    """Return `value` as RFC 8785 JSON. Raises: ValueError."""
    return to_json(_ordered(value))


def _ordered(value: Value) -> Value:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dict):
        names = _sorted(tuple(value))
        return {name: each if type(each := value[name]) in PLAIN else _ordered(each) for name in names}
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    if type(value) in PLAIN or (type(value) is int and abs(value) <= MAX_INTEGER):
        return value
    raise ValueError(f"no canonical form for {type(value).__name__}")


@lru_cache(maxsize=1024)
def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names` in the order of their UTF-16 code units; payloads of one type have the same."""
    return tuple(sorted(names, key=lambda name: name.encode("utf-16-be")))


def fields_of(entry: Entry) -> list[bytes | str]:
    """Return the fields of the stream entry, names and values in turn: each attribute, then what sealing added.

    Names keep to lower-case letters and digits, as CloudEvents demands: `prevhash`, not `prev_hash`.
    """
    fields: list[bytes | str] = [] if entry.body is None else [*attributes_of(entry.body)]
    if entry.salt is not None:
        fields += ("salt", entry.salt.hex())
    fields += ("shard", str(entry.shard), "sequence", str(entry.pos), "incarnation", str(entry.incarnation))
    fields += ("commit", entry.commit.hex(), "prevhash", entry.prev_hash.hex(), "hash", entry.hash.hex())
    return fields


def attributes_of(body: bytes) -> list[bytes]:
    """Return each attribute's name and its text in a stream entry in turn. `body` is canonical.

    What is put together from them anew is `body`: of a guess that was wrong, the sealed hash would say so.
    """
    actor_end, start, end = body.find(BEFORE_AGGVER), body.find(BEFORE_DATA), body.rfind(AFTER_DATA)
    if body.startswith(BEFORE_ACTOR) and 0 < actor_end < start < end and b"\\" not in body[:start] + body[end:]:
        aggver, comma, before = body[actor_end + len(BEFORE_AGGVER) : start].partition(b",")
        # All the rest are strings in which nothing is escaped, so that a quotation mark begins or ends one.
        rest = before + comma + body[end + 1 : -1]
        texts = rest[1:-1].replace(b'":"', b'","').split(b'","')
        actor, data = body[len(BEFORE_ACTOR) : actor_end], body[start + len(BEFORE_DATA) : end]
        # An attribute that only a newer writer knows may stand behind the payload: a text, which ends otherwise.
        if aggver.isdigit() and data.endswith(b"}") and rest.count(b'"') == 2 * len(texts):
            return [b"actor", actor, b"aggver", aggver, b"data", data, *texts]
    attributes: dict[str, Json] = from_json(body, allow_inf_nan=False)
    return [part for name, value in attributes.items() for part in (name.encode(), _text(name, value))]


def _text(name: str, value: Json) -> bytes:
    return to_json(value) if name in RAW else cast(str, value).encode()


def body_from(attributes: Mapping[str, str]) -> bytes:
    """Return the bytes whose attributes these are, in the writer's own spelling."""
    texts = [
        f"{_quoted(name)}:{value if name in RAW else _quoted(value)}" for name, value in sorted(attributes.items())
    ]
    return ("{" + ",".join(texts) + "}").encode()


def read_entry(id_: StreamId, fields: Mapping[bytes, bytes]) -> Entry | Damaged:
    """Return the entry that a stream carries, or why it cannot be the one that was sealed."""
    try:
        entry = _entry(id_, fields, _plain_body(fields))
        wrong = flaw(entry)
        if wrong == "commit":
            # A guess that was right has the sealed hash; this is for text that is spelled with escapes.
            entry = replace(entry, body=_spelled_body(fields))
            wrong = flaw(entry)
    except (ValueError, KeyError, struct.error) as error:
        return Damaged(id=id_, reason=type(error).__name__)
    return entry if wrong is None else Damaged(id=id_, reason=wrong)


def _plain_body(fields: Mapping[bytes, bytes]) -> bytes | None:
    """Return the bytes whose attributes these are if no text among them needs an escape, None for an erased body."""
    pieces = list[bytes]()
    for name, before, after in AROUND:
        if name in fields:
            pieces += (before, fields[name], after)
    sealing_count = len(SEALING) if b"salt" in fields else len(SEALING) - 1
    if len(fields) != len(pieces) // 3 + sealing_count:
        # A newer writer may know more attributes.
        return _spelled_body(fields)
    return b"{" + b"".join(pieces)[:-1] + b"}" if pieces else None


def _spelled_body(fields: Mapping[bytes, bytes]) -> bytes | None:
    attributes = {name.decode(): text.decode() for name, text in fields.items() if name.decode() not in SEALING}
    return body_from(attributes) if attributes else None


def _entry(id_: StreamId, fields: Mapping[bytes, bytes], body: bytes | None) -> Entry:
    if int(fields[b"sequence"]) != id_.pos:
        raise ValueError("the id is not the position")
    return Entry(
        incarnation=_incarnation(fields[b"incarnation"]),
        shard=int(fields[b"shard"]),
        pos=id_.pos,
        ms=id_.ms,
        body=body,
        salt=unhexlify(fields[b"salt"]) if b"salt" in fields else None,
        commit=unhexlify(fields[b"commit"]),
        prev_hash=unhexlify(fields[b"prevhash"]),
        hash=unhexlify(fields[b"hash"]),
    )


@lru_cache(maxsize=64)
def _incarnation(text: bytes) -> UUID:
    return canonical_uuid(text.decode())


def delivered(entry: Entry) -> Delivered:
    """Return what a handler gets of `entry`. Raises: UndecodableError."""
    try:
        return _delivered(entry, from_json(entry.body or b"", allow_inf_nan=False))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UndecodableError(f"{type(error).__name__}: {error}") from error


def _delivered(entry: Entry, event: dict[str, Json]) -> Delivered:
    subject, school, aggver = _string(event, "subject"), event.get("partitionkey"), event["aggver"]
    _id(subject.partition("/")[2])
    data, actor = event["data"], event["actor"]
    if not (isinstance(data, dict) and isinstance(actor, dict) and type(aggver) is int):
        raise TypeError("an attribute of another kind")
    return Delivered(
        id=_id(_string(event, "id")),
        type=_string(event, "type"),
        subject=subject,
        time=_moment(_string(event, "time")),
        recorded_at=_moment(_string(event, "recordedtime")) if "recordedtime" in event else None,
        school_id=None if school is None else _id(_string(event, "partitionkey")),
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


def _id(text: str) -> UUID:
    """Return the id that `text` spells canonically; as contracts.ids has it, in a tenth of the time."""
    made = pgproto.UUID(text)
    if str(made) != text:
        raise ValueError("not a canonical UUID")
    return made


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
