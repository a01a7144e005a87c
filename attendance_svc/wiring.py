"""The one place where attendance_svc chooses its real parts."""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from secrets import SystemRandom

import grpc.aio

from attendance_svc.clients import GrpcCourseCloser, GrpcCourseDirectory, GrpcNfcCodes, GrpcPhones
from attendance_svc.commands.academics import Academics
from attendance_svc.commands.asking import Sources
from attendance_svc.commands.attempts import Case, Outcome, keep_cases
from attendance_svc.commands.nfc import NfcDoor
from attendance_svc.commands.phones import WrongCodes
from attendance_svc.commands.qr import QrDoor
from attendance_svc.consumers import ACADEMICS, COPY, AcademicsDoor
from attendance_svc.domain.bearings import Bearings
from attendance_svc.grpc_api import AttendanceDesk
from attendance_svc.http_api.desk import Desk
from attendance_svc.http_api.live import LiveRoutes
from attendance_svc.http_api.pages import PageRoutes
from attendance_svc.http_api.qr import QrRoutes
from attendance_svc.http_api.reporting import ReportingRoutes
from attendance_svc.http_api.showing import ShowingRoutes
from attendance_svc.http_api.signing import SigningRoutes
from attendance_svc.http_api.watching import Watching
from attendance_svc.jobs import (
    BacklogJob,
    ClockJob,
    ClosingJob,
    NonceJob,
    PruneJob,
    SheetJob,
    WaitingJob,
    comparing,
    loops,
)
from attendance_svc.ports import OpenBook
from attendance_svc.settings import Settings
from attendance_svc.store import academics_history, closing, qr, sheets, transitions
from attendance_svc.store.copied_courses import CopiedCourses
from attendance_svc.store.nonces import PostgresNonces
from attendance_svc.store.qr import PostgresQrSessions
from attendance_svc.store.reports import PostgresReports
from attendance_svc.store.sheets import PostgresSheets
from attendance_svc.store.signatures import open_book
from attendance_svc.store.timetable import CopiedTimetable
from attendance_svc.store.waiting import PostgresBacklog, PostgresWaitingRoom
from contracts.rpc.attendance.api.v1.attendance_pb2_grpc import add_AttendanceCommandServiceServicer_to_server
from contracts.rpc.streams.api.v1.streams_pb2_grpc import add_EventLogServiceServicer_to_server
from infra.batches import robust
from infra.clock import Clock, utc_now
from infra.coalescer import Coalescer, in_groups
from infra.grpc_client import connect
from infra.grpc_server import Register
from infra.http_routes import AnyRoute
from infra.http_server import Doorkeeper
from infra.identity_news import REMEMBERED, IdentityNews
from infra.jwks import RemoteKeys
from infra.postgres import (
    BACKGROUND_TRANSACTION_MS,
    Pool,
    create_pool,
)
from infra.process import Loop, Parts, identity_of
from infra.secret_box import SecretBox
from infra.tokens import BEACON_TOKEN, USER_TOKEN, TokenVerifier
from streams.audit import Audit
from streams.broadcast import BroadcastConsumer
from streams.consumer import OrderedConsumer
from streams.log_grpc import GrpcEventLog
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from streams.outbox import Outbox
from streams.parked import Follower
from streams.redis_client import writer_client
from streams.relay import Relay
from streams.setup import is_set_up, set_up

SOURCE, IDENTITY = "attendance", "identity"
# Attempts of one transaction. More bring no gain, and a transaction must not last long.
BATCH_COUNT = 256
REPORTS_AT_ONCE = 2
REPORT_TRANSACTION_MS = 4_000


