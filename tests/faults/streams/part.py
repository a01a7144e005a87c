"""One process of a producer or of a consumer, for faults: `python -m tests.faults.streams.part <part> <json>`.

die_at: a point at which it kills itself, as a crash there would.
"""

import asyncio
import json
import os
import signal
import sys
from datetime import timedelta
from uuid import UUID

import grpc

import streams.seal
from contracts.rpc.streams.api.v1 import streams_pb2_grpc
from infra.postgres import create_pool
from streams.append import RedisStreamWriter
from streams.consumer import OrderedConsumer, OrderedSink
from streams.entries import NOTHING
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from streams.outbox import Outbox
from streams.reading import RedisStreamReader
from streams.redis_client import writer_client
from streams.relay import Relay
from streams.seal import PostgresLedger
from tests.faults.streams.copy import Copy
from tests.streams_builders import SOURCE, RoomPainted, an_event

SHARDS = 2


def die(*_arguments, **_names):
    os.kill(os.getpid(), signal.SIGKILL)


def stop_here(*_arguments, **_names):
    os.kill(os.getpid(), signal.SIGSTOP)


def after(owner, name, deed, *, only_with=lambda result, arguments: True):
    """Do `deed` each time the method has done its work."""
    method = getattr(owner, name)

    async def replaced(*arguments, **names):
        result = await method(*arguments, **names)
        if only_with(result, arguments):
            deed()
        return result

    setattr(owner, name, replaced)


def before(owner, name, deed):
    """Do `deed` each time the method is about to begin."""
    method = getattr(owner, name)

    async def replaced(*arguments, **names):
        deed(*arguments)
        return await method(*arguments, **names)

    setattr(owner, name, replaced)


class PoisonError(Exception):
    """What a handler raises that cannot apply an event."""


def choke(_copy, _connection, event):
    if event.data["colour"] == "poison":
        raise PoisonError


def divide(*_arguments):
    raise ZeroDivisionError


def read_from_the_beginning():
    """Let the stream's reader begin anew each time, as one would that had forgotten its place."""
    read = RedisStreamReader.read

    async def from_the_beginning(self, _after):
        return await read(self, NOTHING)

    RedisStreamReader.read = from_the_beginning


POINTS = {
    None: lambda: None,
    "seal": lambda: setattr(streams.seal, "seal_after", die),
    "sealed": lambda: after(PostgresLedger, "entries_after", die, only_with=lambda entries, _: entries),
    "appended": lambda: after(RedisStreamWriter, "append", die, only_with=lambda _, arguments: arguments[2]),
    "stop before append": lambda: after(
        PostgresLedger, "entries_after", stop_here, only_with=lambda entries, _: entries
    ),
    "read": lambda: before(OrderedSink, "apply", die),
    "transaction": lambda: after(Copy, "on_painted", die),
    "stop in transaction": lambda: before(Copy, "on_painted", stop_here),
    "stop before transaction": lambda: before(OrderedSink, "apply", stop_here),
    "committed": lambda: after(OrderedSink, "apply", die),
    "written": lambda: after(Outbox, "add", die),
    "read again": read_from_the_beginning,
    "poison": lambda: before(Copy, "on_painted", choke),
    "bug": lambda: before(Copy, "on_painted", divide),
}


async def relay(stop, *, database, redis, port):
    """A producer's relay and the door to its log."""
    async with create_pool(database, name="relay", transaction_ms=10_000) as pool, writer_client(redis) as client:
        server = grpc.aio.server()
        streams_pb2_grpc.add_EventLogServiceServicer_to_server(EventLogServicer(PostgresEventLog(pool)), server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await Relay(source=SOURCE, pool=pool, redis=client, shards=range(SHARDS)).run(stop)
        await server.stop(0)


async def writer(stop, *, database, redis, port, school):
    """A door of the producer: one change, its event in the same transaction."""
    async with create_pool(database, name="writer") as pool, pool.acquire() as connection, connection.transaction():
        await Outbox(SHARDS).add(connection, an_event(school=UUID(school)))


async def consumer(stop, *, database, redis, port, owner, lease_s=2, pause_s=0.0):
    """A consumer's replica. pause_s: how long its handler takes in shard 0."""
    async with (
        create_pool(database, name=owner, transaction_ms=10_000) as pool,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        copy = Copy(pause_s)
        await OrderedConsumer(
            name="attendance.copy",
            source=SOURCE,
            owner=owner,
            shards=range(SHARDS),
            pool=pool,
            redis_url=redis,
            log=GrpcEventLog(channel),
            handlers={RoomPainted.type: copy.on_painted},
            together=copy.on_all,
            reset=copy.reset,
            lease=timedelta(seconds=lease_s),
        ).run(stop)


async def main(part, *, die_at=None, **settings):
    POINTS[die_at]()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await {"relay": relay, "writer": writer, "consumer": consumer}[part](stop, **settings)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], **json.loads(sys.argv[2])))
