"""A stream of events begins like any answer, and ends when nobody listens, nobody may, or the door closes."""

import json
import socket
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import ClientSession

from contracts.problems import NotFoundError
from infra import http_server
from infra.http_events import RETRY_MS, StreamLimits
from infra.tokens import LEEWAY
from tests.integration.infra.doors import NOW, Door, bearer, client_of, serving
from tests.integration.infra.test_http_server import problem
from tests.waiting import until

NEVER_S = 60
QUIET = StreamLimits(heartbeat_s=NEVER_S, look_s=NEVER_S)
WATCHFUL = StreamLimits(heartbeat_s=NEVER_S, look_s=0.01)
FIRST = b'id: a1\nevent: room\ndata: {"name":"None"}\n\n'
SESSION = UUID("0198f3b2-7c1d-7d7e-9a52-3f2f0c9d8e11")


@pytest.fixture
async def door():
    return Door()


@asynccontextmanager
async def reading(client, path="/stream", **more):
    """A reader who has heard the first event."""
    async with client.get(path, **more) as response:
        assert RETRY_MS[0] <= await retry_ms(response) <= RETRY_MS[1]
        assert await response.content.readexactly(len(FIRST)) == FIRST
        yield response


async def retry_ms(response):
    return int((await response.content.readuntil(b"\n\n")).decode().removeprefix("retry: "))


def end(reason):
    return f'event: end\ndata: {{"reason":"{reason}"}}\n\n'.encode()


async def test_events_are_sent_as_they_come(door):
    async with client_of(door, stream_limits=QUIET) as client, reading(client) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        door.readers[0].put_nowait("line\nend")
        assert await response.content.readuntil(b"\n\n") == b'event: room\ndata: {"name":"line\\nend"}\n\n'

        door.readers[0].put_nowait(None)

        assert await response.read() == end("done")
        assert door.readers == []


async def test_readers_that_are_cut_off_together_come_back_apart(door):
    async with client_of(door, stream_limits=QUIET) as client:
        found = set()
        for _ in range(4):
            async with client.get("/stream") as response:
                found.add(await retry_ms(response))

    assert len(found) > 1


async def test_a_reader_says_what_it_heard_last(door):
    async with client_of(door) as client:
        async with client.get("/stream", headers={"Last-Event-ID": "a/1.2"}) as response:
            assert json.loads((await response.content.readuntil(b"}")).partition(b"data: ")[2]) == {"name": "a/1.2"}
        async with reading(client, headers={"Last-Event-ID": ""}):
            pass


@pytest.mark.parametrize("said", ["x" * 201, "a b", "é"])
async def test_what_no_door_gave_out_is_refused(said, door):
    async with client_of(door) as client:
        response = await client.get("/stream", headers={"Last-Event-ID": said})

        assert await problem(response) == (400, "malformed_header")
        assert door.readers == []


async def test_a_stream_that_cannot_begin_is_a_problem(door, monkeypatch):
    monkeypatch.setattr(http_server, "REQUEST_LIMIT_S", 0.05)
    door.goes_on.set()
    async with client_of(door) as client:
        assert await problem(await client.get("/stream")) == (503, "database_down")
        assert await problem(await client.get("/mine")) == (401, "token_missing")


async def test_a_stream_takes_longer_than_a_request_and_is_none_in_flight(door, monkeypatch):
    monkeypatch.setattr(http_server, "REQUEST_LIMIT_S", 0.05)
    async with client_of(door, stream_limits=QUIET, max_in_flight=1) as client, reading(client) as response:
        assert await problem(await client.get("/slow")) == (504, "deadline_exceeded")

        door.readers[0].put_nowait("late")

        assert await response.content.readuntil(b"\n\n") == b'event: room\ndata: {"name":"late"}\n\n'


async def test_a_quiet_stream_shows_that_it_lives(door):
    limits = StreamLimits(heartbeat_s=0.01, look_s=NEVER_S)
    async with client_of(door, stream_limits=limits) as client, reading(client) as response:
        assert await response.content.readexactly(6) == b":\n\n" * 2


@pytest.mark.parametrize(
    ("failure", "reason"), [(NotFoundError("not_found"), "not_found"), (ZeroDivisionError("secret"), "internal")]
)
async def test_what_goes_wrong_later_ends_the_stream_and_says_so(failure, reason, door):
    async with client_of(door, stream_limits=QUIET) as client, reading(client) as response:
        door.readers[0].put_nowait(failure)

        assert await response.read() == end(reason)


async def test_a_stream_ends_with_its_token(door):
    async with (
        client_of(door, stream_limits=WATCHFUL) as client,
        reading(client, "/mine", headers=bearer(ttl_s=600)) as response,
    ):
        door.now = NOW + timedelta(seconds=600) + LEEWAY
        door.readers[0].put_nowait("the last")
        assert b"the last" in await response.content.readuntil(b"\n\n")

        door.now += timedelta(microseconds=1)

        assert await response.read() == end("token_expired")
        assert door.readers == []


async def test_nothing_is_told_once_a_token_is_revoked(door):
    headers = bearer(sid=str(SESSION))
    async with client_of(door, stream_limits=QUIET) as client, reading(client, "/mine", headers=headers) as response:
        door.revoked.sessions[SESSION] = NOW
        door.readers[0].put_nowait("secret")

        assert await response.read() == end("token_revoked")


async def test_a_reader_who_left_is_forgotten(door):
    async with client_of(door, stream_limits=WATCHFUL) as client:
        async with reading(client):
            assert len(door.readers) == 1

        await until(lambda: door.readers == [])


async def test_a_reader_who_takes_nothing_is_dropped(door):
    limits = StreamLimits(heartbeat_s=NEVER_S, look_s=NEVER_S, stall_s=0.05)
    async with serving(door, stream_limits=limits) as port:
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: door.readers)
            for _ in range(200):
                door.readers[0].put_nowait("x" * 65_536)

            await until(lambda: door.readers == [])


async def test_past_the_limit_of_open_streams_others_are_told_to_come_back(door):
    async with client_of(door, stream_limits=StreamLimits(most_count=2, look_s=0.01)) as client:
        async with reading(client), reading(client):
            refused = await client.get("/stream")

            assert await problem(refused) == (503, "overloaded")
            assert refused.headers["Retry-After"] == "1"
            assert (await client.get("/open")).status == 200
        await until(lambda: door.readers == [])
        async with reading(client):
            pass


async def test_a_persons_oldest_stream_ends_when_there_are_too_many(door):
    limits = StreamLimits(most_per_person=2, look_s=NEVER_S)
    async with client_of(door, stream_limits=limits) as client:
        mine = {"headers": bearer()}
        async with (
            reading(client, "/mine", **mine) as oldest,
            reading(client, "/mine", **mine),
            reading(client),
            reading(client),
            reading(client),
            reading(client, "/mine", **mine),
        ):
            assert await oldest.read() == end("replaced")
            assert len(door.readers) == 5


async def test_a_door_that_closes_waits_for_no_reader(door):
    async with ClientSession() as client:
        async with serving(door, stream_limits=QUIET) as port:
            response = await client.get(f"http://127.0.0.1:{port}/stream")
            closing_at_s = time.monotonic()

        assert time.monotonic() - closing_at_s < http_server.DRAIN_S / 2
        assert (await response.read()).endswith(FIRST + end("stopping"))
