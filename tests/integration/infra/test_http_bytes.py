"""Bytes on the wire that no proper client sends: each ends in a refusal, none in a fault."""

import asyncio

import pytest

from infra import http_parsing
from tests.integration.infra.doors import Door, bearer, serving

TOKEN = bearer()["Authorization"].encode()
HEAD = b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: " + TOKEN + b"\r\n"
GET = b"GET /open HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def door():
    return Door()


@pytest.fixture
async def port(door):
    async with serving(door) as bound:
        yield bound


async def exchange(port, sent):
    """What comes back for `sent`, until the server closes the connection or has answered once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        async with asyncio.timeout(3):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100 "):
                head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return head + await reader.readexactly(length)
    finally:
        writer.close()


REFUSED = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "an unknown method": (b"BREW /open HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "HTTP/1.0": (b"GET /open HTTP/1.0\r\nHost: x\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /open HTTP/2.0\r\nHost: x\r\n\r\n", 400),
    "HTTP/9.9": (b"GET /open HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    "a space before the colon": (GET + b"X-A : b\r\n\r\n", 400),
    "a folded header": (GET + b"X-A: b\r\n c\r\n\r\n", 400),
    "NUL in a header": (GET + b"X-A: \0\r\n\r\n", 400),
    "a header of 20,000 bytes": (GET + b"X-A: " + b"x" * 20_000 + b"\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "a length and chunks": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "a length with a sign": (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
    "a length in other digits": (HEAD + "Content-Length: \uff12\r\n\r\n{}".encode(), 400),
    "an unknown transfer coding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n{}", 400),
    "a chunk of no size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400),
    "a chunk that is longer than it says": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 400),
    "two content types": (HEAD + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 400),
    "an announced length over the limit": (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413),
    "a body that is not gzip": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
    "a coding we lack": (HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", 415),
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
async def test_bytes_that_no_client_sends_are_refused(sent, status, port, door):
    answer = await exchange(port, sent)

    assert answer.split(b" ")[1] == b"%d" % status
    assert door.entered == []
    assert not [word for word in (b"Traceback", b"site-packages", b".py") if word in answer]


async def test_http_0_9_gets_nothing_from_a_handler(port, door):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /open\r\n\r\n")

    async with asyncio.timeout(3):
        await reader.read(1)

    assert door.entered == []
    writer.close()


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 20\r\n\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_a_body_that_is_cut_off_reaches_no_handler(rest, port, door, monkeypatch, capfd):
    monkeypatch.setattr(http_parsing, "BODY_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + rest)
    writer.write_eof()

    async with asyncio.timeout(3):
        answer = await reader.read()

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert door.entered == []
    assert "bug" not in capfd.readouterr().out
    writer.close()


async def test_a_request_that_asks_to_continue_is_judged_without_its_body(port, door):
    answer = await exchange(port, HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert door.entered == []


async def test_two_requests_at_once_are_answered_in_order(port, door):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET + b"x-request-id: first-request\r\n\r\n" + GET + b"x-request-id: second-request\r\n\r\n")

    async with asyncio.timeout(3):
        first = await reader.readuntil(b"first-request")
        second = await reader.readuntil(b"second-request")

    assert (b"second-request" not in first, first[:12]) == (True, b"HTTP/1.1 200")
    assert b"HTTP/1.1 200" in second
    writer.close()
