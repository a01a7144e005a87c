"""The document of a door says what its routes do, and the page shows it without help from anywhere."""

import json
from html.parser import HTMLParser

import pytest
from jsonschema import Draft202012Validator

from infra.http_bodies import Answer, Page
from infra.http_routes import ANYONE, PEOPLE, Route
from infra.openapi import describe, to_text
from infra.openapi_page import POLICY, render
from tests.integration.infra.doors import Door, RoomAnswer, RoomBody


@pytest.fixture(scope="module")
def document():
    return describe("rooms", Door().routes())


def operation(document, method, path):
    return document["paths"][path][method]


def parameters(document, method, path):
    return {each["name"]: each for each in operation(document, method, path)["parameters"]}


def test_every_route_is_there_once(document):
    found = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert found == {(route.method, route.path) for route in Door().routes()}


def test_the_order_of_the_routes_changes_nothing(document):
    assert to_text(describe("rooms", reversed(Door().routes()))) == to_text(document)


def test_every_schema_is_one_and_every_reference_leads_somewhere(document):
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for reference in references(document):
        assert resolve(document, reference)


def test_a_body_is_described_by_its_model(document):
    body = operation(document, "post", "/rooms")["requestBody"]
    schema = resolve(document, body["content"]["application/json"]["schema"]["$ref"])

    assert body["required"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name"]
    assert schema["properties"]["name"] == {"type": "string", "minLength": 1, "maxLength": 200}
    assert not operation(document, "post", "/hours")["requestBody"]["required"]
    assert "requestBody" not in operation(document, "get", "/rooms")


def test_a_body_of_another_kind_is_named_by_its_kind(document):
    assert list(operation(document, "post", "/import")["requestBody"]["content"]) == ["text/csv"]


def test_a_file_says_what_a_row_is_and_an_answer_of_lines_what_a_line_is():
    files = {"media_types": ("text/csv", "text/calendar"), "rows": RoomBody, "lines": RoomAnswer}
    route = Route(method="POST", path="/rows", handler=Door().post, who=PEOPLE, **files)

    document = describe("rooms", [route])

    read = operation(document, "post", "/rows")["requestBody"]["content"]
    assert list(read) == ["text/csv", "text/calendar"]
    assert resolve(document, read["text/calendar"]["x-row"]["$ref"])["required"] == ["name"]
    assert parameters(document, "post", "/rows") == {}
    content = operation(document, "post", "/rows")["responses"]["200"]["content"]
    assert list(content) == ["application/x-ndjson"]
    line = resolve(document, content["application/x-ndjson"]["x-line"]["$ref"])
    assert line["required"] == ["name"]


def test_ids_and_words_in_the_path_are_parameters(document):
    assert parameters(document, "get", "/rooms/{room_id}")["room_id"]["schema"] == {"type": "string", "format": "uuid"}
    assert parameters(document, "get", "/tags/{tag}")["tag"]["schema"] == {"type": "string"}


def test_a_query_is_described_with_its_limits_and_never_null(document):
    found = parameters(document, "get", "/rooms")

    assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert found["word"] == {"name": "word", "in": "query", "required": False, "schema": {"type": "string"}}


def test_who_may_call_is_said(document):
    assert operation(document, "get", "/open")["security"] == []
    assert operation(document, "get", "/rooms")["security"] == [{"user_token": []}]
    assert operation(document, "post", "/proofs")["security"] == [{"beacon_token": []}]
    assert operation(document, "delete", "/rooms/{room_id}")["description"] == "For: admin."


def test_headers_are_named_where_they_count(document):
    assert parameters(document, "patch", "/rooms/{room_id}")["If-Match"]["required"]
    assert not parameters(document, "post", "/rooms")["Idempotency-Key"]["required"]
    assert "If-Match" not in parameters(document, "get", "/rooms/{room_id}")


def test_answers_and_refusals_are_told(document):
    shown = operation(document, "get", "/rooms/{room_id}")["responses"]
    assert shown["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/RoomAnswer")
    assert {"400", "401", "403", "404", "default"} <= shown.keys()
    assert {"412", "428", "409", "413", "415", "422"} <= operation(document, "patch", "/rooms/{room_id}")[
        "responses"
    ].keys()
    assert "401" not in operation(document, "get", "/open")["responses"]


def test_a_stream_is_told_by_its_events(document):
    shown = operation(document, "get", "/stream")["responses"]["200"]["content"]["text/event-stream"]
    told = {name: resolve(document, schema["$ref"]) for name, schema in shown["x-event-data"].items()}

    assert list(told) == ["room", "end"]
    assert told["room"]["required"] == ["name"]
    assert "Last-Event-ID" in parameters(document, "get", "/stream")


def test_other_kinds_of_answers_are_told():
    async def nobody(_call):
        raise AssertionError

    table = Route(method="GET", path="/table", handler=nobody, who=ANYONE, answer=RoomAnswer, also=("text/csv",))

    responses = operation(describe("rooms", [table]), "get", "/table")["responses"]

    assert responses["200"]["content"].keys() == {"application/json", "text/csv"}
    assert "406" in responses


def test_answers_of_equal_names_are_kept_apart():
    class RoomAnswer(Answer):
        floor: int

    async def nobody(_call):
        raise AssertionError

    routes = [
        *Door().routes(),
        Route(method="GET", path="/floors", handler=nobody, who=ANYONE, answer=RoomAnswer),
        Route(method="GET", path="/pages", handler=nobody, who=PEOPLE, answer=Page[RoomAnswer]),
    ]

    document = describe("rooms", routes)

    paths = ("/floors", "/rooms/{room_id}", "/pages")
    successes = [operation(document, "get", path)["responses"]["200"] for path in paths]
    answers = [resolve(document, each["content"]["application/json"]["schema"]["$ref"]) for each in successes]
    assert [list(answer["properties"]) for answer in answers] == [["floor"], ["name"], ["items", "next_cursor"]]


# The page


class Shown(HTMLParser):
    """Collects tags, ids and links, and what is open."""

    def __init__(self):
        super().__init__()
        self.tags, self.ids, self.links, self.open = set(), [], set(), []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links |= {found[name] for name in ("href", "src") if name in found}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(document):
    read = Shown()
    read.feed(render(document))
    return read


def test_the_page_is_whole_and_every_link_stays_on_it(page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.links <= {f"#{name}" for name in page.ids}


def test_the_page_shows_every_operation_and_every_schema(page, document):
    operations = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}

    assert operations | {f"schema-{name}" for name in document["components"]["schemas"]} <= set(page.ids)


def test_the_page_loads_and_runs_nothing(page):
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "form", "object"})
    assert POLICY.startswith("default-src 'none'; style-src 'unsafe-inline';")


def test_what_a_model_says_cannot_break_out_of_the_page():
    async def nobody(_call):
        raise AssertionError

    evil = "</pre><script>alert(1)</script>"
    document = describe(evil, [Route(method="GET", path="/x", handler=nobody, who=ANYONE, summary=evil)])

    assert "<script" not in render(document)
    assert json.loads(to_text(document))["info"]["title"] == f"Rollcall: {evil}"


def references(part):
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def resolve(document, reference):
    for word in reference.removeprefix("#/").split("/"):
        document = document[word]
    return document
