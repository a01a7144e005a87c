"""A gRPC door lets in the services it knows, for the calls they may make, with the time that the calls need."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from contracts.rpc.academics.api.v1 import academics_pb2 as pb
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as rpc
from infra.certs import make_authority
from infra.clock import utc_now
from infra.grpc_client import connect
from tests.integration.infra.calls import ODD_LEAVES, Academics, files, identity_of, serving
from tests.waiting import until

Code = grpc.StatusCode


@pytest.fixture
async def academics():
    return Academics()


@pytest.fixture
async def port(academics, tmp_path):
    async with serving(identity_of(tmp_path / "server", "academics"), academics) as bound:
        yield bound


@pytest.fixture
def attendance(tmp_path):
    return identity_of(tmp_path, "attendance")


async def call(port, identity, course_id="c", *, timeout_s=5, metadata=()):
    async with connect(f"127.0.0.1:{port}", callee="academics", identity=identity) as channel:
        stub = rpc.AcademicsQueryServiceStub(channel)
        return await stub.GetCourse(pb.GetCourseRequest(course_id=course_id), timeout=timeout_s, metadata=metadata)


async def refusal(port, identity, course_id="c", **more):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(port, identity, course_id, **more)
    return caught.value.code(), caught.value.details()


# Who calls


async def test_a_service_that_may_call_is_answered(port, attendance):
    assert (await call(port, attendance)).course.id == "c"


@pytest.mark.parametrize(("leaf", "status"), ODD_LEAVES.values(), ids=ODD_LEAVES)
async def test_a_certificate_that_is_not_a_callers_is_refused(leaf, status, port, academics, tmp_path):
    found, details = await refusal(port, files(tmp_path, leaf), timeout_s=5)

    assert found is status
    if status is not Code.UNAVAILABLE:
        assert details in ("peer_unauthenticated", "peer_forbidden")
    assert academics.entered == []


async def test_a_caller_without_a_certificate_is_refused(port, academics, attendance):
    for credentials in (grpc.ssl_channel_credentials(attendance.ca_file.read_bytes()), None):
        options = [("grpc.ssl_target_name_override", "academics")]
        address = f"127.0.0.1:{port}"
        channel = (
            grpc.aio.secure_channel(address, credentials, options)
            if credentials
            else grpc.aio.insecure_channel(address)
        )
        async with channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rpc.AcademicsQueryServiceStub(channel).GetCourse(pb.GetCourseRequest(), timeout=5)
        assert caught.value.code() is Code.UNAVAILABLE
    assert academics.entered == []


async def test_a_caller_does_not_talk_to_a_server_of_another_name(academics, attendance, tmp_path):
    async with serving(identity_of(tmp_path / "server", "beacon"), academics) as port:
        assert (await refusal(port, attendance, timeout_s=5))[0] is Code.UNAVAILABLE


async def test_names_in_the_metadata_count_for_nothing(port, tmp_path):
    beacon = identity_of(tmp_path, "beacon")
    claims = (("x-forwarded-client-cert", "URI=spiffe://rollcall.dev/svc/attendance"), ("x-service", "attendance"))

    assert await refusal(port, beacon, metadata=claims) == (Code.PERMISSION_DENIED, "peer_forbidden")


async def test_a_server_follows_its_renewed_certificate(academics, tmp_path):
    identity = identity_of(tmp_path / "server", "academics")
    async with serving(identity, academics) as port:
        assert await call(port, identity_of(tmp_path / "a", "attendance"))

        renewed = make_authority(utc_now())
        identity_of(tmp_path / "server", "academics", authority=renewed)

        assert await call(port, identity_of(tmp_path / "b", "attendance", authority=renewed))
        old = identity_of(tmp_path / "a", "attendance")
        assert (await refusal(port, old, timeout_s=5))[0] is Code.UNAVAILABLE


# Time


async def test_a_call_without_a_deadline_is_refused(port, attendance, academics):
    assert await refusal(port, attendance, timeout_s=None) == (Code.INVALID_ARGUMENT, "deadline_missing")
    assert academics.entered == []


@pytest.mark.parametrize("timeout_s", [0, 0.000_001, 0.049])
async def test_a_call_that_could_not_finish_is_not_begun(timeout_s, port, attendance, academics):
    assert (await refusal(port, attendance, timeout_s=timeout_s))[0] is Code.DEADLINE_EXCEEDED
    assert academics.entered == []


async def test_a_call_ends_with_its_deadline(port, attendance):
    assert (await refusal(port, attendance, "hangs", timeout_s=0.3))[0] is Code.DEADLINE_EXCEEDED


async def test_a_method_that_gives_up_waiting_says_so(port, attendance):
    assert await refusal(port, attendance, "late") == (Code.DEADLINE_EXCEEDED, "deadline_exceeded")


async def test_a_method_knows_how_long_it_has(port, attendance, academics):
    await call(port, attendance, timeout_s=3)
    await call(port, attendance, timeout_s=1000)

    short, capped = (context.remaining_s() for context, _ in academics.entered)
    assert 1 < short <= 3
    assert 25 < capped <= 30


# Problems


@pytest.mark.parametrize(
    ("course_id", "status", "code"),
    [
        ("missing", Code.NOT_FOUND, "not_found"),
        ("down", Code.UNAVAILABLE, "database_down"),
        ("bug", Code.INTERNAL, "internal"),
    ],
)
async def test_a_problem_is_told_by_its_code_and_without_detail(course_id, status, code, port, attendance):
    assert await refusal(port, attendance, course_id) == (status, code)


async def test_a_call_that_nobody_serves_is_unimplemented(port, attendance):
    async with connect(f"127.0.0.1:{port}", callee="academics", identity=attendance) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.AcademicsQueryServiceStub(channel).ValidateTeacherCourse(
                pb.ValidateTeacherCourseRequest(), timeout=5
            )

    assert caught.value.code() is Code.UNIMPLEMENTED


async def test_a_message_too_large_reaches_no_method(port, attendance, academics):
    assert (await refusal(port, attendance, "x" * (1 << 20)))[0] is Code.RESOURCE_EXHAUSTED
    assert academics.entered == []


async def test_bytes_that_are_no_message_reach_no_method(port, attendance, academics):
    async with connect(f"127.0.0.1:{port}", callee="academics", identity=attendance) as channel:
        raw = channel.unary_unary("/academics.api.v1.AcademicsQueryService/GetCourse")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"\xff\xff\xff", timeout=5)

    assert (caught.value.code(), caught.value.details()) == (Code.INVALID_ARGUMENT, "malformed_message")
    assert academics.entered == []


async def test_bytes_of_a_stranger_are_not_read(port, tmp_path):
    identity = identity_of(tmp_path, "beacon")
    async with connect(f"127.0.0.1:{port}", callee="academics", identity=identity) as channel:
        raw = channel.unary_unary("/academics.api.v1.AcademicsQueryService/GetCourse")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"\xff\xff\xff", timeout=5)

    assert caught.value.code() is Code.PERMISSION_DENIED


async def test_past_the_limit_of_calls_others_are_told_so(academics, attendance, tmp_path):
    async with serving(identity_of(tmp_path / "server", "academics"), academics, max_calls=1) as port:
        waiting = asyncio.create_task(call(port, attendance, "hangs"))
        await until(lambda: academics.entered)

        assert (await refusal(port, attendance))[0] is Code.RESOURCE_EXHAUSTED

        academics.goes_on.set()
        assert await waiting


async def test_ids_travel_with_the_call_and_bad_ones_are_made_anew(port, attendance, academics):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await call(port, attendance, metadata=(("x-request-id", "abcdefgh"), ("traceparent", trace)))
    await call(port, attendance, metadata=(("x-request-id", "a b"), ("traceparent", "x"), ("blob-bin", b"\xff")))

    (first, _), (second, _) = academics.entered
    assert (first.request_id, first.traceparent) == ("abcdefgh", trace)
    assert len(second.request_id) == 36
    assert second.traceparent.startswith("00-")


async def test_health_is_told_to_every_service_and_to_no_stranger(port, tmp_path):
    async def check(identity):
        async with connect(f"127.0.0.1:{port}", callee="academics", identity=identity) as channel:
            return await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)

    assert (await check(identity_of(tmp_path, "beacon"))).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(files(tmp_path, ODD_LEAVES["no URI"][0]))
    assert caught.value.code() is Code.UNAUTHENTICATED
