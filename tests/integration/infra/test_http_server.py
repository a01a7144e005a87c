"""What a REST door refuses, with which status and code, before a handler sees anything."""

import asyncio
import json
import re
from datetime import timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from infra import http_parsing, http_server
from tests.integration.infra.doors import NOW, PERSON, ROOM, Door, beacon_bearer, bearer, client_of
from tests.waiting import until

JSON = {"Content-Type": "application/json"}
ROOMS, A_ROOM = "/rooms", f"/rooms/{ROOM}"
BODY = json.dumps({"name": "R1"}).encode()


@pytest.fixture
async def door():
    return Door()


@pytest.fixture
async def client(door):
    async with client_of(door) as made:
        yield made


async def problem(response):
    assert response.content_type == "application/problem+json"
    document = await response.json()
    assert document["status"] == response.status
    assert document["type"] == f"urn:rollcall:problem:{document['code']}"
    assert document["request_id"] == response.headers["x-request-id"]
    assert response.headers["Server"] == "rollcall"
    assert document["title"]
    return response.status, document["code"]


async def post(client, raw=BODY, *, path=ROOMS, headers=None, **more):
    return await client.post(path, data=raw, headers=JSON | bearer() | (headers or {}), **more)


# Who calls


TOKENS = {
    "nothing": ({}, "token_missing"),
    "an empty header": ({"Authorization": ""}, "token_missing"),
    "a scheme alone": ({"Authorization": "Bearer"}, "token_missing"),
    "a scheme and a space": ({"Authorization": "Bearer "}, "token_missing"),
    "another scheme": ({"Authorization": "Basic eDp5"}, "token_missing"),
    "a token without a scheme": ({"Authorization": bearer()["Authorization"].removeprefix("Bearer ")}, "token_missing"),
    "no token": ({"Authorization": "Bearer x"}, "token_invalid"),
    "two spaces": ({"Authorization": bearer()["Authorization"].replace(" ", "  ")}, "token_invalid"),
    "letters beyond ASCII": ({"Authorization": "Bearer é"}, "token_invalid"),
    "a token of another key": (bearer(key=ec.generate_private_key(ec.SECP256R1())), "token_invalid"),
    "an old token": (bearer(issued_at=NOW - timedelta(seconds=700)), "token_expired"),
    "a beacon's token": (beacon_bearer(), "token_invalid"),
    "headers that claim it": ({"x-user-id": str(PERSON), "x-user-type": "admin"}, "token_missing"),
}


@pytest.mark.parametrize(("headers", "code"), TOKENS.values(), ids=TOKENS)
async def test_whoever_nobody_vouches_for_gets_401(headers, code, client, door):
    response = await client.get(A_ROOM, headers=headers)

    assert await problem(response) == (401, code)
    challenge = "Bearer" if code == "token_missing" else 'Bearer error="invalid_token"'
    assert response.headers["WWW-Authenticate"] == challenge
    assert door.entered == []


async def test_a_revoked_session_gets_401_at_once(client, door):
    headers = bearer(sid="0198f3b2-7c1d-7d7e-9a52-3f2f0c9d8e11")
    assert (await client.get(A_ROOM, headers=headers)).status == 200

    door.revoked.sessions[UUID("0198f3b2-7c1d-7d7e-9a52-3f2f0c9d8e11")] = NOW

    assert await problem(await client.get(A_ROOM, headers=headers)) == (401, "token_revoked")


async def test_the_scheme_is_read_in_any_case(client):
    headers = {"Authorization": bearer()["Authorization"].replace("Bearer", "bEARER")}

    assert (await client.get(A_ROOM, headers=headers)).status == 200


async def test_a_kind_of_caller_that_may_not_gets_403(client, door):
    assert await problem(await client.delete(A_ROOM, headers=bearer("teacher"))) == (403, "forbidden")
    assert door.entered == []
    assert (await client.delete(A_ROOM, headers=bearer("admin"))).status == 204


async def test_beacons_and_people_have_doors_of_their_own(client):
    assert (await client.post("/proofs", data=BODY, headers=JSON | beacon_bearer())).status == 201
    assert await problem(await client.post("/proofs", data=BODY, headers=JSON | bearer("dev", ttl_s=300))) == (
        401,
        "token_invalid",
    )


async def test_who_may_not_call_never_learns_what_is_wrong_with_the_body(client):
    response = await client.delete(A_ROOM, data=b"{", headers=JSON | bearer("student"))
    assert await problem(response) == (403, "forbidden")

    assert await problem(await client.post(ROOMS, data=b"{", headers=JSON)) == (401, "token_missing")


