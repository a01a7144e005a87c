"""Keys of an issuer are fetched seldom, and kept while it is away."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.problems import UnavailableError
from infra.jwks import REFRESH_S, UNKNOWN_KEY_REFRESH_S, RemoteKeys
from infra.local.ports import free_port
from infra.signing_keys import public_jwk
from tests.waiting import until

JWK = public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
KID = JWK["kid"]
OTHER = public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
UNKNOWN = "x" * 43


class Issuer:
    """Answers with `document`, counts, and waits while `hangs`."""

    def __init__(self):
        self.document, self.status, self.count = {"keys": [JWK]}, 200, 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def answer(self, _request):
        self.count += 1
        await self.answers.wait()
        return web.json_response(self.document, status=self.status)


class Stopwatch:
    def __init__(self):
        self.at_s = 1000.0

    def __call__(self):
        return self.at_s


@pytest.fixture
async def issuer():
    return Issuer()


@pytest.fixture
def watch():
    return Stopwatch()


@pytest.fixture
async def keys(issuer, watch):
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.answer)
    async with TestServer(app) as server:
        yield RemoteKeys(str(server.make_url("/jwks.json")), monotonic=watch)


async def test_a_key_is_found_and_fetched_once(keys, issuer):
    found = [await keys.find(KID) for _ in range(5)]

    assert [public_jwk(key)["kid"] for key in found] == [KID] * 5
    assert issuer.count == 1


async def test_many_at_once_fetch_once(keys, issuer):
    await asyncio.gather(*(keys.find(KID) for _ in range(50)))

    assert issuer.count == 1


async def test_keys_are_fetched_again_after_five_minutes(keys, issuer, watch):
    await keys.find(KID)

    watch.at_s += REFRESH_S
    await keys.find(KID)
    assert issuer.count == 1

    watch.at_s += 1
    await keys.find(KID)
    assert issuer.count == 2


async def test_an_unknown_key_asks_the_issuer_once_in_half_a_minute(keys, issuer, watch):
    await keys.find(KID)
    watch.at_s += UNKNOWN_KEY_REFRESH_S + 1

    found = await asyncio.gather(*(keys.find(f"{n:043}") for n in range(200)))
    assert (set(found), issuer.count) == ({None}, 2)

    watch.at_s += UNKNOWN_KEY_REFRESH_S - 1
    await keys.find(UNKNOWN)
    assert issuer.count == 2

    watch.at_s += 2
    await keys.find(UNKNOWN)
    assert issuer.count == 3


async def test_a_new_key_is_known_half_a_minute_after_the_last_fetch(keys, issuer, watch):
    await keys.find(KID)
    issuer.document = {"keys": [JWK, OTHER]}
    assert await keys.find(OTHER["kid"]) is None

    watch.at_s += UNKNOWN_KEY_REFRESH_S + 1

    assert await keys.find(OTHER["kid"]) is not None


async def test_a_key_that_the_issuer_dropped_is_gone(keys, issuer, watch):
    await keys.find(KID)
    issuer.document = {"keys": [OTHER]}

    watch.at_s += REFRESH_S + 1

    assert await keys.find(KID) is None


BAD = {
    "an error": (500, {"keys": [JWK]}),
    "no object": (200, [JWK]),
    "no keys": (200, {}),
    "an empty list of keys": (200, {"keys": []}),
    "keys of another kind only": (200, {"keys": [{"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}]}),
    "keys that are no list": (200, {"keys": 5}),
    "a key that is no object": (200, {"keys": ["x"]}),
    "a key without a name": (200, {"keys": [{k: v for k, v in JWK.items() if k != "kid"}]}),
    "a key without a point": (200, {"keys": [{k: v for k, v in JWK.items() if k != "x"}]}),
    "a point off the curve": (200, {"keys": [JWK | {"x": "AAAA"}]}),
}


@pytest.mark.parametrize(("status", "document"), BAD.values(), ids=BAD)
async def test_without_good_keys_nothing_can_be_said(status, document, keys, issuer, watch):
    issuer.status, issuer.document = status, document

    with pytest.raises(UnavailableError, match="keys_unavailable"):
        await keys.find(KID)
    assert not await keys.ready()

    issuer.status, issuer.document = 200, {"keys": [JWK]}
    watch.at_s += 1.1
    assert await keys.ready()
    assert await keys.find(KID) is not None


@pytest.mark.parametrize(("status", "document"), BAD.values(), ids=BAD)
async def test_the_last_good_keys_are_kept_while_the_issuer_is_away(status, document, keys, issuer, watch):
    await keys.find(KID)
    issuer.status, issuer.document = status, document

    watch.at_s += 24 * 3600

    assert await keys.find(KID) is not None
    assert await keys.ready()


async def test_keys_of_another_kind_are_passed_over(keys, issuer):
    issuer.document = {"keys": [{"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}, JWK | {"crv": "P-384"}, JWK]}

    assert await keys.find(KID) is not None


async def test_an_issuer_that_hangs_holds_up_one_caller_only(keys, issuer, watch):
    await keys.find(KID)
    watch.at_s += REFRESH_S + 1
    issuer.answers.clear()
    held_up = asyncio.create_task(keys.find(KID))
    await until(lambda: issuer.count == 2)

    async with asyncio.timeout(1):
        assert await keys.find(KID) is not None

    issuer.answers.set()
    assert await held_up is not None


async def test_without_an_issuer_nothing_can_be_said(watch):
    keys = RemoteKeys(f"http://127.0.0.1:{free_port()}/jwks.json", monotonic=watch)

    for _ in range(5):
        with pytest.raises(UnavailableError):
            await keys.find(KID)


async def test_an_announced_key_is_asked_for_each_second_until_it_is_there(keys, issuer, watch):
    await keys.find(KID)
    keys.announce(OTHER["kid"])
    watch.at_s += 1.1
    assert await keys.find(OTHER["kid"]) is None
    assert await keys.find(OTHER["kid"]) is None
    assert issuer.count == 2

    issuer.document = {"keys": [JWK, OTHER]}
    watch.at_s += 1.1

    assert await keys.find(OTHER["kid"]) is not None
    watch.at_s += 1.1
    assert await keys.find(OTHER["kid"]) is not None
    assert issuer.count == 3
