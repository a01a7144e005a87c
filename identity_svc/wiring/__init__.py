"""The one place where identity_svc chooses its real parts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial

from contracts.rpc.identity.api.v1 import identity_pb2_grpc as rpc
from contracts.rpc.streams.api.v1 import streams_pb2_grpc
from identity_svc.domain.sessions import RefreshTokens
from identity_svc.grpc_api import IdentityApi
from identity_svc.http_api.auth import AuthApi
from identity_svc.http_api.desk import Desk
from identity_svc.http_api.devices import DeviceApi
from identity_svc.http_api.imports import ImportApi
from identity_svc.http_api.users import UserApi
from identity_svc.jobs import Housekeeping
from identity_svc.settings import Settings
from identity_svc.store.books import open_books
from identity_svc.store.keys import KeyCupboard, KeyRing
from infra.clock import Clock, utc_now
from infra.http_server import Doorkeeper
from infra.jwks import LocalKeys
from infra.password_hashing import Cost, PasswordHasher
from infra.postgres import BACKGROUND_TRANSACTION_MS, create_pool
from infra.process import Parts
from infra.secret_box import SecretBox, derived_key
from infra.tokens import BEACON_TOKEN, USER_TOKEN, TokenVerifier
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from streams.outbox import Outbox
from streams.redis_client import writer_client
from streams.relay import Relay
from streams.setup import is_set_up, set_up

NAME = "identity"


@asynccontextmanager
async def build(settings: Settings, now: Clock = utc_now) -> AsyncIterator[Parts]:
    """Open what the service needs and put its parts together; leaving closes everything."""
    outbox, box = Outbox(settings.shard_count), SecretBox.from_file(settings.key_file)
    tokens = RefreshTokens(derived_key(settings.key_file, purpose="identity.refresh-token.v1"))
    url = settings.database_url.get_secret_value()
    async with (
        create_pool(url, name=NAME, size=settings.database_pool_count) as pool,
        create_pool(url, name=f"{NAME} jobs", transaction_ms=BACKGROUND_TRANSACTION_MS) as background,
        writer_client(settings.redis_url.get_secret_value()) as redis,
    ):
        with open_hasher(settings) as passwords:
            keys = KeyRing(pool, box)
            cupboard = KeyCupboard(background, box=box, outbox=outbox)
            desk = Desk(pool=pool, open_books=partial(open_books, pool, outbox), passwords=passwords, now=now)
            relay = Relay(source=NAME, pool=background, redis=redis, shards=range(settings.shard_count))
            yield Parts(
                routes=[
                    *AuthApi(desk, mint=keys, tokens=tokens).routes(),
                    *ImportApi(desk).routes(),
                    *UserApi(desk).routes(),
                    *DeviceApi(desk, origin=settings.public_origin).routes(),
                ],
                doorkeeper=Doorkeeper(
                    # A revoked key must not live on in what is remembered of its tokens.
                    people=TokenVerifier(USER_TOKEN, keys, now=now, remembered_count=0),
                    beacons=TokenVerifier(BEACON_TOKEN, LocalKeys({}), now=now),
                ),
                registers=[
                    partial(rpc.add_IdentityQueryServiceServicer_to_server, IdentityApi(pool)),
                    partial(
                        streams_pb2_grpc.add_EventLogServiceServicer_to_server, EventLogServicer(PostgresEventLog(pool))
                    ),
                ],
                loops={
                    "relay": [relay.run],
                    "jobs": [Housekeeping(background, keys=lambda at: cupboard.maintain(now=at), now=now).run],
                },
                ready={"database": partial(is_set_up, pool, settings, source=NAME), "keys": keys.ready},
            )


@contextmanager
def open_hasher(settings: Settings) -> Iterator[PasswordHasher]:
    """Open the threads that hash; leaving ends them."""
    hasher = PasswordHasher(
        pepper=derived_key(settings.key_file, purpose="identity.password-pepper.v1"),
        cost=Cost(memory_kib=settings.argon2_memory_kib, iterations=settings.argon2_iterations),
        max_waiting=settings.argon2_waiting_count,
    )
    with closing(hasher):
        yield hasher


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema and prepare the log."""
    await set_up(settings, source=NAME)