async def test_the_handler_learns_who_calls(client, door):
    await client.get(A_ROOM, headers=bearer("admin", admin_role="manager"))

    [call] = door.entered
    assert (call.caller.id, call.caller.type, call.caller.admin_role) == (PERSON, "admin", "manager")
    assert call.ids == {"room_id": ROOM}


# What is sent


BODIES = {
    "nothing": (b"", 400, "malformed_json"),
    "no JSON": (b"{", 400, "malformed_json"),
    "a duplicate key": (b'{"name":"a","name":"b"}', 400, "malformed_json"),
    "NUL": (rb'{"name":"\u0000"}', 400, "malformed_json"),
    "a lone surrogate": (rb'{"name":"\ud800"}', 400, "malformed_json"),
    "bytes that are not UTF-8": (b'{"name":"\xff"}', 400, "malformed_json"),
    "NaN": (b'{"name":NaN}', 400, "malformed_json"),
    "a deep list": (b'{"name":' + b"[" * 9_000 + b"]" * 9_000 + b"}", 400, "malformed_json"),
    "a list": (b"[]", 422, "malformed_body"),
    "null": (b"null", 422, "malformed_body"),
    "a missing field": (b"{}", 422, "malformed_body"),
    "an unknown field": (b'{"name":"a","role":"admin"}', 422, "malformed_body"),
    "a number for a text": (b'{"name":5}', 422, "malformed_body"),
    "an empty text": (b'{"name":" "}', 422, "malformed_body"),
    "a text too long": (b'{"name":"' + b"x" * 201 + b'"}', 422, "malformed_body"),
    "a time without an offset": (b'{"name":"a","opens_at":"2026-09-01T08:00:00"}', 422, "malformed_body"),
    "an id in upper case": (
        b'{"name":"a","beacon_ids":["' + str(ROOM).upper().encode() + b'A"]}',
        422,
        "malformed_body",
    ),
}


@pytest.mark.parametrize(("raw", "status", "code"), BODIES.values(), ids=BODIES)
async def test_a_body_that_is_not_what_the_route_reads_is_refused(raw, status, code, client, door):
    assert await problem(await post(client, raw)) == (status, code)
    assert door.entered == []


async def test_a_refused_body_is_told_where_but_never_what(client):
    response = await post(client, rb'{"name":5,"opens_at":"secret","beacon_ids":["x"],"sur prise":1,"\u00e9":2}')

    document = await response.json()
    assert document["fields"] == ["?", "beacon_ids.0", "name", "opens_at"]
    assert "secret" not in json.dumps(document)


async def test_many_faults_are_told_briefly(client):
    response = await post(client, json.dumps({"name": "a", "beacon_ids": ["x"] * 500}).encode())

    assert response.status == 422
    assert len(await response.read()) < 1000


async def test_what_is_read_arrives(client, door):
    raw = json.dumps({"name": " R1 ", "opens_at": "2026-09-01T10:00:00+02:00", "beacon_ids": [str(ROOM)]}).encode()

    response = await post(client, raw, headers={"Content-Type": "application/json; charset=utf-8"})

    [call] = door.entered
    assert (call.body.name, call.body.opens_at, call.body.beacon_ids, call.raw) == ("R1", NOW, [ROOM], raw)
    assert response.headers["Location"] == f"/rooms/{(await response.json())['id']}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": ""},
        {"Content-Encoding": "identity"},
        {"Content-Encoding": "br"},
    ],
    ids=str,
)
async def test_another_kind_of_body_gets_415(headers, client, door):
    assert await problem(await post(client, headers=headers)) == (415, "unsupported_media_type")
    assert door.entered == []


