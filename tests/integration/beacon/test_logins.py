"""A beacon logs in by signing the time."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest

from infra.canon import P256_ORDER, from_base64url, to_base64url
from infra.demo.devices import Beacon, new_key, public_pem


async def word(service, body):
    return (await service.nobody.post("/beacon/auth/token", body)).word


async def test_a_beacon_gets_a_token_that_the_published_keys_verify(service):
    beacon = await service.a_beacon()

    answer = (await beacon.log_in(service.nobody)).expect(200)

    keys = (await service.nobody.get("/beacon/jwks.json")).expect(200)["keys"]
    claims = jwt.decode(
        answer["access_token"],
        jwt.PyJWK(keys[0]).key,
        algorithms=["ES256"],
        audience="rollcall-beacon",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert (claims["sub"], claims["kid"], claims["exp"] - claims["iat"]) == (str(beacon.id), beacon.kid, 600)
    assert (answer["token_type"], answer["expires_in"], answer["config_version"]) == ("Bearer", 600, 1)
    assert answer["server_time_ms"] == int(service.now().timestamp() * 1000)


async def test_a_change_of_any_signed_field_is_refused_like_an_unknown_beacon(service):
    beacon, other = await service.a_beacon(), await service.a_beacon()
    body = beacon.login_body()
    changed = {
        "kid": other.kid,
        "ts": body["ts"] + 1,
        "boot": 2,
        "uptime_ms": 1,
        "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
        "beacon_id": str(other.id),
    }
    stranger = Beacon(id=other.id, serial="none", origin=beacon.origin, now=service.now)

    nobody = Beacon(id=uuid4(), serial="none", origin=beacon.origin, now=service.now)
    bodies = [body | {field: value} for field, value in changed.items()]
    bodies += [stranger.login_body(), nobody.login_body()]
    answers = [await service.nobody.post("/beacon/auth/token", sent) for sent in bodies]

    assert {(answer.status, answer.word) for answer in answers} == {(401, "beacon_auth_failed")}


async def test_a_signature_for_another_origin_is_refused(service):
    beacon = await service.a_beacon()
    beacon.origin = "https://evil.example"

    assert await word(service, beacon.login_body()) == "beacon_auth_failed"


@pytest.mark.parametrize(
    ("off_ms", "expected"), [(-60_001, "clock_skew"), (-60_000, "200"), (60_000, "200"), (60_001, "clock_skew")]
)
async def test_the_window_is_sixty_seconds_either_way(service, off_ms, expected):
    beacon = await service.a_beacon()
    beacon.offset = timedelta(milliseconds=off_ms)
    body = beacon.login_body()

    answer = await service.nobody.post("/beacon/auth/token", body)

    assert answer.word == expected
    assert answer.body["server_time_ms"] == int(service.now().timestamp() * 1000)


async def test_the_time_is_not_told_to_a_stranger(service):
    beacon = await service.a_beacon()
    body = beacon.login_body()
    service.now.forward(hours=1)

    answer = await service.nobody.post("/beacon/auth/token", body | {"boot": 9})

    assert answer.word == "beacon_auth_failed"
    assert "server_time_ms" not in answer.body


async def test_of_equal_requests_at_once_exactly_one_wins(service):
    beacon = await service.a_beacon()
    body = beacon.login_body()

    words = await asyncio.gather(*(word(service, body) for _ in range(5)))

    assert sorted(words) == ["200"] + ["beacon_auth_failed"] * 4


async def test_the_twin_of_a_used_signature_is_a_repeat(service):
    beacon = await service.a_beacon()
    body = beacon.login_body()
    raw = from_base64url(body["sig"])
    twin = to_base64url(raw[:32] + (P256_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big"))
    assert await word(service, body) == "200"

    assert await word(service, body | {"sig": twin}) == "beacon_auth_failed"


async def test_a_retired_beacon_stays_outside(service):
    beacon = await service.a_beacon()
    await service.dev.call("DELETE", f"/dev/beacons/{beacon.id}")

    assert await word(service, beacon.login_body()) == "beacon_auth_failed"


async def test_a_revoked_key_is_refused_and_its_successor_let_in(service):
    beacon = await service.a_beacon()
    new = new_key()
    body = {"public_key": public_pem(new), "revoke": [beacon.kid]}
    (await service.dev.post(f"/dev/beacons/{beacon.id}/keys", body)).expect(201)

    assert await word(service, beacon.login_body()) == "beacon_auth_failed"
    beacon.key = new
    assert await word(service, beacon.login_body()) == "200"


async def test_a_beacon_may_log_in_ten_times_a_minute(service):
    beacon = await service.a_beacon()

    words = [await word(service, beacon.login_body()) for _ in range(11)]
    service.now.forward(seconds=60)

    assert words == ["200"] * 10 + ["rate_limited"]
    assert await word(service, beacon.login_body()) == "200"


async def test_an_address_may_fail_sixty_times_a_minute(service):
    beacon = await service.a_beacon()
    stranger = Beacon(id=beacon.id, serial="none", origin=beacon.origin, now=service.now)
    body = stranger.login_body()

    words = [await word(service, body) for _ in range(61)]

    assert words == ["beacon_auth_failed"] * 60 + ["rate_limited"]


async def test_a_clock_that_is_far_off_makes_a_human_look(service):
    beacon = await service.a_beacon()
    body = beacon.login_body()
    service.now.forward(seconds=6)
    (await service.nobody.post("/beacon/auth/token", body)).expect(200)

    type_, version, raw = (await service.events())[-1]

    assert (type_, version, json.loads(raw)["data"]["kind"]) == ("beacon.security.alert.v1", 1, "clock_offset")


MALFORMED = (
    {"v": 2},
    {"v": True},
    {"ts": -1},
    {"ts": 4_102_444_800_001},
    {"ts": "1"},
    {"boot": 1.0},
    {"kid": "x" * 16},
    {"nonce": "AAAAAAAAAAAAAAAAAAAAAB"},
    {"sig": "short"},
    {"more": 1},
)


async def test_a_malformed_login_is_refused(service):
    beacon = await service.a_beacon()

    answers = [await service.nobody.post("/beacon/auth/token", beacon.login_body() | change) for change in MALFORMED]

    assert {(answer.status, answer.word) for answer in answers} == {(422, "malformed_body")}


async def test_a_beacon_without_a_clock_can_ask_for_the_time(service):
    answer = (await service.nobody.get("/beacon/time")).expect(200)

    assert answer == {"server_time_ms": int(service.now().timestamp() * 1000)}
