"""A phone that is no longer the student's is asked about anew at once, not after a minute."""

import importlib
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
import redis.asyncio
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.ids import DeviceId, new_id
from identity_svc.domain.devices import Device
from infra.canon import kid_of, to_spki
from infra.clock import utc_now
from infra.grpc_client import connect
from infra.identity_news import IdentityNews
from infra.jwks import RemoteKeys
from infra.process import identity_of
from infra.student_devices import GrpcStudentDevices
from tests.streams_running import running
from tests.waiting import until

# As after a restore to the past: what the log tells from here on continues nothing that was told before.
RESTORE = """
UPDATE streams_shard SET incarnation = gen_random_uuid(), base_pos = last_pos, base_hash = sha256('new'),
last_hash = sha256('new'), closed_pos = 0, closed_t = NULL
"""


@pytest.fixture
async def phone(world):
    """A student's phone, bound."""
    return await bind(world)


async def bind(world):
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = Device(
        id=DeviceId(new_id()),
        student_id=(await world.add("student")).id,
        kid=kid_of(public),
        public_key=to_spki(public),
        bound_at=world.now - timedelta(hours=1),
    )
    async with world.books() as books:
        await books.devices.bind(made)
    return made


@pytest.fixture
def remembering(settings_of):
    """`async with remembering("beacon") as (devices, ears):` what a process remembers of phones, and what tells it."""

    @asynccontextmanager
    async def remember(service):
        settings = settings_of(service)
        async with connect(settings.identity_grpc, callee="identity", identity=identity_of(settings)) as identity:
            devices = GrpcStudentDevices(identity)
            news = IdentityNews(RemoteKeys(settings.identity_jwks_url), now=utc_now, devices=devices.known)
            wiring = importlib.import_module(f"{service}_svc.wiring")
            ears = wiring.build_ears(settings, identity, news)
            async with running(ears):
                yield devices, ears

    return remember


async def know(phone, devices, ears):
    """Let the phone be remembered. Only after the beginning: there everything is forgotten once."""
    await until(lambda: ears.as_of)
    assert (await devices.find_key(phone.student_id, phone.id, kid=phone.kid)).kid == phone.kid
    assert devices.known.find(phone.student_id, phone.id) is not None


async def is_forgotten(phone, devices):
    await until(lambda: devices.known.find(phone.student_id, phone.id) is None)


@pytest.mark.parametrize("service", ["attendance", "beacon"])
async def test_a_phone_that_was_reset_no_longer_counts(service, world, serving, remembering, phone):
    async with serving(), remembering(service) as (devices, ears):
        await know(phone, devices, ears)

        async with world.books() as books:
            await books.devices.unbind(phone.id, "reset", at=utc_now())

        await is_forgotten(phone, devices)
        assert await devices.find_key(phone.student_id, phone.id, kid=phone.kid) is None


async def test_a_phone_stays_remembered_when_somebody_else_binds_one(world, serving, remembering, phone):
    async with serving(), remembering("beacon") as (devices, ears):
        await know(phone, devices, ears)

        mark = devices.known.mark()

        other = await bind(world)

        await until(lambda: devices.known.mark() > mark)
        assert devices.known.find(phone.student_id, phone.id) is not None
        assert (await devices.find_key(other.student_id, other.id, kid=other.kid)).kid == other.kid


async def test_after_a_gap_that_cannot_be_closed_no_phone_is_remembered(
    serving, remembering, phone, cache, identity_database
):
    async with remembering("beacon") as (devices, ears):
        async with serving():
            await know(phone, devices, ears)
        async with redis.asyncio.Redis.from_url(cache.url()) as client:
            await client.flushall()
        operator = await asyncpg.connect(identity_database.admin_url)
        await operator.execute(RESTORE)
        await operator.close()

        async with serving():
            await is_forgotten(phone, devices)