async def test_a_compressed_body_is_not_unpacked(client, door):
    response = await post(client, b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"})

    assert await problem(response) == (415, "unsupported_media_type")


async def test_a_route_of_another_media_type_gets_the_bytes(client, door):
    headers = bearer("admin") | {"Content-Type": "text/csv"}

    assert (await client.post("/import", data=b"a,b\n", headers=headers)).status == 201

    assert door.entered[0].raw == b"a,b\n"
    assert await problem(await post(client, path="/import")) == (415, "unsupported_media_type")


async def test_a_body_where_none_is_read_is_refused(client):
    response = await client.request("GET", A_ROOM, data=BODY, headers=JSON | bearer())

    assert await problem(response) == (422, "malformed_body")


@pytest.mark.parametrize(("raw", "open_"), [(b"", True), (b"{}", True), (b'{"open":false}', False)])
async def test_a_body_may_be_left_out_where_the_route_says_so(raw, open_, client, door):
    response = await client.post("/hours", data=raw, headers=bearer() | (JSON if raw else {}))

    assert response.status == 201
    assert door.entered[0].body.open is open_


async def test_a_body_that_announces_too_much_gets_413(client, door):
    assert await problem(await post(client, b'{"name":"' + b"x" * 65_536)) == (413, "body_too_large")
    assert door.entered == []


@pytest.mark.parametrize("count", [2, 40])
async def test_a_body_that_turns_out_too_large_gets_413(count, client, door):
    async def chunks():
        for _ in range(count):
            yield b" " * 40_000

    small = await client.post("/proofs", data=b" " * 300, headers=JSON | beacon_bearer())
    assert await problem(small) == (413, "body_too_large")
    assert await problem(await post(client, chunks())) == (413, "body_too_large")
    assert door.entered == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=1e2", "limit=-1", "limit=%D9%A3", "limit=1&limit=2", "limit=", "surprise=1",
        "word=%00", "cursor=" + "x" * 65, "%00=1",
    ],
)  # fmt: skip
async def test_a_query_that_is_not_what_the_route_reads_is_refused(query, client, door):
    response = await client.get(f"{ROOMS}?{query}", headers=bearer())

    assert await problem(response) == (422, "malformed_query")
    assert door.entered == []


async def test_a_query_arrives(client, door):
    await client.get(ROOMS + "?limit=7&word=%C3%A9+%2B", headers=bearer())

    assert (door.entered[0].query.limit, door.entered[0].query.word) == (7, "é +")


@pytest.mark.parametrize("spelled", ["%ff", "%ed%a0%80", "%c0%af", "%", "%zz"])
async def test_what_is_not_utf_8_arrives_as_harmless_text(spelled, client, door):
    await client.get(_exactly(f"/tags/{spelled}?"), headers=bearer())
    await client.get(_exactly(f"{ROOMS}?word={spelled}"), headers=bearer())

    words = [door.entered[0].path["tag"], door.entered[1].query.word]
    assert [word.encode("utf-8").decode("utf-8") for word in words] == words
    assert not {"/", "\0"} & set("".join(words))


# Paths and methods


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nowhere", 404, "route_unknown"),
        ("/rooms/", 404, "route_unknown"),
        ("/rooms/x", 400, "malformed_path"),
        (f"/rooms/{str(ROOM).replace('4', 'A')}", 400, "malformed_path"),
        (f"/rooms/%7B{ROOM}%7D", 404, "route_unknown"),
        (f"/rooms/{ROOM}%00", 400, "malformed_path"),
        ("/tags/a%00b", 400, "malformed_path"),
    ],
)
async def test_a_path_that_is_not_served_is_refused(path, status, code, client, door):
    assert await problem(await client.get(_exactly(path), headers=bearer())) == (status, code)
    assert door.entered == []


async def test_a_malformed_path_is_told_only_to_whom_somebody_vouches_for(client):
    assert await problem(await client.get("/rooms/x")) == (401, "token_missing")


@pytest.mark.parametrize("method", ["PUT", "HEAD", "OPTIONS", "TRACE"])
async def test_another_method_gets_405_with_those_that_are_served(method, client):
    response = await client.request(method, A_ROOM, headers=bearer())

    assert response.status == 405
    assert response.headers["Allow"] == "DELETE, GET, PATCH"
    if method != "HEAD":
        assert await problem(response) == (405, "method_not_allowed")


# Headers


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "If-Match"])
async def test_a_header_that_must_be_single_is_refused_when_it_is_not(name, client, door):
    values = {"Authorization": bearer()["Authorization"], "Content-Type": "application/json", "If-Match": '"1"'}
    usual = list((JSON | bearer()).items())
    doubled = [pair for pair in usual if pair[0] != name] + [(name, values.get(name, "k"))] * 2

    response = await client.post(ROOMS, data=BODY, headers=doubled)

    assert await problem(response) == (400, "malformed_header")
    assert (await response.json())["fields"] == [name.lower()]
    assert door.entered == []


