"""A caller passes on its ids and its deadline, repeats queries and never commands, and names who is down."""

import asyncio
import time
from functools import partial

import pytest
from structlog.testing import capture_logs

from contracts.problems import DeadlineError, NotFoundError, UnavailableError
from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as rpc
from infra import grpc_client
from infra.certs import make_authority
from infra.clock import utc_now
from infra.grpc_client import CALLS_AT_ONCE, COMMAND_TIMEOUT_S, QUERY_TIMEOUT_S, Peer, connect
from infra.local.ports import free_port
from infra.renewing_channel import RECHECK_S, RenewingChannel
from infra.request_context import serving as request
from tests.integration.infra.calls import Academics, Commands, far_away, identity_of, serving
from tests.waiting import until

PEER = Peer("academics")


@pytest.fixture
async def academics():
    return Academics()


@pytest.fixture
async def commands():
    return Commands()


@pytest.fixture
async def channel(academics, commands, tmp_path):
    async with (
        serving(identity_of(tmp_path / "server", "academics"), academics, commands) as port,
        connect(f"127.0.0.1:{port}", callee="academics", identity=identity_of(tmp_path, "attendance")) as made,
    ):
        await made.channel_ready()
        yield made


async def ask(channel, course_id="c", **more):
    stub = rpc.AcademicsQueryServiceStub(channel)
    return await PEER.ask(stub.GetCourse, pb.GetCourseRequest(course_id=course_id), **more)


async def command(channel):
    stub = rpc.AcademicsCommandServiceStub(channel)
    return await PEER.ask(stub.CloseExpiredCourses, pb.CloseExpiredCoursesRequest(), timeout_s=COMMAND_TIMEOUT_S)


async def test_a_problem_arrives_as_it_was_raised(channel):
    with pytest.raises(NotFoundError, match="not_found"):
        await ask(channel, "missing")


async def test_a_bug_of_the_callee_is_an_outage(channel):
    with pytest.raises(UnavailableError) as caught:
        await ask(channel, "bug")

    assert caught.value.code == "academics_down"


async def test_a_query_is_repeated_twice_while_its_callee_is_unavailable(channel, academics):
    assert (await ask(channel, "flaky", timeout_s=5)).course.id == "flaky"

    assert len(academics.entered) == 3


async def test_a_burst_of_questions_waits_here_and_not_until_its_deadline_over_there():
    peer, under_way, finish = Peer("academics"), [], asyncio.Event()

    async def call(request, *, timeout, metadata):  # noqa: ASYNC109 -- as the stubs have it
        under_way.append(timeout)
        await finish.wait()
        return request

    questions = [asyncio.ensure_future(peer.ask(call, pb.GetCourseRequest())) for _ in range(CALLS_AT_ONCE + 5)]
    await until(lambda: under_way)
    at_once = len(under_way)
    finish.set()
    await asyncio.gather(*questions)

    assert at_once == CALLS_AT_ONCE
    assert under_way == [QUERY_TIMEOUT_S] * (CALLS_AT_ONCE + 5)


async def test_a_query_is_given_up_after_three_tries(channel, academics):
    with pytest.raises(UnavailableError) as caught:
        await ask(channel, "down", timeout_s=5)

    assert caught.value.code == "academics_down"
    assert len(academics.entered) == 3


async def test_a_command_is_never_repeated(channel, commands):
    with pytest.raises(UnavailableError):
        await command(channel)

    assert commands.count == 1


async def test_what_a_callee_refuses_is_not_repeated(channel, academics):
    with pytest.raises(NotFoundError):
        await ask(channel, "missing", timeout_s=5)

    assert len(academics.entered) == 1


async def test_a_callee_that_stays_down_is_not_hammered(channel, academics):
    answers = [await asyncio.gather(ask(channel, "down", timeout_s=5), return_exceptions=True) for _ in range(60)]

    assert len(answers) == 60
    assert len(academics.entered) <= 60 + 10


async def test_ids_are_passed_on(channel, academics):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with request(request_id="abcdefgh", traceparent=trace, limit_s=None):
        await ask(channel, timeout_s=5)

    [(context, _)] = academics.entered
    assert (context.request_id, context.traceparent) == ("abcdefgh", trace)


@pytest.mark.parametrize(("limit_s", "own_s", "low_s", "high_s"), [(None, 5, 4, 5.1), (60, 5, 4, 5.1), (7, 9, 3, 6.99)])
async def test_a_callee_gets_no_more_time_than_the_caller_has(limit_s, own_s, low_s, high_s, channel, academics):
    with request(request_id=None, traceparent=None, limit_s=limit_s):
        await ask(channel, timeout_s=own_s)

    [(_, remaining_s)] = academics.entered
    assert low_s < remaining_s <= high_s


