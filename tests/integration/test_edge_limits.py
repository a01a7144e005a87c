"""How often one caller may come through the edge, and that nobody else pays for it."""

import asyncio
import time
import uuid

import pytest
import pytest_asyncio

from infra.envoy.limits import LIMITS
from tests.integration.edges import BEACON_KEY, an_open_edge, beacon_bearer, bearer, echoes, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOORS = {
    "proofs": ("POST", "/beacon/proofs"),
    "signing": ("POST", "/signatures"),
    "phones": ("PUT", "/users/1/device"),
    "corrections": ("PATCH", "/signatures/1"),
    "lists": ("GET", "/signatures"),
    "names": ("GET", "/users/batch"),
    "reports": ("GET", "/signatures/report"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services():
    async with echoes() as upstreams:
        yield upstreams


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def send(services, tmp_path_factory):
    async with an_open_edge(tmp_path_factory.mktemp("edge"), services) as send:
        yield send


def a_caller(name, who=None):
    return beacon_bearer(who) if name == "proofs" else bearer(who=who, user_type="student")


async def status_of(send, method, path, headers):
    async with send(path, method=method, headers=headers) as response:
        return response.status


async def statuses_of(send, method, path, headers, *, count):
    return [await status_of(send, method, path, headers) for _ in range(count)]


async def until_refused(send, method, path, headers):
    """Return how many requests were taken, and status, code and waiting time of the one that was not."""
    for taken in range(1_000):
        async with send(path, method=method, headers=headers) as response:
            if response.status != 200:
                refused = await problem(response)
                return taken, (response.status, refused["code"], response.headers["retry-after"])
    raise AssertionError("a thousand requests were taken")


@pytest.mark.parametrize("name", LIMITS)
async def test_past_the_limit_a_caller_is_told_to_come_back_and_another_is_not(send, name):
    method, path = DOORS[name]
    limit, caller, began_at = LIMITS[name], a_caller(name), time.monotonic()

    taken, refused = await until_refused(send, method, path, caller)

    refilled = (time.monotonic() - began_at) * limit.count / limit.window_s
    assert limit.count <= taken <= limit.count + refilled
    assert refused == (429, "rate_limited", str(limit.wait_s))
    assert await status_of(send, method, path, a_caller(name)) == 200


async def test_of_seven_attempts_to_sign_the_seventh_must_wait_whatever_the_spelling_and_the_token(send):
    student = uuid.uuid4()
    spellings = ["/signatures", "/v1/signatures", "/signature", "//signatures", "/signatures?x=1", "/v1/signature"]

    statuses = [
        await status_of(send, "POST", path, a_caller("signing", student)) for path in [*spellings, "/signatures"]
    ]

    assert statuses == [200] * 6 + [429]


async def test_one_list_counts_like_another(send):
    caller = a_caller("lists")
    lists = ["/signatures", "/users", "/courses", "/groups/1/members", "/signatures/1/transitions", "/dev/beacons"]

    statuses = [status for path in lists for status in await statuses_of(send, "GET", path, caller, count=15)]

    assert statuses[:60] == [200] * 60
    assert 429 in statuses


async def test_what_is_no_list_is_not_counted_as_one(send):
    caller = a_caller("lists")

    for path in ("/users/1", "/courses/1", "/signatures/1", "/auth/me", "/schools/1/preferences"):
        assert await statuses_of(send, "GET", path, caller, count=70) == [200] * 70


@pytest.mark.parametrize("user_type", ["teacher", "admin", "dev"])
async def test_who_marks_a_class_by_hand_is_not_held_up(send, user_type):
    caller = bearer(user_type=user_type)

    assert await statuses_of(send, "POST", "/signatures", caller, count=40) == [200] * 40


async def test_a_forged_token_does_not_use_up_what_its_victim_may_do(send):
    victim = uuid.uuid4()
    forged = bearer(key=BEACON_KEY, who=victim, user_type="student")

    assert await statuses_of(send, "POST", "/signatures", forged, count=10) == [401] * 10
    assert await statuses_of(send, "POST", "/signatures", a_caller("signing", victim), count=6) == [200] * 6


async def test_headers_of_a_client_do_not_say_who_it_is(send):
    student, named = uuid.uuid4(), {"X-User-Id": str(uuid.uuid4()), "x-user-type": "teacher"}
    callers = [{**a_caller("signing", student), **named, "x-user-id": str(uuid.uuid4())} for _ in range(7)]

    assert [await status_of(send, "POST", "/signatures", caller) for caller in callers] == [200] * 6 + [429]


async def test_a_hall_of_300_signs_at_once_from_one_address(send):
    signing = (status_of(send, "POST", "/signatures", a_caller("signing")) for _ in range(300))

    assert set(await asyncio.gather(*signing)) == {200}


async def test_30_beacons_push_what_two_seconds_brought_at_once(send):
    beacons = [beacon_bearer() for _ in range(30)]

    pushes = (statuses_of(send, "POST", "/beacon/proofs", beacon, count=20) for beacon in beacons)

    assert {status for statuses in await asyncio.gather(*pushes) for status in statuses} == {200}


async def test_a_place_may_let_everybody_come_more_often(services, tmp_path):
    async with an_open_edge(tmp_path, services, limits_times=2) as send:
        statuses = await statuses_of(send, "POST", "/signatures", a_caller("signing"), count=13)

    assert statuses == [200] * 12 + [429]
