"""The one place where beacon_svc chooses its real parts."""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import SystemRandom
from typing import TypeVar
from uuid import UUID

import grpc.aio

from beacon_svc.clients import GrpcAttendanceDesk
from beacon_svc.commands.codes import CodeRequest, CodeRules, issue_flash_codes
from beacon_svc.commands.hand_over import HandingOver, Pauses, Settle, SettlingLater, settle_all
from beacon_svc.commands.logins import LoginRules
from beacon_svc.commands.proofs import Push, Receipt, take_in_proofs
from beacon_svc.consumers import AcademicsDoor
from beacon_svc.domain.proofs import FlashCode
from beacon_svc.grpc_api import BeaconQueries
from beacon_svc.http_api.beacons import BeaconsApi
from beacon_svc.http_api.codes import CodeApi, CodeParts
from beacon_svc.http_api.failures import FailureLimit
from beacon_svc.http_api.logins import LoginApi, LoginParts
from beacon_svc.http_api.proofs import ProofApi, ProofParts
from beacon_svc.jobs import HandOver, Sweep
from beacon_svc.ports import OpenProofBook, Outcome, StoredProof
from beacon_svc.settings import Settings
from beacon_svc.store.academics import ACADEMICS, CONSUMER, CopiedPlaces, PostgresAcademicsCopy
from beacon_svc.store.beacons import PostgresBeaconLogins, PostgresBeaconRegistry, PostgresBeaconReports
from beacon_svc.store.codes import PostgresFlashCodes
from beacon_svc.store.keys import KeyRing
from beacon_svc.store.proofs import PostgresProofBook
from beacon_svc.store.public_keys import PostgresBeaconKeys
from contracts.rpc.beacon.api.v1.beacon_pb2_grpc import add_BeaconQueryServiceServicer_to_server
from contracts.rpc.streams.api.v1.streams_pb2_grpc import add_EventLogServiceServicer_to_server
from infra.batches import Work, robust
from infra.clock import Clock, utc_now
from infra.coalescer import Coalescer, in_groups
from infra.device_requests import NONCE_LIFE
from infra.grpc_client import connect
from infra.grpc_server import Register
from infra.http_routes import AnyRoute
from infra.http_server import Doorkeeper
from infra.identity_news import REMEMBERED, IdentityNews
from infra.jwks import RemoteKeys
from infra.postgres import (
    BACKGROUND_TRANSACTION_MS,
    Connection,
    Pool,
    connection,
    create_pool,
    transaction,
)
from infra.process import Parts, identity_of
from infra.secret_box import SecretBox
from infra.student_devices import GrpcStudentDevices
from infra.tokens import BEACON_TOKEN, USER_TOKEN, TokenVerifier
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
from streams.waiting import until_multiple

SOURCE, IDENTITY = "beacon", "identity"
BACKGROUND_POOL_COUNT = 4
# Proofs of one transaction and of one call of attendance. More bring no gain, and a transaction must not last long.
BATCH_COUNT = 256
# Nobody waits for it, and every transaction costs the same whatever is in it.
SETTLE_EVERY_S = 0.1
# Of 28 bits in a frame, the highest is 0 for codes that the server issues.
CODE_BITS = 27
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The parts that several doors share."""

    settings: Settings
    pool: Pool
    ring: KeyRing
    box: SecretBox
    outbox: Outbox
    desk: GrpcAttendanceDesk
    devices: GrpcStudentDevices
    pauses: Pauses
    now: Clock

    def open_book(self, pool: Pool) -> OpenProofBook:
        """Return what opens the book of proofs on a connection of `pool`."""
        return partial(open_store, pool, partial(PostgresProofBook, outbox=self.outbox, box=self.box))

    def settle(self, pool: Pool) -> Settle:
        """Return what keeps what attendance said, by `pool`."""
        book = partial(PostgresProofBook, outbox=self.outbox, box=self.box)
        return robust(partial(settle_all, open_book=partial(open_alone, pool, book)), draw=SystemRandom().random)

    def handing_over(self, settle: Settle) -> HandingOver:
        """Return what hands proofs over and lets `settle` keep what comes of it."""
        return HandingOver(desk=self.desk, settle=settle, pauses=self.pauses, now=self.now)


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What requests do together."""

    intake: Coalescer[Push, Receipt]
    hand_over: Coalescer[Sequence[StoredProof], Mapping[UUID, Outcome]]
    settling: SettlingLater
    codes: Coalescer[CodeRequest, FlashCode]

    async def drain(self) -> None:
        """Wait for what nobody waits for any more."""
        await self.intake.drain()
        await self.hand_over.drain()
        await self.settling.drain()
        await self.codes.drain()


