"""The committed documents are proper ones; that they are up to date is checked with the generated code."""

import json
import pathlib

import pytest
from jsonschema import Draft202012Validator

from contracts.events.catalogue import EVENTS
from infra.envoy.routes import SERVICES

SCHEMAS = pathlib.Path(__file__).parents[2] / "contracts/schemas"
# Names that would carry what no event may: see the rules of contracts/events.
PERSONAL = {"email", "firstname", "lastname", "name", "student_number", "password", "secret", "totp_key", "code"}


def read(name):
    return json.loads((SCHEMAS / name).read_text())


def test_there_is_a_schema_for_every_event_and_for_nothing_else():
    assert {file.name.removesuffix(".json") for file in (SCHEMAS / "events").iterdir()} == set(EVENTS)


@pytest.mark.parametrize("wire_name", EVENTS)
def test_the_schema_of_an_event_is_one(wire_name):
    schema = read(f"events/{wire_name}.json")

    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:rollcall:schema:{wire_name}"
    assert schema["description"].startswith("Said when")


@pytest.mark.parametrize("wire_name", EVENTS)
def test_an_event_has_no_fractions_and_no_word_about_a_person(wire_name):
    schema = read(f"events/{wire_name}.json")

    assert '"number"' not in json.dumps(schema)
    assert {name.split("_")[0] for name in schema["properties"]} & PERSONAL == set()


def test_the_channels_carry_every_event_of_their_publisher():
    document = read("asyncapi.json")

    carried = {name: service for service, channel in document["channels"].items() for name in channel["messages"]}
    assert carried == {name: name.split(".")[0] for name in EVENTS}
    assert set(document["components"]["messages"]) == set(EVENTS)
    for message in document["components"]["messages"].values():
        assert (SCHEMAS / message["payload"]["$ref"]).exists()


@pytest.mark.parametrize("service", SERVICES)
def test_the_document_of_a_door_is_proper(service):
    document = read(f"openapi/{service}.json")

    operations = [(path, each) for path, methods in document["paths"].items() for each in methods.values()]
    assert operations
    assert len({each["operationId"] for _, each in operations}) == len(operations)
    assert [path for path, each in operations if not each["summary"]] == []
    for path, each in operations:
        declared = {part["name"] for part in each["parameters"] if part["in"] == "path"}
        assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}


@pytest.mark.parametrize("service", SERVICES)
def test_every_schema_of_a_door_is_one_and_every_reference_leads_somewhere(service):
    document = read(f"openapi/{service}.json")

    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for reference in references(document):
        part = document
        for word in reference.removeprefix("#/").split("/"):
            part = part[word]


@pytest.mark.parametrize("service", SERVICES)
def test_every_text_and_every_list_that_is_read_has_an_end(service):
    document = read(f"openapi/{service}.json")
    bodies = [each.get("requestBody") for methods in document["paths"].values() for each in methods.values()]

    endless = {
        f"{name}.{field}"
        for name in closure(document, bodies)
        for field, schema in properties(document, name)
        if is_endless(schema)
    }
    assert bodies
    assert endless == set()


def closure(document, part):
    """The schemas that `part` refers to, and those that they refer to."""
    found, left = set(), set(references(part))
    while left:
        found |= left
        left = {more for name in left for more in references(list(properties(document, name)))} - found
    return found


def properties(document, reference):
    return document["components"]["schemas"][reference.rpartition("/")[2]].get("properties", {}).items()


def is_endless(schema):
    choices = schema.get("anyOf", [schema])
    text = [each for each in choices if each.get("type") == "string" and not {"enum", "const", "format"} & each.keys()]
    lists = [each for each in choices if each.get("type") == "array"]
    return any("maxLength" not in each and "pattern" not in each for each in text) or any(
        "maxItems" not in each for each in lists
    )


def references(part):
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        part = list(part.values())
    if isinstance(part, list | tuple):
        for each in part:
            yield from references(each)
