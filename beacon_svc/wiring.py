"""The one place where beacon_svc chooses its real parts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TypeVar

import asyncpg

from beacon_svc.commands.logins import LoginRules
from beacon_svc.http_api.beacons import BeaconsApi
from beacon_svc.http_api.failures import FailureLimit
from beacon_svc.http_api.logins import LoginApi, LoginParts
from beacon_svc.settings import Settings
from beacon_svc.store.beacons import PostgresBeaconLogins, PostgresBeaconRegistry
from beacon_svc.store.keys import KeyRing
from contracts.problems import UnavailableError
from infra.clock import Clock, utc_now
from infra.http_routes import AnyRoute
from infra.http_server import Doorkeeper
from infra.jwks import RemoteKeys
from infra.migrate import upgrade
from infra.postgres import Connection, Pool, check_durable, connection, create_pool, transaction
from infra.process import Parts
from infra.secret_box import SecretBox
from infra.tokens import BEACON_TOKEN, USER_TOKEN, TokenVerifier
from streams.outbox import Outbox
from streams.redis_client import writer_client
from streams.relay import Relay
from streams.schema import WrongSetupError, check_shard_count, prepare

SOURCE = "beacon"
T = TypeVar("T")


@asynccontextmanager
async def build(settings: Settings, now: Clock = utc_now) -> AsyncIterator[Parts]:
    """Connect beacon_svc's parts; leaving closes them."""
    box = SecretBox.from_file(settings.key_file)
    outbox = Outbox(settings.shard_count)
    url = settings.database_url.get_secret_value()
    redis = writer_client(settings.redis_url.get_secret_value())
    async with create_pool(url, name="beacon_svc", size=settings.database_pool_count) as pool, redis:
        ring = KeyRing(pool, box)
        people = RemoteKeys(settings.identity_jwks_url)
        relay = Relay(source=SOURCE, pool=pool, redis=redis, shards=range(settings.shard_count), watermarks=False)
        yield Parts(
            routes=build_routes(settings, pool, ring=ring, box=box, outbox=outbox, now=now),
            doorkeeper=Doorkeeper(
                people=TokenVerifier(USER_TOKEN, people, now=now), beacons=TokenVerifier(BEACON_TOKEN, ring, now=now)
            ),
            loops={"relay": [relay.run]},
            ready={
                "database": partial(is_migrated, pool, settings),
                "token_keys": ring.ready,
            },
        )


def build_routes(
    settings: Settings, pool: Pool, *, ring: KeyRing, box: SecretBox, outbox: Outbox, now: Clock
) -> list[AnyRoute]:
    """Return every REST route of the service."""
    beacons = BeaconsApi(
        open_registry=partial(open_store, pool, partial(PostgresBeaconRegistry, outbox=outbox, box=box)),
        open_reading=partial(connection, pool),
        now=now,
    )
    logins = LoginApi(
        LoginParts(
            open_logins=partial(open_store, pool, partial(PostgresBeaconLogins, outbox=outbox)),
            signer=ring.signer,
            rules=LoginRules(
                origin=settings.public_origin,
                window=timedelta(seconds=settings.auth_window_s),
                most_per_minute=settings.logins_per_minute_count,
            ),
            failures=FailureLimit(most_per_minute=settings.failed_logins_per_minute_count, now=now),
            jwks=ring.jwks,
            now=now,
        )
    )
    return [*beacons.routes(), *logins.routes()]


@asynccontextmanager
async def open_store(pool: Pool, make: Callable[[Connection], T]) -> AsyncIterator[T]:
    """Open a store in a transaction of its own: leaving commits, an exception rolls back."""
    async with transaction(pool) as lent:
        yield make(lent)


async def is_migrated(pool: Pool, settings: Settings) -> bool:
    """Return whether the database can be reached, is set up as `settings` say, and does not forget."""
    try:
        async with connection(pool) as lent:
            await check_shard_count(lent, source=SOURCE, shard_count=settings.shard_count)
        return not (settings.require_durable_database and await check_durable(pool))
    except (UnavailableError, WrongSetupError, asyncpg.UndefinedTableError):
        return False


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema and prepare the log."""
    url = (settings.migrate_database_url or settings.database_url).get_secret_value()
    await upgrade(SOURCE, url)
    owner = await asyncpg.connect(url)
    try:
        await prepare(owner, source=SOURCE, shard_count=settings.shard_count)
    finally:
        await owner.close()