@asynccontextmanager
async def build(settings: Settings, now: Clock = utc_now) -> AsyncIterator[Parts]:
    """Connect beacon_svc's parts; leaving closes them in reverse."""
    url, identity = settings.database_url.get_secret_value(), identity_of(settings)
    box, outbox = SecretBox.from_file(settings.key_file), Outbox(settings.shard_count)
    async with AsyncExitStack() as stack:
        size = settings.database_pool_count
        pool = await stack.enter_async_context(create_pool(url, name="beacon_svc", size=size))
        background = create_pool(
            url,
            name="beacon_svc jobs",
            size=BACKGROUND_POOL_COUNT,
            transaction_ms=BACKGROUND_TRANSACTION_MS,
        )
        await stack.enter_async_context(background)
        redis = await stack.enter_async_context(writer_client(settings.redis_url.get_secret_value()))
        attendance = connect(settings.attendance_grpc, callee="attendance", identity=identity)
        identities = connect(settings.identity_grpc, callee="identity", identity=identity)
        academics = connect(settings.academics_grpc, callee="academics", identity=identity)
        for channel in (attendance, identities, academics):
            await stack.enter_async_context(channel)
        ring = KeyRing(pool, box)
        shelf = Shelf(
            settings=settings,
            pool=pool,
            ring=ring,
            box=box,
            outbox=outbox,
            desk=GrpcAttendanceDesk(attendance),
            devices=GrpcStudentDevices(identities),
            pauses=Pauses(
                first=timedelta(seconds=settings.hand_over_first_pause_s),
                longest=timedelta(seconds=settings.hand_over_longest_pause_s),
                draw=SystemRandom().random,
            ),
            now=now,
        )
        keys = RemoteKeys(settings.identity_jwks_url)
        news = IdentityNews(keys, now=now, devices=shelf.devices.known)
        hand_over = HandOver(
            handing_over=shelf.handing_over(shelf.settle(background)), open_book=shelf.open_book(background)
        )
        batches = build_batches(shelf)
        stack.push_async_callback(batches.drain)
        sweep = Sweep(pool=background, every=timedelta(seconds=settings.sweep_every_s), now=now)
        relay = Relay(source=SOURCE, pool=background, redis=redis, shards=range(settings.shard_count), watermarks=False)
        yield Parts(
            routes=build_routes(shelf, batches),
            registers=build_registers(shelf),
            doorkeeper=Doorkeeper(
                people=TokenVerifier(USER_TOKEN, keys, now=now, revoked=news.revoked),
                beacons=TokenVerifier(BEACON_TOKEN, ring, now=now),
            ),
            loops={
                "relay": [relay.run],
                "consumers": [build_consumer(settings, background, academics).run],
                "jobs": [hand_over.run, sweep.run],
            },
            everywhere=[build_ears(settings, identities, news).run],
            ready={"database": partial(is_set_up, pool, settings, source=SOURCE), "token_keys": ring.ready},
        )


def build_consumer(settings: Settings, pool: Pool, academics: grpc.aio.Channel) -> OrderedConsumer:
    """Return what keeps the copy of academics."""
    copy = PostgresAcademicsCopy()
    return OrderedConsumer(
        name=CONSUMER,
        source=ACADEMICS,
        owner=settings.replica_name or f"{socket.gethostname()}:{os.getpid()}",
        shards=range(settings.shard_count),
        pool=pool,
        redis_url=settings.redis_url.get_secret_value(),
        log=GrpcEventLog(academics),
        handlers=AcademicsDoor(copy).handlers(),
        reset=copy.forget_shard,
    )


def follower(settings: Settings) -> Follower:
    """Return what an operator works on who looks at events that were put aside."""
    url = settings.database_url.get_secret_value()
    return Follower(
        name=CONSUMER,
        source=ACADEMICS,
        database_url=url,
        handlers=AcademicsDoor(PostgresAcademicsCopy()).handlers(),
    )


def build_ears(settings: Settings, identity: grpc.aio.Channel, news: IdentityNews) -> BroadcastConsumer:
    """Return what tells this process whose tokens are void and whose phones changed hands."""
    return BroadcastConsumer(
        name="beacon.news",
        source=IDENTITY,
        shards=range(settings.shard_count),
        redis_url=settings.redis_url.get_secret_value(),
        log=GrpcEventLog(identity),
        listeners=news.listeners(),
        reset=news.start_anew,
        since=REMEMBERED,
    )


