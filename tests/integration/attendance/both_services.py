"""Academics as it runs, behind its gRPC door and with its relay, and attendance's consumer of it."""

from contextlib import asynccontextmanager

import asyncpg
import grpc.aio
import pytest

from academics_svc.grpc_api import CommandApi, QueryApi
from attendance_svc.consumers import ACADEMICS, COPY, AcademicsDoor
from attendance_svc.store import academics_history, closing, sheets
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as academics_rpc
from contracts.rpc.streams.api.v1 import streams_pb2_grpc as streams_rpc
from infra.postgres import create_pool
from streams import schema
from streams.consumer import OrderedConsumer
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from streams.redis_client import writer_client
from streams.relay import Relay
from tests.integration.academics import conftest as academics
from tests.streams_running import running

SHARDS = 4


class Switch(grpc.aio.ServerInterceptor):
    """Lets calls through, and notes them, unless academics is to be away."""

    def __init__(self):
        self.is_off, self.called = False, []

    async def intercept_service(self, continuation, details):
        self.called.append(details.method.rpartition("/")[2])
        if not self.is_off:
            return await continuation(details)

        async def away(_request, context):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")

        return grpc.unary_unary_rpc_method_handler(away)


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
async def pool(databases):
    """Attendance's database."""
    async with create_pool((await databases("attendance")).app_url, name="test", transaction_ms=10_000) as made:
        yield made


@pytest.fixture
async def source(world):
    """Academics' pool for its log."""
    owner = await asyncpg.connect(world._url.migrate_url)
    await schema.prepare(owner, source=ACADEMICS, shard_count=SHARDS)
    await owner.close()
    async with create_pool(world._url.app_url, name="relay", transaction_ms=10_000) as made:
        yield made


@pytest.fixture
def relaying(source, redis_url):
    """Runs academics' relay."""

    @asynccontextmanager
    async def start():
        async with (
            writer_client(redis_url) as stream,
            running(Relay(source=ACADEMICS, pool=source, redis=stream, shards=range(SHARDS))),
        ):
            yield

    return start


@pytest.fixture
async def channel(world, source, switch):
    """Academics' gRPC door."""
    server = grpc.aio.server(interceptors=[switch, academics.Problems()])
    academics_rpc.add_AcademicsQueryServiceServicer_to_server(QueryApi(pool=world.pool, now=world.clock), server)
    commands = CommandApi(open_books=world.desk.open_books, now=world.clock)
    academics_rpc.add_AcademicsCommandServiceServicer_to_server(commands, server)
    streams_rpc.add_EventLogServiceServicer_to_server(EventLogServicer(PostgresEventLog(source)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


@asynccontextmanager
async def consuming_into(pool, channel, redis_url):
    """Run attendance's consumer, with what `wiring` gives it."""
    door = AcademicsDoor(copy=academics_history, timers=closing, sheets=sheets)
    consumer = OrderedConsumer(
        name=COPY,
        source=ACADEMICS,
        owner="a",
        shards=range(SHARDS),
        pool=pool,
        redis_url=redis_url,
        log=GrpcEventLog(channel),
        handlers=door.handlers(),
        together=door.on_events,
        reset=door.forget_shard,
    )
    async with running(consumer):
        yield
