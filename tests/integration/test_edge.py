"""The edge in front of four echoing services: routes, rewrites, headers, tokens, refusals."""

import asyncio
import json
import uuid
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from infra.envoy.routes import SERVICES
from infra.local.ports import free_port
from infra.tokens import TokenKind
from tests.integration.edges import (
    BEACON_KEY,
    PERSON_KEY,
    an_edge,
    an_open_edge,
    beacon_bearer,
    bearer,
    echo,
    echoes,
    problem,
)
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITYS_KEYS = "/.well-known/jwks.json"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services():
    async with echoes() as upstreams:
        yield upstreams


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def send(services, tmp_path_factory):
    async with an_open_edge(tmp_path_factory.mktemp("edge"), services) as send:
        yield send


PERSON_PATHS = [
    ("/auth/me", "identity", "/auth/me"),
    ("/users", "identity", "/users"),
    ("/user/7?q=a%20b", "identity", "/users/7?q=a%20b"),
    ("/v1/users/7/device", "identity", "/users/7/device"),
    ("/users/import", "identity", "/users/import"),
    ("/v1/auth/sessions", "identity", "/auth/sessions"),
    ("/schools/1/preferences", "academics", "/schools/1/preferences"),
    ("/school/1", "academics", "/schools/1"),
    ("/v1/school", "academics", "/schools"),
    ("/classroom/1", "academics", "/classrooms/1"),
    ("/group/1/members", "academics", "/groups/1/members"),
    ("/v1/course/1/signing", "academics", "/courses/1/signing"),
    ("/course/import", "academics", "/courses/import"),
    ("/signatures", "attendance", "/signatures"),
    ("/signature/1/transitions", "attendance", "/signatures/1/transitions"),
    ("/signatures/live?course_id=1", "attendance", "/signatures/live?course_id=1"),
    ("/signatures/qr/1/codes", "attendance", "/signatures/qr/1/codes"),
    ("/beacon/flash-codes", "beacon", "/beacon/flash-codes"),
    ("/dev/beacons", "beacon", "/dev/beacons"),
    ("/dev/beacon/1/keys", "beacon", "/dev/beacons/1/keys"),
    ("/v1/dev/beacon", "beacon", "/dev/beacons"),
    ("//users", "identity", "/users"),
    ("/users/../schools", "academics", "/schools"),
]
PUBLIC_PATHS = [
    ("/auth/login", "identity"),
    ("/auth/refresh", "identity"),
    ("/auth/password-reset", "identity"),
    ("/auth/jwks.json", "identity"),
    ("/beacon/auth/token", "beacon"),
    ("/beacon/time", "beacon"),
    ("/courses/calendar.ics", "academics"),
    ("/signatures/board/1", "attendance"),
    ("/q", "attendance"),
    ("/q/abc", "attendance"),
    ("/Q/ABC", "attendance"),
    ("/n/abc", "attendance"),
    *((f"/docs/{name}", name) for name in SERVICES),
    *((f"/openapi/{name}.json", name) for name in SERVICES),
]
UNKNOWN_PATHS = ["/", "/authx", "/users;x", "/usersx", "/schoolss", "/v2/users", "/v1", "/v1/v1/users", "/metrics"]
UNKNOWN_PATHS += ["/health", "/ready", "/internal", "/docs", "/docs/other", "/openapi/identity.yaml", "/dev", "/qr"]
FORGEABLE = ["X-User-Id", "x-user-type", "x-school-id", "x-service-name", "x-forwarded-client-cert", "forwarded"]
FORGEABLE += ["x-forwarded-host", "x-real-ip", "x-envoy-external-address", "x-envoy-retry-on", "x-envoy-original-path"]


@pytest.mark.parametrize(("path", "service", "seen"), PERSON_PATHS)
async def test_a_person_reaches_the_owner_of_a_path(send, path, service, seen):
    async with send(path, headers=bearer()) as response:
        got = await response.json()

    assert (got["service"], got["path"]) == (service, seen)


