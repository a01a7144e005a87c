"""An edge in front of four echoing services, and tokens that it takes."""

import base64
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import aiohttp
import yarl
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.problems import TITLES
from infra.clock import utc_now
from infra.envoy.render import Edge
from infra.envoy.routes import SERVICES
from infra.local.envoy import LocalEnvoy
from infra.local.ports import free_port
from infra.tokens import BEACON_TOKEN, USER_TOKEN, TokenSigner
from tests.waiting import until

KID = "k" * 43
PERSON_KEY, BEACON_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def bearer(kind=USER_TOKEN, key=PERSON_KEY, life_s=600, kid=KID, who=None, **claims):
    """The header of somebody's token; without `who`, of somebody whom nobody else is."""
    signer = TokenSigner(kind, key=key, kid=kid)
    token = signer.sign(who or uuid.uuid4(), now=utc_now(), ttl=timedelta(seconds=life_s), claims=claims)
    return {"authorization": f"Bearer {token}"}


def beacon_bearer(who=None):
    return bearer(BEACON_TOKEN, BEACON_KEY, who=who)


def jwks(key):
    numbers = key.public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(n.to_bytes(32)).rstrip(b"=").decode() for n in (numbers.x, numbers.y))
    return {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KID, "x": x, "y": y}]}


def echo(service, keys=None):
    """A service that tells what it got. keys: by path, the key that it shows there; may be changed while it runs."""
    keys = keys or {"/.well-known/jwks.json": PERSON_KEY, "/beacon/jwks.json": BEACON_KEY}

    async def answer(request):
        if request.path in keys:
            return web.json_response(jwks(keys[request.path]))
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        return web.json_response(
            {"service": service, "path": request.raw_path, "headers": headers, "length": len(body)}
        )

    app = web.Application(client_max_size=2**21)
    app.router.add_route("*", "/{path:.*}", answer)
    return TestServer(app)


@asynccontextmanager
async def echoes():
    """The addresses of four echoing services."""
    async with AsyncExitStack() as running:
        servers = {name: await running.enter_async_context(echo(name)) for name in SERVICES}
        yield {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}


@asynccontextmanager
async def an_edge(folder, upstreams, **more):
    """A client of a running edge."""
    edge = Edge(**{"port": free_port(), "admin_port": free_port(), "upstreams": upstreams, **more})
    envoy = LocalEnvoy(folder=folder, log=folder / "envoy.log", edge=edge)
    envoy.start()
    try:
        async with aiohttp.ClientSession() as session:

            def send(path, method="GET", **options):
                url = yarl.URL(f"http://127.0.0.1:{edge.port}{path}", encoded=True)
                return session.request(method, url, **options)

            yield send
    finally:
        envoy.stop()


@asynccontextmanager
async def an_open_edge(folder, upstreams, **more):
    """A client of an edge that has the keys of both issuers."""
    async with an_edge(folder, upstreams, **more) as send:

        async def keys_are_loaded():
            async with (
                send("/auth/me", headers=bearer()) as person,
                send("/beacon/proofs", headers=beacon_bearer()) as beacon,
            ):
                return person.status == beacon.status == 200

        await until(keys_are_loaded)
        yield send


async def problem(response):
    assert response.content_type == "application/problem+json"
    body = await response.json(content_type=None)
    assert body["status"] == response.status
    assert body["title"] == TITLES[body["code"]]
    assert body["type"] == f"urn:rollcall:problem:{body['code']}"
    return body