async def test_a_change_says_which_version_it_saw(client):
    good = await client.patch(A_ROOM, data=BODY, headers=JSON | bearer() | {"If-Match": '"12"'})
    none = await client.patch(A_ROOM, data=BODY, headers=JSON | bearer())

    assert await good.json() == {"seen": 12}
    assert await problem(none) == (428, "version_required")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        '"12',
        '12"',
        '""',
        '"-1"',
        '"1.0"',
        '"x"',
        'W/"12"',
        "*",
        '"1", "2"',
        '"\u0661"',
        '"' + "9" * 19 + '"',
        '"1 "',
    ],
)
async def test_a_malformed_version_is_refused(text, client, door):
    response = await client.patch(A_ROOM, data=BODY, headers=JSON | bearer() | {"If-Match": text})

    assert await problem(response) == (400, "malformed_header")
    assert door.entered == []


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 129])
async def test_a_malformed_idempotency_key_is_refused(key, client, door):
    assert await problem(await post(client, headers={"Idempotency-Key": key})) == (400, "malformed_header")
    assert door.entered == []


async def test_a_repeat_makes_the_same_thing_and_nobody_elses(client):
    async def made(key, **who):
        return (await (await post(client, headers={"Idempotency-Key": key} | bearer(**who))).json())["id"]

    assert await made("k") == await made("k")
    assert len({await made("k"), await made("other")}) == 2
    assert (await (await post(client)).json())["id"] != (await (await post(client)).json())["id"]


async def test_an_answer_carries_the_version_of_what_it_shows(client):
    response = await client.get(A_ROOM, headers=bearer())

    assert (response.headers["ETag"], await response.json()) == ('"3"', {"name": "R1"})


@pytest.mark.parametrize("given", ["abcdefgh", "0198f3b2-7c1d-7d7e-9a52-3f2f0c9d8e11", "x" * 64])
async def test_a_request_id_comes_back(given, client):
    assert (await client.get("/open", headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "short", "x" * 65, "a b c d e f", "a/b/c/d/e/f", "éééééééé"])
async def test_a_request_without_a_proper_id_gets_one(given, client):
    response = await client.get("/open", headers={} if given is None else {"x-request-id": given})

    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-request-id"])


async def test_every_answer_names_the_request_and_never_the_software(client, door):
    door.goes_on.set()

    for path in ("/open", "/nowhere", "/stream", "/problems/bug", "/slow"):
        response = await client.get(path, headers={"x-request-id": "abcdefgh"})
        assert (response.headers["Server"], response.headers["x-request-id"]) == ("rollcall", "abcdefgh")


# Limits and faults


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("missing", 404, "not_found"),
        ("stale", 412, "version_stale"),
        ("busy", 429, "rate_limited"),
        ("down", 503, "database_down"),
        ("bug", 500, "internal"),
    ],
)
async def test_a_problem_is_told_by_its_code_and_without_detail(name, status, code, client):
    response = await client.get(f"/problems/{name}")

    assert await problem(response) == (status, code)
    assert "secret" not in await response.text()
    assert response.headers.get("Retry-After") == {429: "7", 503: "1"}.get(status)


async def test_a_handler_that_takes_too_long_gets_504(client, monkeypatch):
    monkeypatch.setattr(http_server, "REQUEST_LIMIT_S", 0.05)

    assert await problem(await client.get("/slow")) == (504, "deadline_exceeded")


async def test_a_body_that_does_not_arrive_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(http_parsing, "BODY_TIMEOUT_S", 0.05)
    never = asyncio.Event()

    async def chunks():
        yield b"{"
        await never.wait()

    response = await post(client, chunks())

    assert await problem(response) == (400, "request_too_slow")


async def test_past_the_limit_of_requests_in_flight_others_are_told_to_come_back(door):
    async with client_of(door, max_in_flight=2) as client:
        waiting = [asyncio.create_task(client.get("/slow")) for _ in range(2)]
        await until(lambda: len(door.entered) == 2)

        refused = await client.get("/open")

        assert await problem(refused) == (503, "overloaded")
        assert refused.headers["Retry-After"] == "1"
        door.goes_on.set()
        assert [response.status for response in await asyncio.gather(*waiting)] == [200, 200]
        assert (await client.get("/open")).status == 200


async def test_a_full_door_still_says_what_it_does_not_serve(door):
    async with client_of(door, max_in_flight=0) as client:
        assert await problem(await client.get("/open")) == (503, "overloaded")
        assert await problem(await client.get("/nowhere")) == (404, "route_unknown")


def _exactly(path):
    """The URL of `path` as written: a client would tidy it up."""
    return URL(path, encoded=True)
