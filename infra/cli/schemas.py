"""The documents that are generated from the contracts: OpenAPI per service, AsyncAPI, JSON Schema per event."""

import base64
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contracts.events.catalogue import EVENTS
from contracts.events.envelope import envelope_schema
from infra.certs import renew
from infra.cli.event_versions import new_version
from infra.envoy.routes import SERVICES, Service
from infra.local.variables import Doors, Place, prefixed
from infra.private_files import write_private
from infra.settings import environment

ROOT = Path(__file__).parents[2]
FOLDER = Path("contracts/schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Describing a door opens no connection, so nothing needs to listen there.
NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9"}


def documents() -> Iterator[tuple[Path, str]]:
    """Yield every document with its place in the repository."""
    for wire_name in EVENTS:
        yield FOLDER / "events" / f"{wire_name}.json", to_text(event_schema(wire_name))
        for path, schema in new_version(wire_name, event_schema(wire_name)):
            yield path, to_text(schema)
    yield FOLDER / "asyncapi.json", to_text(asyncapi())
    for service, text in openapi_documents().items():
        yield FOLDER / "openapi" / f"{service}.json", text


def to_text(document: Mapping[str, Any]) -> str:
    """Return a document as it is committed."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def event_schema(wire_name: str) -> dict[str, Any]:
    """Return the JSON Schema of an event's `data`."""
    schema = EVENTS[wire_name].model_json_schema(mode="serialization")
    return {"$schema": DIALECT, "$id": f"urn:rollcall:schema:{wire_name}", **schema}


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document: a channel per publisher, a message per event."""
    messages = {name: _message(name) for name in sorted(EVENTS)}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Rollcall: events", "version": "v1", "description": "CloudEvents 1.0 in Redis Streams."},
        "channels": {service: _channel(service) for service in SERVICES},
        "operations": {
            service: {"action": "send", "channel": {"$ref": f"#/channels/{service}"}} for service in SERVICES
        },
        "components": {
            "messages": messages,
            "schemas": {"Envelope": envelope_schema()},
        },
    }


def _message(wire_name: str) -> dict[str, Any]:
    about = (EVENTS[wire_name].__doc__ or "").strip().splitlines()[0]
    return {"name": wire_name, "summary": about, "payload": {"$ref": f"./events/{wire_name}.json"}}


def _channel(service: Service) -> dict[str, Any]:
    return {
        "address": f"{{{service}:{{shard}}}}:ev",
        "parameters": {"shard": {"description": "0 up to the number of shards; the shard of a school never changes."}},
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name in sorted(EVENTS) if name.startswith(f"{service}.")
        },
    }


def openapi_documents() -> dict[Service, str]:
    """Return what each service says of its REST door, by its own command.

    Raises: RuntimeError with the complaint of a service that cannot.
    """
    with tempfile.TemporaryDirectory() as name:
        children = {service: _start(service, Path(name)) for service in SERVICES}
        return {service: _text_of(child) for service, child in children.items()}


def stand_ins(service: Service, folder: Path) -> dict[str, str]:
    """Return variables by which a service can be wired though nothing runs; its files are made in `folder`."""
    renew(folder, holders=[service])
    write_private(folder / service, base64.b64encode(bytes(32)).decode())
    doors = {each: Doors(http=0, grpc=0) for each in SERVICES}
    place = Place(doors=doors, certificates=folder, keys=folder, origin="http://127.0.0.1")
    return place.variables(service) | prefixed(service, NOWHERE)


def _start(service: Service, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", f"{service}_svc", "openapi"],
        cwd=ROOT,
        env=environment() | stand_ins(service, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _text_of(child: "subprocess.Popen[str]") -> str:
    text, complaint = child.communicate()
    if child.returncode != 0:
        raise RuntimeError(complaint)
    return text