@pytest.mark.parametrize(("path", "service"), PUBLIC_PATHS)
async def test_what_is_public_needs_no_token(send, path, service):
    async with send(path) as response:
        got = await response.json()

    assert (got["service"], got["path"]) == (service, path)


@pytest.mark.parametrize("path", [path for path, _, _ in PERSON_PATHS])
async def test_everything_else_needs_one(send, path):
    async with send(path) as response:
        refused = await problem(response)

    assert (response.status, refused["code"]) == (401, "token_missing")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/beacon/proofs", "/beacon/buzzLightyear", "/beacon/telemetry"])
async def test_beacons_and_people_have_doors_of_their_own(send, path):
    beacon, person = beacon_bearer(), bearer()

    async with send(path, headers=beacon) as taken, send(path, headers=person) as refused:
        assert (await taken.json())["path"] == path
        assert (await problem(refused))["code"] == "token_invalid"
    async with send("/users", headers=beacon) as refused:
        assert (await problem(refused))["code"] == "token_invalid"


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
async def test_what_no_route_names_is_not_there(send, path):
    async with send(path, headers=bearer()) as response:
        refused = await problem(response)

    assert (response.status, refused["code"]) == (404, "route_unknown")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (bearer(life_s=-31), "token_expired"),
        (bearer(life_s=86_400), "token_invalid"),
        (bearer(key=BEACON_KEY), "token_invalid"),
        (bearer(kid="x" * 43), "token_invalid"),
        (bearer(TokenKind(issuer="other", audience="rollcall-api", type="at+jwt")), "token_invalid"),
        (bearer(TokenKind(issuer="rollcall-identity", audience="other", type="at+jwt")), "token_invalid"),
        ({"authorization": "Bearer nonsense"}, "token_invalid"),
        ({"authorization": "Basic YTpi"}, "token_missing"),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(send, headers, code):
    async with send("/users", headers=headers) as response:
        refused = await problem(response)

    assert (response.status, refused["code"]) == (401, code)
    assert ("error" in response.headers["www-authenticate"]) == (code != "token_missing")


async def test_a_token_in_the_query_counts_for_nothing(send):
    async with send("/users?access_token=" + bearer()["authorization"][7:]) as response:
        assert response.status == 401


async def test_headers_that_services_would_trust_do_not_pass(send):
    forged = dict.fromkeys(FORGEABLE, "forged")

    async with send("/users", headers={**bearer(), **forged, "x-forwarded-for": "6.6.6.6"}) as response:
        seen = (await response.json())["headers"]

    assert "forged" not in seen.values()
    assert "6.6.6.6" not in seen["x-forwarded-for"]
    assert seen["x-envoy-external-address"] == "127.0.0.1"
    assert seen["authorization"].startswith("Bearer ")
    assert not {"x-user-id", "x-user-type"} & set(seen)


async def test_every_request_gets_a_new_id_that_client_and_service_see(send):
    claimed = str(uuid.uuid4())

    async with send("/users", headers={**bearer(), "x-request-id": claimed}) as response:
        seen = (await response.json())["headers"]["x-request-id"]

    assert seen == response.headers["x-request-id"] != claimed
    assert uuid.UUID(seen).version == 4


async def test_a_refusal_tells_its_request_id(send):
    async with send("/nothing") as response:
        refused = await problem(response)

    assert refused["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/auth/..%2fusers", {}), ("/users%5c1", {}), ("/users", {"x_user_id": "1"})],
)
async def test_ambiguous_requests_are_refused(send, path, headers):
    async with send(path, headers={**bearer(), **headers}) as response:
        assert response.status == 400
        assert (await problem(response))["code"] == "malformed_request"


async def test_a_body_past_64_kib_is_refused_but_for_imports(send):
    async with send("/users", method="POST", headers=bearer(), data=b"x" * 65_537) as refused:
        assert (refused.status, (await problem(refused))["code"]) == (413, "body_too_large")

    async with send("/users/import", method="POST", headers=bearer(), data=b"x" * 2**20) as taken:
        assert (await taken.json())["length"] == 2**20


