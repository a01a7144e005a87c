"""Reading a request strictly: headers, path, query and body, each refused with a code when it is off."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from aiohttp import hdrs, web
from multidict import istr
from pydantic import ValidationError

from contracts.ids import canonical_uuid
from contracts.problems import InvalidInputError, MalformedError, PayloadTooLargeError, UnsupportedMediaError
from infra.http_bodies import Body, NoBody, NoQuery, Query
from infra.http_routes import AnyRoute, Call
from infra.strict_json import strict_loads
from infra.tokens import Caller

M = TypeVar("M", bound=Body)

BODY_TIMEOUT_S = 5
KEY_MAX_CHARS = 128
VERSION_MAX_DIGITS = 18
PLACE = re.compile(r"[A-Za-z0-9_.]{1,80}")
JSON_ONLY = ("application/json",)
EMPTY_BODY, EMPTY_QUERY = NoBody(), NoQuery()
IDEMPOTENCY_KEY = istr("Idempotency-Key")
# Of two equal headers, two readers may each take another one.
SINGLE_HEADERS = (hdrs.AUTHORIZATION, IDEMPOTENCY_KEY, hdrs.IF_MATCH, hdrs.CONTENT_TYPE)


def refuse_repeated_headers(request: web.Request) -> None:
    """Raises: MalformedError("malformed_header") when a header that must be single is not."""
    for name in SINGLE_HEADERS:
        if len(request.headers.getall(name, [])) > 1:
            raise MalformedError("malformed_header", fields=[name.lower()])


async def parse_call(route: AnyRoute, request: web.Request, caller: Caller | None) -> Call[Any, Any]:
    """Return the request as `route` declares it.

    Raises: MalformedError, InvalidInputError, PayloadTooLargeError, UnsupportedMediaError.
    """
    raw = await _read(request, route.max_body_bytes)
    headers, path = request.headers, request.match_info
    return Call(
        caller_or_none=caller,
        body=_parse_body(raw, route, request),
        query=_parse_query(request, route.query),
        path=path,
        ids=_parse_ids(path) if path else {},
        if_match=_parse_if_match(headers.get(hdrs.IF_MATCH)),
        idempotency_key=_parse_key(headers.get(IDEMPOTENCY_KEY)),
        raw=raw,
        request=request,
    )


async def _read(request: web.Request, max_bytes: int) -> bytes:
    if (request.content_length or 0) > max_bytes:
        raise PayloadTooLargeError("body_too_large")
    if hdrs.CONTENT_ENCODING in request.headers:
        raise UnsupportedMediaError("unsupported_media_type")
    try:
        # All of a body is usually there by now, and then needs no second turn of the loop.
        raw = request.content.read_nowait() if request.content.is_eof() else await _slow_read(request)
    except TimeoutError as error:
        raise MalformedError("request_too_slow") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise MalformedError("malformed_request") from error
    if len(raw) > max_bytes:
        raise PayloadTooLargeError("body_too_large")
    return raw


async def _slow_read(request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_TIMEOUT_S):
        return await request.read()


def _parse_body(raw: bytes, route: AnyRoute, request: web.Request) -> Body:
    model: type[Body] = route.body
    if raw and model is NoBody and route.media_types == JSON_ONLY:
        raise InvalidInputError("malformed_body", "this route reads no body")
    if raw and request.content_type not in route.media_types:
        raise UnsupportedMediaError("unsupported_media_type")
    if model is NoBody:
        return EMPTY_BODY
    value = {} if not raw and route.accepts_empty else strict_loads(raw)
    return validated(model, value)


def validated(model: type[M], value: object) -> M:
    """Return what `value`, as JSON has it, says in terms of `model`. Raises: InvalidInputError("malformed_body")."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidInputError("malformed_body", fields=fields_of(error)) from error


def _parse_query(request: web.Request, model: type[Query]) -> Query:
    if model is NoQuery and not request.query_string:
        return EMPTY_QUERY
    given = dict(request.query)
    if len(given) != len(request.query) or any("\0" in value for value in given.values()):
        raise InvalidInputError("malformed_query")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise InvalidInputError("malformed_query", fields=fields_of(error)) from error


def fields_of(error: ValidationError) -> list[str]:
    """Return where `error` found fault, as dotted paths; never the values, nor names that are no plain words."""
    found = {".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False)}
    return sorted({path if PLACE.fullmatch(path) else "?" for path in found})[:20]


def _parse_ids(path: Mapping[str, str]) -> dict[str, UUID]:
    if any("\0" in text for text in path.values()):
        raise MalformedError("malformed_path")
    try:
        return {name: canonical_uuid(text) for name, text in path.items() if name.endswith("_id")}
    except ValueError as error:
        raise MalformedError("malformed_path") from error


def _parse_if_match(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.removeprefix('"').removesuffix('"')
    if len(text) != len(digits) + 2 or not (digits.isascii() and digits.isdigit()) or len(digits) > VERSION_MAX_DIGITS:
        raise MalformedError("malformed_header", fields=["if-match"])
    return int(digits)


def _parse_key(text: str | None) -> str | None:
    if text is None:
        return None
    if not 1 <= len(text) <= KEY_MAX_CHARS or not all("!" <= char <= "~" for char in text):
        raise MalformedError("malformed_header", fields=["idempotency-key"])
    return text
