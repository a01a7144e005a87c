"""Describe a REST door in OpenAPI 3.1, from the routes it serves and the models it reads and writes."""

import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from infra.http_bodies import NoBody
from infra.http_events import StreamEnd
from infra.http_routes import AnyRoute

Json = dict[str, Any]
# By model and by whether it is read or written.
References = Mapping[tuple[Any, JsonSchemaMode], Json]

REFERENCE = "#/components/schemas/{model}"
# Limits that stand after a validator keep the names that pydantic gives them.
LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
NULL = {"type": "null"}
WORD = re.compile(r"[^A-Za-z0-9]+")
PARAMETER = re.compile(r"{(\w+)}")
UUID_SCHEMA = {"type": "string", "format": "uuid"}
PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Branch on `code`; everything else is for people and logs.",
    "required": ["type", "title", "status", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:rollcall:problem:"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
        "request_id": {"type": ["string", "null"]},
        "fields": {"type": "array", "items": {"type": "string"}, "description": "Where the fault lies."},
    },
}
SECURITY = {
    "user_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "From POST /auth/login."},
    "beacon_token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "From POST /beacon/auth/token.",
    },
}


def describe(service: str, routes: Iterable[AnyRoute]) -> Json:
    """Return the document of `service` ("academics"): the same for the same routes, in the order of their paths."""
    ordered = sorted(routes, key=lambda route: (route.path, route.method))
    schemas, references = _schemas(ordered)
    paths: dict[str, Json] = {}
    for route in ordered:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Rollcall: {service}", "version": "v1"},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": PROBLEM},
            "responses": {"Problem": _problem_response()},
            "securitySchemes": SECURITY,
        },
    }


def to_text(document: Json) -> str:
    """Return `document` as it is served and committed."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _schemas(routes: list[AnyRoute]) -> tuple[Json, References]:
    read: set[type[BaseModel]] = {route.body for route in routes if route.body is not NoBody}
    read |= {route.rows for route in routes if route.rows}
    written = {model for route in routes for model in (route.answer, route.lines) if model}
    written |= {model for route in routes for model in _told(route).values()}
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in read]
    models += [(model, "serialization") for model in written]
    # Names are made in the order given.
    models.sort(key=lambda each: (each[0].__module__, each[0].__qualname__, each[1]))
    references, definitions = models_json_schema(models, ref_template=REFERENCE)
    return {name: _tidy(schema) for name, schema in definitions.get("$defs", {}).items()}, references


def _tidy(schema: Any) -> Any:  # noqa: ANN401 -- any part of a JSON Schema
    """Return a schema without titles, which only repeat names, and without defaults that stand for "not given"."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {
        LIMITS.get(name, name): _tidy_properties(part) if name == "properties" else _tidy(part)
        for name, part in schema.items()
        if not (name == "title" and isinstance(part, str))
    }
    if tidy.get("default") in (None, ""):
        tidy.pop("default", None)
    return tidy


def _tidy_properties(properties: Json) -> Json:
    return {name: _tidy(part) for name, part in properties.items()}


def _operation(route: AnyRoute, references: References) -> Json:
    operation: Json = {
        "operationId": WORD.sub("_", f"{route.method} {route.path}".lower()).strip("_"),
        "tags": [route.path.split("/")[1]],
        "summary": route.summary,
        "description": "For anyone." if not route.who else f"For: {', '.join(sorted(route.who))}.",
        "security": _security(route),
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": _responses(route, references),
    }
    if route.media_types != ("application/json",):
        content: Json = {"schema": {"type": "string"}}
        if route.rows is not None:
            # OpenAPI 3.1 has no word for the rows of a file.
            content["x-row"] = references[route.rows, "validation"]
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(route.media_types, content)}
    elif route.body is not NoBody:
        schema = references[route.body, "validation"]
        operation["requestBody"] = {
            "required": not route.accepts_empty,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _security(route: AnyRoute) -> list[Json]:
    if not route.who:
        return []
    return [{"beacon_token" if "beacon" in route.who else "user_token": []}]


def _path_parameters(route: AnyRoute) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": UUID_SCHEMA if name.endswith("_id") else {"type": "string"},
        }
        for name in PARAMETER.findall(route.path)
    ]


def _query_parameters(route: AnyRoute) -> list[Json]:
    schema = _tidy(route.query.model_json_schema())
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _never_null(part)}
        for name, part in schema.get("properties", {}).items()
    ]


def _never_null(schema: Json) -> Json:
    """Return the schema of a parameter: one that is optional is left out, not null."""
    choices = [part for part in schema.get("anyOf", []) if part != NULL]
    return choices[0] if len(choices) == 1 else schema


def _header_parameters(route: AnyRoute) -> list[Json]:
    if route.events:
        schema = {"type": "string", "pattern": "^[!-~]{1,200}$"}
        about = "The id of the event that was heard last, if it had one; what was missed since comes first."
        return [{"name": "Last-Event-ID", "in": "header", "required": False, "schema": schema, "description": about}]
    if route.method == "PATCH":
        schema = {"type": "string", "pattern": '^"[0-9]{1,18}"$'}
        about = "The version that was seen: the ETag of the answer that showed it."
        return [{"name": "If-Match", "in": "header", "required": True, "schema": schema, "description": about}]
    # What names a row makes a repeat of its file harmless.
    if route.method == "POST" and route.who and route.rows is None:
        schema = {"type": "string", "pattern": "^[!-~]{1,128}$"}
        about = "Makes a repeat of this request harmless."
        return [{"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema, "description": about}]
    return []


def _responses(route: AnyRoute, references: References) -> Json:
    success: Json = {"description": HTTPStatus(route.status).phrase}
    if route.events:
        data = {name: references[model, "serialization"] for name, model in _told(route).items()}
        # OpenAPI 3.1 has no word for the parts of a stream.
        success["content"] = {"text/event-stream": {"schema": {"type": "string"}, "x-event-data": data}}
    elif route.lines is not None:
        # OpenAPI 3.1 has no word for the lines of a text.
        line = references[route.lines, "serialization"]
        success["content"] = {"application/x-ndjson": {"schema": {"type": "string"}, "x-line": line}}
    elif route.text is not None:
        success["content"] = {route.text: {"schema": {"type": "string"}}}
    elif route.answer is not None:
        success["content"] = {"application/json": {"schema": references[route.answer, "serialization"]}}
    elif route.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED):
        success["content"] = {"application/json": {"schema": {"type": "object"}}}
    for kind in route.also:
        success["content"][kind] = {"schema": {"type": "string"}}
    problems = [str(status.value) for status in _refusals(route)]
    reference = {"$ref": "#/components/responses/Problem"}
    return {str(route.status): success} | dict.fromkeys([*problems, "default"], reference)


def _told(route: AnyRoute) -> Mapping[str, type[BaseModel]]:
    return {**route.events, "end": StreamEnd} if route.events else {}


def _refusals(route: AnyRoute) -> list[HTTPStatus]:
    """Return what this route is most often refused with; everything else is told the same way."""
    found = [HTTPStatus.BAD_REQUEST]
    if route.who:
        found += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if PARAMETER.search(route.path):
        found += [HTTPStatus.NOT_FOUND]
    if route.also:
        found += [HTTPStatus.NOT_ACCEPTABLE]
    if route.method != "GET":
        found += [HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE]
    if route.method == "PATCH":
        found += [HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED]
    return [*found, HTTPStatus.UNPROCESSABLE_ENTITY]


def _problem_response() -> Json:
    schema = {"$ref": REFERENCE.format(model="Problem")}
    return {"description": "Refused or failed.", "content": {"application/problem+json": {"schema": schema}}}
