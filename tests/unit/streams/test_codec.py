"""An event is the same bytes wherever it is: pending, in the log, in the stream, with the reader."""

import json
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from uuid import UUID

import pytest
from asyncpg.pgproto import pgproto
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter

from contracts.events.envelope import Aggregate, Cause, Envelope, Event, wrap
from streams import codec
from streams.chain import genesis, seal_after
from streams.codec import UndecodableError, body_from, body_of, canonical, delivered, read_entry
from streams.entries import Damaged, Place, StreamId
from tests.streams_builders import NINE, SCHOOLS, an_event

BASE = Place(incarnation=UUID(int=7), pos=0, ms=0, hash=genesis("academics", 3, UUID(int=7)))

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def an_entry(body=None, **event):
    return seal_after(BASE, 3, 1_700_000_000_000, body or body_of(an_event(**event)))


def raw(fields):
    return {name.encode(): value.encode() for name, value in fields.items()}


def paired(parts):
    """Names and values in turn, as a dictionary of texts."""
    texts = [part if isinstance(part, str) else part.decode() for part in parts]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def fields_of(entry):
    return paired(codec.fields_of(entry))


def attributes_of(body):
    return paired(codec.attributes_of(body))


def test_a_stream_entry_carries_each_attribute_and_what_sealing_added():
    entry = an_entry(school=SCHOOLS[0])

    fields = fields_of(entry)

    assert set(fields) == {
        *("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "partitionkey"),
        *("aggver", "correlationid", "requestid", "actor", "data"),
        *("shard", "sequence", "incarnation", "salt", "commit", "prevhash", "hash"),
    }
    assert fields["data"] == '{"coats":1,"colour":"blue","note":null}'
    assert fields["aggver"] == "1"
    assert all(name.isalnum() and name.islower() for name in fields)


@settings(max_examples=200)
@given(st.dictionaries(st.text(), values, max_size=5), st.text())
def test_what_a_reader_rebuilds_is_what_was_stored(data, colour):
    body = body_of(replace(an_event(colour=colour), data=data))

    assert body_from(attributes_of(body)) == body


named = st.sampled_from(["data", "datacontenttype", "actor", "aggver", "a", ""])
lookalikes = st.recursive(
    st.sampled_from(['","data":', ',"data":{', '},"datacontenttype":"', "\\", '"']),
    lambda inner: st.dictionaries(named, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@example(data={}, actor={"actor": {}, "aggver": {}, "data": '","data":'}, is_typed=True)
@given(st.dictionaries(named, lookalikes, max_size=3), st.dictionaries(named, lookalikes, max_size=3), st.booleans())
def test_a_payload_is_copied_whole_whatever_stands_in_it_or_before_it(data, actor, is_typed):
    attributes = json.loads(body_of(an_event())) | {"data": data, "actor": actor}
    if not is_typed:
        del attributes["datacontenttype"]
    body = canonical(attributes)

    assert attributes_of(body)["data"].encode() == canonical(data)
    assert body_from(attributes_of(body)) == body


@given(values)
def test_canonical_json_says_the_same_and_is_canonical_already(value):
    text = canonical(value)

    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


def test_names_are_sorted_as_rfc_8785_wants_it():
    # Section 3.2.3: by UTF-16 code units, in which the emoji comes before the ligature.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]

    assert list(json.loads(canonical(dict.fromkeys(names)))) == [
        "\r",
        "1",
        "\x80",
        "\xf6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


@pytest.mark.parametrize("value", [1.0, float("nan"), 2**53, -(2**53), "\ud800", {"a": [0.5]}, {"\udfff": 1}])
def test_what_has_no_canonical_form_is_refused_when_it_is_written(value):
    with pytest.raises(ValueError, match=r"."):
        canonical(value)


def test_a_reader_gets_the_entry_that_was_sealed():
    entry = an_entry()

    assert read_entry(entry.id, raw(fields_of(entry))) == entry


@given(st.dictionaries(st.text(), values, max_size=3), st.text())
def test_whatever_needs_an_escape_is_read_as_it_was_sealed(data, request_id):
    entry = an_entry(body=body_of(replace(an_event(), data=data, requestid=request_id)))

    assert fields_of(entry)["requestid"] == request_id
    assert read_entry(entry.id, raw(fields_of(entry))) == entry


moments = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-30))))