@asynccontextmanager
async def build(settings: Settings, now: Clock = utc_now) -> AsyncIterator[Parts]:
    """Connect attendance_svc's parts; leaving closes them."""
    url, shards = settings.database_url.get_secret_value(), settings.shard_count
    redis = writer_client(settings.redis_url.get_secret_value())
    peers, box = identity_of(settings), SecretBox.from_file(settings.key_file)
    async with (
        create_pool(url, name="attendance_svc", size=settings.database_pool_count) as pool,
        # Of its own: a report takes its time, and nobody who signs shall wait for it.
        create_pool(
            url, name="attendance_svc reports", size=REPORTS_AT_ONCE, transaction_ms=REPORT_TRANSACTION_MS
        ) as reading,
        create_pool(url, name="attendance_svc jobs", transaction_ms=BACKGROUND_TRANSACTION_MS) as background,
        redis,
        connect(settings.academics_grpc, callee="academics", identity=peers) as academics,
        connect(settings.identity_grpc, callee="identity", identity=peers) as identity,
        connect(settings.beacon_grpc, callee="beacon", identity=peers) as beacon,
    ):
        relay = Relay(source=SOURCE, pool=background, redis=redis, shards=range(shards))
        phones = GrpcPhones(identity, origin=settings.public_origin)
        sources = Sources(
            academics=Academics(
                copy=CopiedCourses(pool, shard_count=shards),
                directory=GrpcCourseDirectory(academics),
                bearings=Bearings(),
            ),
            timetable=CopiedTimetable(pool),
            phones=phones,
            codes=GrpcNfcCodes(beacon),
        )
        book = partial(open_book, pool, Outbox(shards), relay.poke)
        keeping = build_keeping(book)
        nonces, wrong_codes = PostgresNonces(pool), WrongCodes()
        desk = Desk(
            pool=pool,
            sources=sources,
            nfc=NfcDoor(nonces=nonces, wrong_codes=wrong_codes, keep=keeping.submit),
            qr=QrDoor(
                sessions=PostgresQrSessions(pool, box),
                nonces=nonces,
                wrong_codes=wrong_codes,
                keep=keeping.submit,
                open_book=book,
            ),
            open_book=book,
            reports=PostgresReports(reading, shard_count=shards),
            now=now,
            shard_count=shards,
            origin=settings.public_origin,
        )
        keys, beacon_keys = RemoteKeys(settings.identity_jwks_url), RemoteKeys(settings.beacon_jwks_url)
        news = IdentityNews(keys, now=now, devices=phones.known)
        background_book = partial(open_book, background, Outbox(shards), relay.poke)
        watching = Watching(range(shards))
        live = LiveRoutes(desk, watching, PostgresEventLog(pool))
        try:
            yield Parts(
                routes=[*live.routes(), *build_routes(desk)],
                doorkeeper=Doorkeeper(
                    people=TokenVerifier(USER_TOKEN, keys, now=now, revoked=news.revoked),
                    beacons=TokenVerifier(BEACON_TOKEN, beacon_keys, now=now),
                ),
                registers=build_registers(pool, AttendanceDesk(sources=sources, keep=keeping.submit, now=now)),
                loops={
                    "http": [partial(watching.run, build_watch(settings, background, watching).run)],
                    "relay": [relay.run],
                    "consumers": [build_consumer(settings, background, academics).run],
                    "jobs": build_jobs(settings, background, academics, sources, book=background_book, now=now),
                },
                everywhere=[
                    build_ears(settings, identity, news).run,
                    build_clock(settings, academics, sources.academics.bearings, now),
                ],
                ready={"database": partial(is_set_up, pool, settings, source=SOURCE), "token_keys": keys.ready},
            )
        finally:
            # For what nobody waits for any more.
            await keeping.drain()


def build_routes(desk: Desk) -> Sequence[AnyRoute]:
    """Return every route that answers at once. Words come before the ids, which they would be taken for."""
    parts = (QrRoutes(desk), ReportingRoutes(desk), ShowingRoutes(desk), SigningRoutes(desk), PageRoutes())
    return [route for part in parts for route in part.routes()]


def build_keeping(book: OpenBook) -> Coalescer[Sequence[Case], Sequence[Outcome]]:
    """Return what judges and keeps the attempts of many requests together, one transaction at a time."""
    keep = robust(partial(keep_cases, open_book=book), draw=SystemRandom().random)
    return Coalescer(in_groups(keep), max_batch_count=BATCH_COUNT, weigh=len)


