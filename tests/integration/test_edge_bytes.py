"""Bytes that no proper client sends to the edge: each is refused, and no service hears of it."""

import asyncio
import json
from functools import partial

import pytest
import pytest_asyncio

from infra.local.ports import free_port
from tests.integration.edges import BEACON_KEY, an_open_edge, bearer, echoes

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Tokens are made when they are sent: the cases may wait for longer than a token lives.
TOKENS = {b"<token>": bearer, b"<other>": bearer, b"<forged>": partial(bearer, key=BEACON_KEY)}
TOKEN, OTHER, FORGED = (b"Authorization: " + name + b"\r\n" for name in TOKENS)
GET = b"GET /users HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /users HTTP/1.1\r\nHost: x\r\n" + TOKEN
END = b"\r\n"

REFUSED = {
    "HTTP/1.0": (b"GET /users HTTP/1.0\r\nHost: x\r\n" + TOKEN + END, 426, "malformed_request"),
    "HTTP/0.9": (b"GET /users\r\n" + END, 426, "malformed_request"),
    "HTTP/2.0 in words": (b"GET /users HTTP/2.0\r\nHost: x\r\n" + TOKEN + END, 426, "malformed_request"),
    "no host": (b"GET /users HTTP/1.1\r\n" + TOKEN + END, 400, "malformed_request"),
    "two tokens": (GET + TOKEN + OTHER + END, 401, "token_invalid"),
    "a token twice": (GET + TOKEN + TOKEN + END, 401, "token_invalid"),
    "a good token and a forged one": (GET + TOKEN + FORGED + END, 401, "token_invalid"),
    "a forged token and a good one": (GET + FORGED + TOKEN + END, 401, "token_invalid"),
    "a token that ends with the connection": (
        GET + b"Connection: authorization\r\n" + TOKEN + END,
        401,
        "token_missing",
    ),
    "an underscore in a header": (GET + b"x_user_id: 1\r\n" + TOKEN + END, 400, "malformed_request"),
    "an encoded slash": (b"GET /auth/..%2fusers HTTP/1.1\r\nHost: x\r\n" + TOKEN + END, 400, "malformed_request"),
    "NUL in a path": (b"GET /users%00 HTTP/1.1\r\nHost: x\r\n" + TOKEN + END, 400, "malformed_request"),
    "NUL in a header": (GET + b"X-A: b\0c\r\n" + TOKEN + END, 400, "malformed_request"),
    "a fragment": (b"GET /users#/../auth HTTP/1.1\r\nHost: x\r\n" + TOKEN + END, 400, "malformed_request"),
    "parameters of a path": (b"GET /users;x HTTP/1.1\r\nHost: x\r\n" + TOKEN + END, 404, "route_unknown"),
    "a space before the colon": (GET + b"X-A : b\r\n" + TOKEN + END, 400, "malformed_request"),
    "a length and chunks": (
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + END,
        400,
        "malformed_request",
    ),
    "two lengths": (POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400, "malformed_request"),
    "a negative length": (POST + b"Content-Length: -1\r\n" + END, 400, "malformed_request"),
    "an unknown transfer coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n" + END, 400, "malformed_request"),
    "a tunnel": (b"CONNECT /users HTTP/1.1\r\nHost: x\r\n" + TOKEN + END, 400, "malformed_request"),
    "another protocol": (
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + TOKEN + END,
        400,
        "malformed_request",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port(tmp_path_factory):
    port = free_port()
    async with echoes() as upstreams, an_open_edge(tmp_path_factory.mktemp("edge"), upstreams, port=port):
        yield port


async def exchange(port, sent):
    """Return status and body of the answer to `sent`, with tokens in the place of their names."""
    for name, made in TOKENS.items():
        sent = sent.replace(name, made()["authorization"].encode())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split(b" ")[1]), json.loads(await reader.readexactly(length))
    finally:
        writer.close()


async def test_what_a_proper_client_sends_is_served(port):
    status, answer = await exchange(port, GET + TOKEN + END)

    assert (status, answer["service"]) == (200, "identity")


@pytest.mark.parametrize(("sent", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_bytes_that_no_client_sends_are_refused(port, sent, status, code):
    answered, problem = await exchange(port, sent)

    assert (answered, problem["status"], problem["code"]) == (status, status, code)
