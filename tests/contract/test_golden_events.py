"""Events of every shape that ever was are read by the models and the handlers of today."""

import json
from datetime import datetime
from uuid import UUID

import asyncpg
import pytest

from attendance_svc.consumers import AcademicsDoor as AttendanceDoor
from attendance_svc.store import academics_history, closing, sheets
from beacon_svc.consumers import AcademicsDoor as BeaconDoor
from beacon_svc.store.academics import PostgresAcademicsCopy
from contracts.events.catalogue import EVENTS
from contracts.events.envelope import Aggregate, Cause, wrap
from infra.cli.event_versions import versions
from streams.codec import Delivered, body_of

ID = "0190a000-0000-7000-8000-000000000001"
MOMENT = "2025-09-01T09:00:00Z"
FORMATS = {"uuid": ID, "date-time": MOMENT, "date": "2025-09-01"}
PLAIN = {"string": "text", "integer": 1, "boolean": True, "null": None, "array": [], "object": {}}
GOLDEN = [(name, n) for name in EVENTS for n in range(1, len(versions(name)) + 1)]


def sample(schema, root=None):
    """A value that `schema` allows, with every field."""
    root = root or schema
    if "$ref" in schema:
        return sample(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for word in ("anyOf", "enum"):
        if word in schema:
            return sample(schema[word][0], root) if word == "anyOf" else schema[word][0]
    if "properties" in schema:
        return {name: sample(each, root) for name, each in schema["properties"].items()}
    if schema.get("type") == "array":
        return [sample(schema["items"], root)]
    return schema.get("const", FORMATS.get(schema.get("format"), PLAIN[schema.get("type", "object")]))


def an_event(name, n):
    return Delivered(
        id=UUID(ID),
        type=name,
        subject=f"{name.split('.')[1]}/{ID}",
        time=datetime.fromisoformat(MOMENT),
        recorded_at=datetime.fromisoformat(MOMENT),
        school_id=UUID(ID),
        aggver=1,
        actor={"type": "service"},
        data=sample(versions(name)[n - 1]),
        correlation_id=None,
        causation_id=None,
        request_id=None,
        traceparent=None,
        shard=0,
        pos=1,
        ms=1,
    )


@pytest.mark.parametrize(("name", "n"), GOLDEN)
def test_the_model_of_today_reads_it(name, n):
    data = an_event(name, n).data

    read = EVENTS[name].model_validate(data).model_dump(mode="json")

    assert {field: read[field] for field in data} == data


@pytest.mark.parametrize("name", EVENTS)
def test_what_a_model_holds_becomes_the_bytes_that_it_says(name):
    said = EVENTS[name].model_validate(sample(versions(name)[-1]))
    of = Aggregate(type=name.split(".")[1], id=UUID(ID), version=1, school_id=UUID(ID))

    event = wrap(said, id=UUID(ID), of=of, cause=Cause(at=datetime.fromisoformat(MOMENT), actor_type="service"))

    assert json.loads(body_of(event))["data"] == said.model_dump(mode="json")


def attendance():
    return AttendanceDoor(copy=academics_history, timers=closing, sheets=sheets)


def beacon():
    return BeaconDoor(PostgresAcademicsCopy())


@pytest.mark.parametrize(("service", "door"), [("attendance", attendance), ("beacon", beacon)])
async def test_every_handler_of_today_applies_it(databases, service, door):
    handlers = door().handlers()
    connection = await asyncpg.connect((await databases(service)).app_url)
    try:
        taken = [(name, n) for name, n in GOLDEN if name in handlers]
        for name, n in taken:
            async with connection.transaction():
                await handlers[name](connection, an_event(name, n))
    finally:
        await connection.close()

    assert {name for name, _ in taken} == handlers.keys()
