"""The REST server that every service stands on: authentication, strict parsing, limits, problems."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import cast

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler
from multidict import istr
from pydantic import BaseModel

from contracts.problems import (
    TITLES,
    DeadlineError,
    ForbiddenError,
    MalformedError,
    ProblemError,
    UnauthenticatedError,
)
from infra import request_context
from infra.http_events import STREAM_LIMITS, EventWriter, OpenStreams, StreamLimits
from infra.http_parsing import parse_call, refuse_repeated_headers
from infra.http_routes import AnyRoute, Reply
from infra.problem_table import HTTP_STATUS
from infra.request_context import current
from infra.requests_in_flight import RequestsInFlight
from infra.telemetry import logger, request_log
from infra.tokens import Caller, TokenVerifier

REQUEST_LIMIT_S = 8
KEEPALIVE_S = 30
# The edge opens a connection per request of a room that signs at once; beyond, the kernel would drop them silently.
BACKLOG_COUNT = 1024
DRAIN_S = 10
NOSNIFF, REQUEST_ID, TRACEPARENT = istr("X-Content-Type-Options"), istr("x-request-id"), istr("traceparent")

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeper:
    """Who vouches for callers: identity's tokens for people, beacon_svc's for beacons."""

    people: TokenVerifier
    beacons: TokenVerifier

    async def admit(self, request: web.Request, route: AnyRoute) -> Caller | None:
        """Return who calls, None when the route is open. Raises: UnauthenticatedError, ForbiddenError."""
        if not route.who:
            return None
        kind, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise UnauthenticatedError("token_missing")
        verifier = self.beacons if "beacon" in route.who else self.people
        caller = await verifier.verify(token)
        if caller.type not in route.who:
            raise ForbiddenError("forbidden")
        return caller


def build_app(
    routes: Iterable[AnyRoute],
    doorkeeper: Doorkeeper,
    *,
    max_in_flight: int = 1024,
    stream_limits: StreamLimits = STREAM_LIMITS,
) -> web.Application:
    """Return the application that serves `routes`; each request is limited to 8 s and answered with a request id.

    max_in_flight: of the routes; what is added later, like probes, answers also when they are full.
    stream_limits: of event streams, which are in flight only until their first event.
    """
    app = web.Application(middlewares=[_answer], client_max_size=2**20)
    in_flight, streams = RequestsInFlight(max_in_flight), OpenStreams(stream_limits)
    for route in routes:
        handle = partial(_handle, route, doorkeeper, streams)
        serve = _serve(handle, in_flight, may_last=route.lines is not None)
        app.router.add_route(route.method, route.path, serve)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(streams.close)
    return app


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    headers[hdrs.SERVER] = "rollcall"
    headers[NOSNIFF] = "nosniff"
    headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    if context := current():
        headers[REQUEST_ID] = context.request_id


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request whatever becomes of it, and tell the log."""
    started, headers = time.perf_counter(), request.headers
    # aiohttp serves each request in a task of its own.
    context = request_context.begin(
        request_id=headers.get(REQUEST_ID), traceparent=headers.get(TRACEPARENT), limit_s=REQUEST_LIMIT_S
    )
    try:
        response = await handler(request)
    except ProblemError as problem:
        response = problem_response(problem)
    except web.HTTPException as error:
        response = _routing_problem(error)
    except TimeoutError:
        response = problem_response(DeadlineError("deadline_exceeded"))
    except Exception:
        log.exception("request failed", action="bug", method=request.method)
        response = problem_document(500, "internal")
    if requests := request_log():
        resource = request.match_info.route.resource
        elapsed_ms = round((time.perf_counter() - started) * 1000)
        path = resource.canonical if resource else None
        requests.add(context, request.method, path, response.status, elapsed_ms)
    return response


def _routing_problem(error: web.HTTPException) -> web.Response:
    codes = {404: "route_unknown", 405: "method_not_allowed", 413: "body_too_large"}
    response = problem_document(error.status, codes.get(error.status, "malformed_path"))
    if isinstance(error, web.HTTPMethodNotAllowed):
        response.headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed_methods))
    return response


def problem_response(problem: ProblemError) -> web.Response:
    """Return the RFC 9457 answer for `problem`."""
    response = problem_document(HTTP_STATUS[type(problem)].value, problem.code, **problem.extra)
    if isinstance(problem, UnauthenticatedError):
        error = "" if problem.code == "token_missing" else ' error="invalid_token"'
        response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer" + error
    if response.status in (429, 503):
        response.headers[hdrs.RETRY_AFTER] = str(problem.extra.get("retry_after_s", 1))
    return response


def problem_document(status: int, code: str, **more: object) -> web.Response:
    """Return an RFC 9457 answer; `code` is the word that clients branch on."""
    context = current()
    body = {
        "type": f"urn:rollcall:problem:{code}",
        "title": TITLES.get(code, code.replace("_", " ").capitalize()),
        "status": status,
        "code": code,
        "request_id": context.request_id if context else None,
        **more,
    }
    return web.json_response(body, status=status, content_type="application/problem+json")


def _serve(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse | EventWriter]],
    in_flight: RequestsInFlight,
    *,
    may_last: bool,
) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        # Not `request.task`, which serves all requests of a connection.
        task = cast("asyncio.Task[object]", asyncio.current_task())
        in_flight.begin(task, inf if may_last else REQUEST_LIMIT_S)
        try:
            reply = await handle(request)
        except asyncio.CancelledError as error:
            if in_flight.has_ended(task):
                raise TimeoutError from error
            raise
        finally:
            in_flight.end(task)
        return await _tell(reply) if isinstance(reply, EventWriter) else reply

    return serve


async def _handle(
    route: AnyRoute, doorkeeper: Doorkeeper, streams: OpenStreams, request: web.Request
) -> web.StreamResponse | EventWriter:
    if request.version != HttpVersion11:
        raise MalformedError("malformed_request")
    refuse_repeated_headers(request)
    caller = await doorkeeper.admit(request, route)
    reply = await route.handler(await parse_call(route, request, caller))
    if isinstance(reply, Reply):
        return to_response(reply)
    if isinstance(reply, AsyncGenerator):
        may_hear = partial(doorkeeper.admit, request, route)
        return await streams.begin(request, reply, whose=caller.id if caller else None, may_hear=may_hear)
    return reply


async def _tell(events: EventWriter) -> web.StreamResponse:
    if context := current():
        # What is told from now on need not come within the time of a request.
        request_context.begin(request_id=context.request_id, traceparent=context.traceparent, limit_s=None)
    return await events.run()


def to_response(reply: Reply) -> web.Response:
    """Return `reply` as JSON with its version as ETag."""
    headers = dict(reply.headers)
    if reply.version is not None:
        headers[hdrs.ETAG] = f'"{reply.version}"'
    if reply.location is not None:
        headers[hdrs.LOCATION] = reply.location
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    if isinstance(reply.body, BaseModel):
        raw = reply.body.__pydantic_serializer__.to_json(reply.body)
        return web.Response(body=raw, status=reply.status, headers=headers, content_type="application/json")
    return web.json_response(dict(reply.body), status=reply.status, headers=headers)


async def serve_app(app: web.Application, *, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Start serving; return the runner, whose `cleanup()` drains and stops, and the port that was bound."""
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
        shutdown_timeout=DRAIN_S,
        # Nothing here reads compressed bodies, so nothing shall unpack them.
        auto_decompress=False,
    )
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=BACKLOG_COUNT).start()
    return runner, int(runner.addresses[0][1])
