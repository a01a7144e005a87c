"""Whoever sends whatever to any door is refused in words of ours: no fault, no stack, no echo, nobody else's data."""

import asyncio
import json
import random
import re
from collections import Counter
from typing import get_args

import pytest
from jsonschema import Draft202012Validator
from yarl import URL

from attendance_svc.domain.attempts import Reason
from contracts.problems import TITLES
from infra.openapi import PROBLEM
from tests.flows.arena import DOCUMENTS, OPERATIONS
from tests.flows.hostile import CANARY, Hostile

SEED = 20_260_901
CASES = 5
AT_ONCE = 8
WORDS = TITLES.keys() | set(get_args(Reason))
LEAKS = re.compile(r"Traceback|asyncpg|SELECT |/site-packages/|pydantic|\.py\b|" + CANARY)
VALID_PROBLEM = Draft202012Validator(PROBLEM)
# Two cores that do everything at once may be slow; these say so, and mean it.
BUSY = {(503, "overloaded"), (503, "identity_down"), (503, "academics_down"), (503, "beacon_down")}
# A caller who ends their own session would only be refused afterwards; these get nothing that could succeed.
SUICIDAL = {"POST /auth/logout"}


def requests_for(hostile, operation):
    """Some request to the operation: method, path with query, body, headers."""
    described, content = operation.described, operation.described.get("requestBody", {}).get("content", {})
    definitions = DOCUMENTS[operation.service]["components"]["schemas"]
    headers = hostile.headers(operation.method)
    if "application/json" in content:
        body = hostile.body(content["application/json"]["schema"], definitions)
    elif content:
        kind = hostile.kind(content)
        body, headers = hostile.file(kind), {**headers, "Content-Type": kind}
    else:
        body = b""
    if str(operation) in SUICIDAL:
        body = b'{"all": 1}'
    path = hostile.path(operation.path) + hostile.query(described["parameters"])
    return operation.method, path, body, headers if body else {k: v for k, v in headers.items() if k != "Content-Type"}


async def fault_of(doors, method, path, body, headers):
    """What is wrong with the answer to a request, None if nothing; and its status and code."""
    if doors.token:
        headers = {**headers, "Authorization": f"Bearer {doors.token}"}
    url = URL(doors.base_url + path, encoded=True)
    async with doors.session.request(method, url, data=body or None, headers=headers) as answer:
        # A stream of events would be read for as long as its token lives.
        raw = b"" if answer.content_type == "text/event-stream" else await answer.read()
    if answer.status < 400:
        return None, (answer.status, "")
    try:
        problem = json.loads(raw)
    except ValueError:
        return f"no JSON: {answer.status} {raw[:100]}", (answer.status, "")
    code = problem.get("code")
    heard = (answer.status, code)
    if answer.status >= 500 and heard not in BUSY:
        return "a fault of the server", heard
    if answer.content_type != "application/problem+json" or not VALID_PROBLEM.is_valid(problem):
        return f"no problem document: {raw[:100]}", heard
    if code not in WORDS or problem["status"] != answer.status:
        return "a word that nobody has listed", heard
    leak = LEAKS.search(raw.decode())
    return (f"says {leak[0]}" if leak else None), heard


def ids_of(arena):
    """Things that exist, by the names of their parameters. Only people whom nobody needs."""
    return {name: [ground.ids[name] for ground in (arena.own, arena.other)] for name in arena.own.ids}


async def attack(arena, *, seed, cases):
    """Send `cases` requests to each operation as each caller it is for, a few as others; return faults and answers."""
    hostile = Hostile(random.Random(seed), ids_of(arena))  # noqa: S311 -- a reproducible draw
    sent = [
        (name, doors, operation, requests_for(hostile, operation), n % 3)
        for operation in sorted(OPERATIONS, key=lambda each: each.method == "DELETE")
        for name, doors in arena.callers.items()
        for n in range(cases if name.split()[-1] in operation.who or not operation.who else 2)
    ]
    slots, heard, faults = asyncio.Semaphore(AT_ONCE), Counter(), []

    async def one(name, doors, operation, request, at_the_edge):
        async with slots:
            door = doors if at_the_edge else arena.direct(doors, operation.service)
            fault, answer = await fault_of(door, *request)
            heard[answer] += 1
            if fault:
                faults.append((fault, answer, name, at_the_edge, *request))

    await asyncio.gather(*(one(*each) for each in sent))
    return faults, heard


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_whatever_anybody_sends_to_any_door_is_answered_in_our_own_words(arena):
    faults, heard = await attack(arena, seed=SEED, cases=CASES)

    assert faults == []
    # The requests reached the rules behind the parsers, and the callers were themselves to the end.
    assert {200, 201, 204, 400, 401, 403, 404, 409, 412, 422} <= {status for status, _ in heard}
    for name, doors in arena.callers.items():
        if name not in ("nobody", "beacon"):
            assert (await doors.get("/auth/me")).status == 200, name


# Bytes that are no text in any header or query, as only a socket can send them.
ODD_BYTES = b"\xff\xed\xa0\x80\xc0"


async def exchange(arena, service, lines):
    """The status of the answer to a request of these lines, sent to the service's own door."""
    port = arena.stage.services.stack.place.doors[service].http
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n".join([*lines, b"Host: x", b"Connection: close", b"", b""]))
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ")[1])


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_bytes_that_are_no_text_are_no_fault_in_any_query_path_or_header(arena):
    found = Counter()
    for operation in OPERATIONS:
        if operation.method == "GET":
            doors = arena.dev.doors if "dev" in operation.who else arena.stage.doors
            token = b"Authorization: Bearer " + (doors.token or "x").encode()
            path = operation.path.format(**arena.own.ids).encode()
            names = [part["name"].encode() for part in operation.described["parameters"] if part["in"] == "query"]
            queries = [name + b"=" + odd for name in (*names, b"x") for odd in (ODD_BYTES, b"%00", b"%ff")] + [
                ODD_BYTES
            ]
            requests = [[b"GET " + path + b"?" + query + b" HTTP/1.1", token] for query in queries]
            requests.append([b"GET " + path + ODD_BYTES + b" HTTP/1.1", token])
            for name in (
                b"Authorization: Bearer",
                b"X-Request-Id:",
                b"traceparent:",
                b"If-Match:",
                b"Idempotency-Key:",
            ):
                requests.append([b"GET " + path + b" HTTP/1.1", name + b" " + ODD_BYTES])
            requests.append([b"GET " + path + b" HTTP/1.1", token, b"x-consistency-token: " + ODD_BYTES])
            for lines in requests:
                found[await exchange(arena, operation.service, lines)] += 1

    assert set(found) <= {200, 400, 401, 403, 404, 422}, found
