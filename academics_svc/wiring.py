"""The one place where academics_svc chooses its real parts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import grpc.aio

from academics_svc.clients import GrpcBeaconDirectory, GrpcPeople
from academics_svc.domain import CalendarFeeds
from academics_svc.grpc_api import CommandApi, QueryApi
from academics_svc.http_api.desk import Desk
from academics_svc.http_api.routes import routes
from academics_svc.ports import OpenBooks
from academics_svc.settings import Settings
from academics_svc.store.books import open_books
from contracts.rpc.academics.api.v1.academics_pb2_grpc import (
    add_AcademicsCommandServiceServicer_to_server,
    add_AcademicsQueryServiceServicer_to_server,
)
from contracts.rpc.streams.api.v1.streams_pb2_grpc import add_EventLogServiceServicer_to_server
from infra.clock import Clock, utc_now
from infra.grpc_client import connect
from infra.grpc_server import Register
from infra.http_server import Doorkeeper
from infra.identity_news import REMEMBERED, IdentityNews
from infra.jwks import RemoteKeys
from infra.postgres import BACKGROUND_TRANSACTION_MS, Pool, create_pool
from infra.process import Parts, identity_of
from infra.secret_box import derived_key
from infra.tokens import BEACON_TOKEN, USER_TOKEN, TokenVerifier
from streams.broadcast import BroadcastConsumer
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from streams.outbox import Outbox
from streams.redis_client import writer_client
from streams.relay import Relay
from streams.setup import is_set_up, set_up

SOURCE, IDENTITY = "academics", "identity"


@asynccontextmanager
async def build(settings: Settings, now: Clock = utc_now) -> AsyncIterator[Parts]:
    """Connect academics_svc's parts; leaving closes them."""
    url, shards = settings.database_url.get_secret_value(), settings.shard_count
    redis = writer_client(settings.redis_url.get_secret_value())
    identity = connect(settings.identity_grpc, callee="identity", identity=identity_of(settings))
    beacon = connect(settings.beacon_grpc, callee="beacon", identity=identity_of(settings))
    async with (
        create_pool(url, name="academics_svc", size=settings.database_pool_count) as pool,
        create_pool(url, name="academics_svc jobs", transaction_ms=BACKGROUND_TRANSACTION_MS) as background,
        redis,
        identity,
        beacon,
    ):
        relay = Relay(source=SOURCE, pool=background, redis=redis, shards=range(shards))
        books = partial(open_books, pool, Outbox(shards), relay.poke)
        keys, beacon_keys = RemoteKeys(settings.identity_jwks_url), RemoteKeys(settings.beacon_jwks_url)
        news = IdentityNews(keys, now=now)
        desk = Desk(
            pool=pool,
            open_books=books,
            people=GrpcPeople(identity),
            beacons=GrpcBeaconDirectory(beacon),
            now=now,
            shard_count=shards,
            feeds=CalendarFeeds(derived_key(settings.key_file, purpose="academics.calendar-url.v1")),
            origin=settings.public_origin,
        )
        yield Parts(
            routes=routes(desk),
            doorkeeper=Doorkeeper(
                people=TokenVerifier(USER_TOKEN, keys, now=now, revoked=news.revoked),
                beacons=TokenVerifier(BEACON_TOKEN, beacon_keys, now=now),
            ),
            registers=build_registers(pool, books, now),
            loops={"relay": [relay.run]},
            everywhere=[build_ears(settings, identity, news).run],
            ready={"database": partial(is_set_up, pool, settings, source=SOURCE), "token_keys": keys.ready},
        )


def build_ears(settings: Settings, identity: grpc.aio.Channel, news: IdentityNews) -> BroadcastConsumer:
    """Return what tells this process whose tokens are void."""
    return BroadcastConsumer(
        name="academics.news",
        source=IDENTITY,
        shards=range(settings.shard_count),
        redis_url=settings.redis_url.get_secret_value(),
        log=GrpcEventLog(identity),
        listeners=news.listeners(),
        reset=news.start_anew,
        since=REMEMBERED,
    )


def build_registers(pool: Pool, books: OpenBooks, now: Clock) -> Sequence[Register]:
    """Return what adds each gRPC service to a server."""
    return [
        partial(add_AcademicsQueryServiceServicer_to_server, QueryApi(pool=pool, now=now)),
        partial(add_AcademicsCommandServiceServicer_to_server, CommandApi(open_books=books, now=now)),
        partial(add_EventLogServiceServicer_to_server, EventLogServicer(PostgresEventLog(pool))),
    ]


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema and prepare the log."""
    await set_up(settings, source=SOURCE)