async def test_long_headers_are_refused(send):
    async with send("/users", headers={**bearer(), "x-long": "x" * 20_000}) as response:
        assert (response.status, (await problem(response))["code"]) == (431, "headers_too_large")


async def test_a_service_that_is_away_is_a_503(services, tmp_path):
    away = {**services, "academics": f"127.0.0.1:{free_port()}"}

    async with an_edge(tmp_path, away) as send, send("/courses/calendar.ics") as response:
        assert (response.status, (await problem(response))["code"]) == (503, "upstream_down")
        assert response.headers["retry-after"] == "1"


async def test_while_no_keys_can_be_had_a_token_is_not_called_bad(services, tmp_path):
    away = {**services, "identity": f"127.0.0.1:{free_port()}"}

    async with an_edge(tmp_path, away) as send, send("/courses", headers=bearer()) as response:
        assert (response.status, (await problem(response))["code"]) == (503, "keys_unavailable")


async def test_the_last_good_keys_serve_while_identity_is_away(services, tmp_path):
    admin_port = free_port()
    async with AsyncExitStack() as running:
        identity = await running.enter_async_context(echo("identity"))
        upstreams = {**services, "identity": f"127.0.0.1:{identity.port}"}
        send = await running.enter_async_context(an_edge(tmp_path, upstreams, admin_port=admin_port, keys_cache_s=1))
        await until(lambda: keys_were_fetched_ahead(admin_port))
        await identity.close()
        await until(lambda: fetches(admin_port, "failed", at_least=3))

        assert await is_taken(send, bearer())


async def test_a_revoked_key_is_gone_as_soon_as_the_keys_are_fetched_anew(services, tmp_path):
    keys = {IDENTITYS_KEYS: PERSON_KEY}
    async with echo("identity", keys) as identity:
        upstreams = {**services, "identity": f"127.0.0.1:{identity.port}"}
        async with an_edge(tmp_path, upstreams, keys_cache_s=1) as send:
            await until(lambda: is_taken(send, bearer()))
            keys[IDENTITYS_KEYS] = new_key = ec.generate_private_key(ec.SECP256R1())
            await until(lambda: is_taken(send, bearer(key=new_key)))

            assert not await is_taken(send, bearer())


async def is_taken(send, headers):
    async with send("/courses", headers=headers) as response:
        return response.status == 200


async def keys_were_fetched_ahead(admin_port):
    return await fetches(admin_port, "success", at_least=2)


async def fetches(admin_port, outcome, *, at_least):
    url = f"http://127.0.0.1:{admin_port}/stats?format=json&filter=jwks_fetch_{outcome}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        stats = (await response.json(content_type=None))["stats"]
    return sum(stat["value"] for stat in stats if "value" in stat) >= at_least


async def test_past_the_limit_requests_are_told_to_come_back(services, tmp_path):
    async with an_edge(tmp_path, services, requests_per_second=3) as send:
        answers = await asyncio.gather(*(status_of(send) for _ in range(8)))

    assert answers.count((429, "rate_limited", "1")) >= 2
    assert answers.count((200, None, None)) >= 3


async def status_of(send):
    async with send("/q") as response:
        code = None if response.status == 200 else (await problem(response))["code"]
        return response.status, code, response.headers.get("retry-after")


async def test_the_log_tells_of_what_no_service_does(services, tmp_path):
    async with an_edge(tmp_path, services) as send:
        await until(lambda: is_open(send))
        for path in ("/auth/jwks.json", "/users", "/nowhere"):
            async with send(path, headers={"x-request-id": "mine"}):
                pass

    lines = [json.loads(line) for line in (tmp_path / "envoy.log").read_text().splitlines() if line.startswith("{")]
    told = {(line["status"], line["route"]) for line in lines}
    assert told == {(401, "user-lists"), (404, None)}
    assert {line["request_id"] for line in lines}.isdisjoint({"mine", None})


async def is_open(send):
    async with send("/auth/jwks.json") as response:
        return response.status == 200