def build_registers(pool: Pool, desk: AttendanceDesk) -> Sequence[Register]:
    """Return what adds each gRPC service to a server."""
    return [
        partial(add_AttendanceCommandServiceServicer_to_server, desk),
        partial(add_EventLogServiceServicer_to_server, EventLogServicer(PostgresEventLog(pool))),
    ]


def build_consumer(settings: Settings, pool: Pool, academics: grpc.aio.Channel) -> OrderedConsumer:
    """Return what keeps the copy of academics, the closing timers and the sheets in step."""
    door = build_door()
    return OrderedConsumer(
        name=COPY,
        source=ACADEMICS,
        owner=settings.replica_name or f"{socket.gethostname()}:{os.getpid()}",
        shards=range(settings.shard_count),
        pool=pool,
        redis_url=settings.redis_url.get_secret_value(),
        log=GrpcEventLog(academics),
        handlers=door.handlers(),
        together=door.on_events,
        reset=door.forget_shard,
    )


def build_door() -> AcademicsDoor:
    """Return what applies academics' events."""
    return AcademicsDoor(copy=academics_history, timers=closing, sheets=sheets)


def follower(settings: Settings) -> Follower:
    """Return what an operator works on who looks at events that were put aside."""
    url = settings.database_url.get_secret_value()
    return Follower(name=COPY, source=ACADEMICS, database_url=url, handlers=build_door().handlers())


def audit(settings: Settings) -> Audit:
    """Return what an operator has verified: the log, and the transitions that its events carry the digests of."""
    url = settings.database_url.get_secret_value()
    return Audit(source=SOURCE, database_url=url, told=transitions.check_told, rows=transitions.check_rows)


def build_ears(settings: Settings, identity: grpc.aio.Channel, news: IdentityNews) -> BroadcastConsumer:
    """Return what tells this process whose tokens are void and whose phones changed hands."""
    return BroadcastConsumer(
        name="attendance.news",
        source=IDENTITY,
        shards=range(settings.shard_count),
        redis_url=settings.redis_url.get_secret_value(),
        log=GrpcEventLog(identity),
        listeners=news.listeners(),
        reset=news.start_anew,
        since=REMEMBERED,
    )


def build_watch(settings: Settings, pool: Pool, watching: Watching) -> BroadcastConsumer:
    """Return what tells those who watch a course in this process of what we ourselves say."""
    return BroadcastConsumer(
        name="attendance.live",
        source=SOURCE,
        shards=range(settings.shard_count),
        redis_url=settings.redis_url.get_secret_value(),
        log=PostgresEventLog(pool),
        listeners=watching.listeners(),
        reset=watching.start_anew,
    )


def build_clock(settings: Settings, academics: grpc.aio.Channel, bearings: Bearings, now: Clock) -> Loop:
    """Return what compares academics' clock with ours, for as long as the process runs."""
    shards = range(settings.shard_count)
    job = ClockJob(heads=GrpcEventLog(academics), bearings=bearings, shards=shards, now=now)
    return comparing(job)


def build_jobs(
    settings: Settings, pool: Pool, academics: grpc.aio.Channel, sources: Sources, *, book: OpenBook, now: Clock
) -> Sequence[Loop]:
    """Return what happens because time has passed."""
    return loops(
        closing=ClosingJob(pool=pool, timers=closing, closer=GrpcCourseCloser(academics), now=now),
        sheets=SheetJob(
            pool=pool,
            sheets=PostgresSheets(Outbox(settings.shard_count)),
            open_book=book,
            bearings=sources.academics.bearings,
            now=now,
        ),
        waiting=WaitingJob(waiting_room=PostgresWaitingRoom(pool), sources=sources, open_book=book, now=now),
        pruning=PruneJob(pool=pool, copy=academics_history, codes=qr, now=now),
        nonces=NonceJob(pool=pool, now=now),
        backlog=BacklogJob(backlog=PostgresBacklog(pool), now=now),
    )


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema and prepare the log."""
    await set_up(settings, source=SOURCE)
