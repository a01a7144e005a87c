"""Parts of streams, running for the length of a block."""

import asyncio
from contextlib import asynccontextmanager

import grpc

from contracts.problems import ProblemError
from contracts.rpc.streams.api.v1 import streams_pb2_grpc
from infra.problem_table import GRPC_STATUS
from streams.log_service import EventLogServicer


@asynccontextmanager
async def running(part):
    """Run `part` until the block is left, then stop it as SIGTERM does."""
    stop = asyncio.Event()
    task = asyncio.create_task(part.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


class Statuses(grpc.aio.ServerInterceptor):
    """Answers problems as the product's server does, without its certificates."""

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)

        async def call(request, context):
            try:
                return await handler.unary_unary(request, context)
            except ProblemError as problem:
                await context.abort(GRPC_STATUS[type(problem)], problem.code)

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


@asynccontextmanager
async def serve_log(log):
    """Serve `log` on a free port and yield a channel to it."""
    server = grpc.aio.server(interceptors=[Statuses()])
    streams_pb2_grpc.add_EventLogServiceServicer_to_server(EventLogServicer(log), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)