@given(moments, st.none() | moments, st.none() | st.uuids(), st.none() | st.text())
def test_a_body_spells_ids_and_times_as_the_schema_of_envelopes_says(time, recorded, id, text):
    event = replace(
        an_event(), time=time, recordedtime=recorded, partitionkey=id, causationid=id, requestid=text, traceparent=text
    )
    spelled = TypeAdapter(Envelope).dump_python(event, mode="json")

    assert json.loads(body_of(event)) == {name: value for name, value in spelled.items() if value is not None}


class Moved(Event):
    """A payload of all the kinds of values that payloads have."""

    type = "academics.room.moved.v1"
    ids: list[UUID]
    room: UUID
    at: AwareDatetime
    text: str | None
    count: int
    is_far: bool


@given(st.lists(st.uuids()), st.uuids(), moments, st.none() | st.text(), st.integers(-9, 9), st.booleans())
def test_a_payload_is_spelled_as_its_model_says(ids, room, at, text, count, is_far):
    # The driver's ids are what a payload is mostly made of.
    driver_s = pgproto.UUID(str(room))
    said = Moved(ids=[*ids, driver_s], room=driver_s, at=at, text=text, count=count, is_far=is_far)
    of = Aggregate(type="room", id=room, version=1, school_id=driver_s)

    event = wrap(said, id=room, of=of, cause=Cause(at=NINE, actor_type="service"))

    assert json.loads(body_of(event))["data"] == said.model_dump(mode="json")


def test_an_erased_entry_keeps_its_place_on_the_chain():
    entry = replace(an_entry(), body=None, salt=None)

    assert read_entry(entry.id, raw(fields_of(entry))) == entry


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "{}"},
        {"data": "{"},
        {"actor": '{"type":"admin"}'},
        {"type": "academics.room.burnt.v1"},
        {"extra": "1"},
        {"sequence": "2"},
        {"shard": "2"},
        {"shard": "70000"},
        {"sequence": "-1"},
        {"incarnation": str(UUID(int=8))},
        {"incarnation": "?"},
        {"salt": "00" * 16},
        {"commit": "00" * 32},
        {"prevhash": "00" * 32},
        {"hash": "zz"},
    ],
    ids=str,
)
def test_an_entry_that_was_touched_is_damaged(changes):
    entry = an_entry()

    assert isinstance(read_entry(entry.id, raw(fields_of(entry) | changes)), Damaged)


@pytest.mark.parametrize("name", ["aaa", "database", "dataref", "zzz"])
def test_an_attribute_that_a_newer_writer_adds_is_read_as_it_was_sealed(name):
    older = an_entry()
    body = canonical(json.loads(older.body) | {name: 'it said "new"'})
    before = Place(incarnation=older.incarnation, pos=older.pos - 1, ms=0, hash=older.prev_hash)
    entry = seal_after(before, older.shard, older.ms, body)

    assert read_entry(entry.id, raw(fields_of(entry))) == entry
    assert fields_of(entry)["data"] == fields_of(older)["data"]


def test_an_entry_under_another_id_or_without_a_field_is_damaged():
    entry = an_entry()
    fields = fields_of(entry)

    assert isinstance(read_entry(StreamId(entry.ms + 1, entry.pos), raw(fields)), Damaged)
    assert isinstance(read_entry(entry.id, {b"\xff": b"\xff"}), Damaged)
    for name in fields:
        assert isinstance(read_entry(entry.id, raw({k: v for k, v in fields.items() if k != name})), Damaged)


def test_a_handler_gets_the_attributes_as_values():
    room = UUID(int=9)

    event = delivered(an_entry(room=room, version=4, school=SCHOOLS[0], colour="red"))

    assert (event.agg_id, event.aggver, event.school_id, event.time) == (room, 4, SCHOOLS[0], NINE)
    assert event.data == {"colour": "red", "coats": 1, "note": None}
    assert (event.shard, event.pos, event.ms) == (3, 1, 1_700_000_000_000)
    assert (event.request_id, event.actor) == ("r-1", {"type": "service"})


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "1"},
        {"subject": "room"},
        {"subject": 1},
        {"aggver": "1"},
        {"aggver": True},
        {"time": "today"},
        {"time": "2025-09-01T09:00:00"},
        {"data": []},
        {"actor": "me"},
        {"partitionkey": "{}"},
        {"type": None},
    ],
    ids=str,
)
def test_bytes_that_are_no_event_are_undecodable(changes):
    body = canonical(json.loads(body_of(an_event())) | changes)

    with pytest.raises(UndecodableError):
        delivered(an_entry(body=body))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"a":1}'])
def test_bytes_that_are_no_object_are_undecodable(body):
    with pytest.raises(UndecodableError):
        delivered(an_entry(body=body or b" "))
