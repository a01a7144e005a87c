"""identity_svc as a process: it starts, says that it is ready, and publishes what it did."""

import aiohttp
import grpc.aio
import pytest
import redis.asyncio

from contracts.rpc.identity.api.v1 import identity_pb2 as pb
from contracts.rpc.identity.api.v1 import identity_pb2_grpc as rpc
from contracts.rpc.streams.api.v1 import streams_pb2, streams_pb2_grpc
from identity_svc.__main__ import process
from identity_svc.wiring import migrate
from infra.certs import renew
from infra.process import running
from streams.names import shard_of, stream_key
from tests.waiting import until


@pytest.fixture
async def whole(settings, tmp_path, redis_url):
    """Settings of a process with everything it needs."""
    renew(tmp_path)
    made = settings.model_copy(
        update={
            "redis_url": type(settings.redis_url)(redis_url),
            "tls_ca_file": tmp_path / "ca.pem",
            "tls_cert_file": tmp_path / "identity.pem",
            "tls_key_file": tmp_path / "identity-key.pem",
        }
    )
    await migrate(made)
    return made


def channel_to(port, folder, holder):
    pem = [(folder / name).read_bytes() for name in ("ca.pem", f"{holder}-key.pem", f"{holder}.pem")]
    credentials = grpc.ssl_channel_credentials(*pem)
    options = [("grpc.ssl_target_name_override", "identity")]
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


async def test_a_started_process_is_ready_and_shows_its_keys(whole):
    async with running(process, whole) as ports, aiohttp.ClientSession() as client:
        origin = f"http://127.0.0.1:{ports['http_port']}"

        async with client.get(origin + "/ready") as answer:
            assert (answer.status, await answer.json()) == (200, {"database": True, "keys": True, "accepting": True})
        async with client.get(origin + "/.well-known/jwks.json") as answer:
            assert len((await answer.json())["keys"]) == 1


async def test_without_its_database_a_process_starts_and_is_not_ready(whole):
    absent = whole.model_copy(
        update={"database_url": type(whole.database_url)("postgresql://x:x@127.0.0.1:1/x"), "parts": {"http"}}
    )

    async with running(process, absent) as ports, aiohttp.ClientSession() as client:
        origin = f"http://127.0.0.1:{ports['http_port']}"

        async with client.get(origin + "/ready") as answer:
            assert (answer.status, await answer.json()) == (503, {"database": False, "keys": False, "accepting": True})
        async with client.get(origin + "/auth/jwks.json") as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "database_down")
        async with client.post(origin + "/auth/login", json={"email": "a@b.example", "password": "x"}) as answer:
            assert answer.status == 503


async def test_what_was_done_reaches_the_stream_and_the_log(whole, world, tmp_path, redis_url):
    person = await world.add("student")
    shard = shard_of(world.school_id, whole.shard_count)

    async with running(process, whole) as ports, redis.asyncio.Redis.from_url(redis_url) as stream:
        await until(lambda: stream.xlen(stream_key("identity", shard)))

        async with channel_to(ports["grpc_port"], tmp_path, "beacon") as channel:
            head = await streams_pb2_grpc.EventLogServiceStub(channel).Head(
                streams_pb2.HeadRequest(shard=shard), timeout=2
            )
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await rpc.IdentityQueryServiceStub(channel).Exists(pb.ExistsRequest(user_id=str(person.id)), timeout=2)
        async with channel_to(ports["grpc_port"], tmp_path, "academics") as channel:
            exists = await rpc.IdentityQueryServiceStub(channel).Exists(
                pb.ExistsRequest(user_id=str(person.id)), timeout=2
            )

    assert head.head.last.pos == 1
    assert exists.exists
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