def build_registers(shelf: Shelf) -> list[Register]:
    """Return what adds every servicer to a gRPC server."""
    queries = BeaconQueries(open_reading=partial(connection, shelf.pool), box=shelf.box, now=shelf.now)
    log = EventLogServicer(PostgresEventLog(shelf.pool))
    return [
        partial(add_BeaconQueryServiceServicer_to_server, queries),
        partial(add_EventLogServiceServicer_to_server, log),
    ]


def build_batches(shelf: Shelf) -> Batches:
    """Return what takes proofs in and hands them over, those of many requests at once."""
    keys, open_book = PostgresBeaconKeys(shelf.pool), shelf.open_book(shelf.pool)
    keep = robust(partial(take_in_proofs, keys=keys, open_book=open_book), draw=SystemRandom().random)
    settle = Coalescer(in_groups(shelf.settle(shelf.pool)), max_batch_count=BATCH_COUNT, weigh=len)
    settling = SettlingLater(settle, until_turn_s=partial(until_multiple, SETTLE_EVERY_S))
    return Batches(
        settling=settling,
        codes=Coalescer(build_issuing(shelf), max_batch_count=BATCH_COUNT),
        # One batch at a time: what comes meanwhile makes up a larger one.
        intake=Coalescer(keep, max_batch_count=BATCH_COUNT, weigh=lambda push: len(push.submissions)),
        hand_over=Coalescer(
            shelf.handing_over(settling.settle).hand_over_groups,
            max_batch_count=BATCH_COUNT,
            # Attendance may hang: whoever waits behind a whole batch shall not wait for it as well.
            spare_count=1,
            weigh=len,
        ),
    )


def build_routes(shelf: Shelf, batches: Batches) -> list[AnyRoute]:
    """Return every REST route."""
    registry = partial(PostgresBeaconRegistry, outbox=shelf.outbox, box=shelf.box)
    beacons = BeaconsApi(
        open_registry=partial(open_store, shelf.pool, registry),
        open_reading=partial(connection, shelf.pool),
        places=CopiedPlaces(shelf.pool, shard_count=shelf.settings.shard_count),
        now=shelf.now,
    )
    proofs = ProofApi(
        ProofParts(
            take_in=batches.intake.submit,
            hand_over=batches.hand_over.submit,
            open_reports=partial(open_store, shelf.pool, PostgresBeaconReports),
            now=shelf.now,
        )
    )
    return [*beacons.routes(), *build_logins(shelf).routes(), *build_codes(shelf, batches).routes(), *proofs.routes()]


def build_logins(shelf: Shelf) -> LoginApi:
    """Return the doors that beacons log in at."""
    settings = shelf.settings
    return LoginApi(
        LoginParts(
            open_logins=partial(open_store, shelf.pool, partial(PostgresBeaconLogins, outbox=shelf.outbox)),
            signer=shelf.ring.signer,
            rules=LoginRules(
                origin=settings.public_origin,
                window=timedelta(seconds=settings.auth_window_s),
                most_per_minute=settings.logins_per_minute_count,
            ),
            failures=FailureLimit(most_per_minute=settings.failed_logins_per_minute_count, now=shelf.now),
            jwks=shelf.ring.jwks,
            now=shelf.now,
        )
    )


def build_codes(shelf: Shelf, batches: Batches) -> CodeApi:
    """Return the door that students' phones ask for codes."""
    return CodeApi(
        CodeParts(issue=batches.codes.submit, devices=shelf.devices, origin=shelf.settings.public_origin, now=shelf.now)
    )


def build_issuing(shelf: Shelf) -> Work[CodeRequest, FlashCode]:
    """Return what issues codes, those of many phones in one transaction."""
    settings = shelf.settings
    rules = CodeRules(
        life=timedelta(seconds=settings.flash_code_s),
        quarantine=timedelta(seconds=settings.flash_code_quarantine_s),
        most_per_minute=settings.flash_codes_per_minute_count,
        nonce_life=NONCE_LIFE,
        draw=lambda: secrets.randbits(CODE_BITS),
    )
    open_codes = partial(open_store, shelf.pool, PostgresFlashCodes)
    issue = partial(issue_flash_codes, rules=rules, open_codes=open_codes, now=shelf.now)
    return robust(issue, draw=SystemRandom().random)


@asynccontextmanager
async def open_store(pool: Pool, make: Callable[[Connection], T]) -> AsyncIterator[T]:
    """Open a store in a transaction of its own: leaving commits, an exception rolls back."""
    async with transaction(pool) as lent:
        yield make(lent)


@asynccontextmanager
async def open_alone(pool: Pool, make: Callable[[Connection], T]) -> AsyncIterator[T]:
    """Open a store for one statement, which commits by itself."""
    async with connection(pool) as lent:
        yield make(lent)


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema and prepare the log."""
    await set_up(settings, source=SOURCE)