async def test_without_time_nothing_is_asked(channel, academics):
    with request(request_id=None, traceparent=None, limit_s=0.055), pytest.raises(DeadlineError):
        await ask(channel)

    assert academics.entered == []


async def test_an_outage_is_told_of_once_with_its_cause_and_so_is_its_end(channel):
    peer, stub = Peer("academics"), rpc.AcademicsQueryServiceStub(channel)
    answers = []

    with capture_logs() as logs:
        for course_id in ("c", "down", "down", "missing", "bug"):
            [answer] = await asyncio.gather(
                peer.ask(stub.GetCourse, pb.GetCourseRequest(course_id=course_id), timeout_s=5), return_exceptions=True
            )
            answers.append(answer)

    assert [isinstance(answer, UnavailableError) for answer in answers] == [False, True, True, False, True]
    of_peer = [line for line in logs if line["action"].startswith("peer")]
    assert [(line["action"], line.get("status"), line.get("error")) for line in of_peer] == [
        ("peer_down", "UNAVAILABLE", "database_down"),
        ("peer_up", None, None),
        ("peer_down", "INTERNAL", "internal"),
    ]


async def test_a_callee_that_hangs_is_waited_for_briefly(channel):
    begun_s = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        await ask(channel, "hangs")

    assert caught.value.code == "academics_down"
    assert time.monotonic() - begun_s < QUERY_TIMEOUT_S + 3


async def test_a_callee_that_is_not_there_is_down_and_comes_back(academics, tmp_path):
    port, identity = free_port(), identity_of(tmp_path, "attendance")
    async with connect(f"127.0.0.1:{port}", callee="academics", identity=identity) as channel:
        with pytest.raises(UnavailableError) as caught:
            await ask(channel)
        assert caught.value.code == "academics_down"

        async with serving(identity_of(tmp_path / "server", "academics"), academics, port=port):
            async with asyncio.timeout(5):
                await channel.channel_ready()
            assert await ask(channel, timeout_s=5)


@pytest.mark.slow
async def test_a_callee_to_whom_connecting_takes_long_is_not_down(academics, tmp_path):
    async with (
        serving(identity_of(tmp_path / "server", "academics"), academics) as here,
        far_away(here, 0.05) as port,
        connect(f"127.0.0.1:{port}", callee="academics", identity=identity_of(tmp_path, "attendance")) as channel,
    ):
        assert await ask(channel, timeout_s=COMMAND_TIMEOUT_S)


# Certificates


class Stopwatch:
    def __init__(self):
        self.at_s = 0.0

    def __call__(self):
        return self.at_s


async def test_a_channel_follows_its_renewed_certificate_and_finishes_its_calls(academics, tmp_path, monkeypatch):
    watch = Stopwatch()
    monkeypatch.setattr(grpc_client, "RenewingChannel", partial(RenewingChannel, monotonic=watch))
    server, client = tmp_path / "server", tmp_path / "client"
    async with (
        serving(identity_of(server, "academics"), academics) as port,
        connect(f"127.0.0.1:{port}", callee="academics", identity=identity_of(client, "attendance")) as channel,
    ):
        running = asyncio.create_task(ask(channel, "hangs", timeout_s=10))
        await until(lambda: academics.entered)
        authority = make_authority(utc_now())
        identity_of(server, "academics", authority=authority)
        identity_of(client, "attendance", authority=authority)
        before = channel.current()

        watch.at_s += RECHECK_S
        assert await ask(channel, timeout_s=5)

        assert channel.current() is not before
        academics.goes_on.set()
        assert (await running).course.id == "hangs"


async def test_a_channel_stays_while_its_certificate_does(academics, tmp_path, monkeypatch):
    watch = Stopwatch()
    monkeypatch.setattr(grpc_client, "RenewingChannel", partial(RenewingChannel, monotonic=watch))
    identity = identity_of(tmp_path / "client", "attendance")
    async with (
        serving(identity_of(tmp_path / "server", "academics"), academics) as port,
        connect(f"127.0.0.1:{port}", callee="academics", identity=identity) as channel,
    ):
        before = channel.current()
        for _ in range(3):
            watch.at_s += RECHECK_S
            assert await ask(channel, timeout_s=5)

        assert channel.current() is before
