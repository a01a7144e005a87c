"""Somebody else's program reads a stream with nothing but a socket, and finds CloudEvents."""

import asyncio
import json
import re
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from tests.streams_builders import SCHOOLS, SOURCE

# CloudEvents 1.0, section 3: names, required attributes and their types.
NAME = re.compile(r"[a-z0-9]+")
REQUIRED = {"id", "source", "specversion", "type"}
ATTRIBUTES = Draft202012Validator(
    {
        "type": "object",
        "required": sorted(REQUIRED),
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "pattern": "^/[a-z]+$"},
            "specversion": {"const": "1.0"},
            "type": {"type": "string", "pattern": r"^[a-z]+(\.[a-z_]+)+\.v[0-9]+$"},
            "datacontenttype": {"const": "application/json"},
            "dataschema": {"type": "string", "pattern": "^urn:rollcall:schema:"},
            "subject": {"type": "string", "minLength": 1},
            "sequence": {"type": "string", "pattern": "^[0-9]+$"},
            "partitionkey": {"type": "string", "minLength": 1},
        },
        "additionalProperties": {"type": "string"},
    }
)


class Resp:
    """Speaks to Redis as the protocol says, version 2."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, *words):
        parts = [str(word).encode() for word in words]
        self.writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return await self.answer()

    async def answer(self):
        line = (await self.reader.readline())[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else (await self.reader.readexactly(int(rest) + 2))[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [await self.answer() for _ in range(int(rest))]
        if kind == b"-":
            raise PermissionError(rest.decode())
        return int(rest) if kind == b":" else rest


@pytest.fixture
async def analytics(valkey, redis_url):
    """A connection of the user who may read every stream and nothing else."""
    url = urlsplit(valkey.url("analytics"))
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    client = Resp(reader, writer)
    await client.ask("AUTH", url.username, url.password)
    yield client
    writer.close()
    await writer.wait_closed()


async def read_all(client, stream):
    """Read a stream as the documentation of XREAD shows, from its beginning until nothing is left."""
    last, events = "0-0", []
    while answer := await client.ask("XREAD", "COUNT", 2, "STREAMS", stream, last):
        for id_, fields in answer[0][1]:
            last = id_.decode()
            events.append({name.decode(): value.decode() for name, value in zip(*[iter(fields)] * 2, strict=True)})
    return events


async def test_every_entry_is_a_cloud_event_in_the_order_of_its_sequence(writer, relay, analytics):
    ids = await writer.paint(5, school=SCHOOLS[0])
    await relay().turn()

    events = await read_all(analytics, f"{{{SOURCE}:0}}:ev")

    assert [UUID(event["id"]) for event in events] == ids
    assert [event["sequence"] for event in events] == ["1", "2", "3", "4", "5"]
    for event in events:
        attributes = {name: value for name, value in event.items() if name != "data"}
        ATTRIBUTES.validate(attributes)
        assert all(NAME.fullmatch(name) for name in event)
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        assert json.loads(event["data"]) == {"coats": 1, "colour": "blue", "note": None}


async def test_whoever_only_reads_cannot_write(writer, relay, analytics):
    await writer.paint(1, school=SCHOOLS[0])
    await relay().turn()

    with pytest.raises(PermissionError, match="NOPERM"):
        await analytics.ask("XADD", f"{{{SOURCE}:0}}:ev", "*", "a", "b")
