"""From academics' log over its stream into the copy that says which schools and rooms there are."""

import asyncio
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from functools import partial
from uuid import uuid4

import asyncpg
import pytest

from beacon_svc.store.academics import CopiedPlaces
from contracts.events.academics import ClassroomCreated, ClassroomDeleted, SchoolCreated
from contracts.events.envelope import Aggregate, Cause, wrap
from contracts.ids import new_id
from contracts.problems import UnavailableError
from contracts.rpc.streams.api.v1.streams_pb2_grpc import add_EventLogServiceServicer_to_server
from infra.demo.devices import new_key, public_pem
from infra.grpc_server import Identity, build_server, start_server
from streams import schema
from streams.log_postgres import PostgresEventLog
from streams.log_service import EventLogServicer
from streams.names import shard_of
from streams.outbox import Outbox
from streams.redis_client import writer_client
from streams.relay import Relay
from tests.integration.beacon.conftest import COPY_IS_COMPLETE, KNOW, SHARDS

UP_TO = "UPDATE streams_checkpoint SET as_of = clock_timestamp() + $1"
PARK = """
INSERT INTO streams_parked (consumer, source, shard, pos, ms, agg_id, reason)
VALUES ('beacon.copy', 'academics', $1, 1, 1, $2, 'poison')
"""


class Academics:
    """A producer named academics: its log, its relay and its door."""

    def __init__(self, pool, now):
        self._pool, self._now, self._outbox = pool, now, Outbox(SHARDS)

    async def say(self, event, *, aggregate, id, version=1):
        of = Aggregate(type=aggregate, id=id, version=version, school_id=event.school_id)
        cause = Cause(at=self._now(), actor_type="admin")
        async with self._pool.acquire() as connection, connection.transaction():
            await self._outbox.add(connection, wrap(event, id=new_id(), of=of, cause=cause))


@pytest.fixture
async def producer(blank_database):
    async with asyncpg.create_pool(blank_database, min_size=0) as pool:
        async with pool.acquire() as owner:
            for statement in schema.statements(*schema.PRODUCER):
                await owner.execute(statement)
            await schema.prepare(owner, source="academics", shard_count=SHARDS)
        yield pool


@pytest.fixture
async def academics_address(producer, certificates):
    log = EventLogServicer(PostgresEventLog(producer))
    server, _status = build_server([partial(add_EventLogServiceServicer_to_server, log)])
    own = Identity(
        ca_file=certificates / "ca.pem",
        cert_file=certificates / "academics.pem",
        key_file=certificates / "academics-key.pem",
    )
    yield f"127.0.0.1:{await start_server(server, own, host='127.0.0.1', port=0)}"
    await server.stop(grace=0)


@asynccontextmanager
async def at_work(*loops):
    stop = asyncio.Event()
    tasks = [asyncio.create_task(loop(stop)) for loop in loops]
    yield
    stop.set()
    await asyncio.gather(*tasks)


async def test_a_room_that_was_made_a_moment_ago_is_known_and_one_that_is_gone_is_not(producer, service, redis_url):
    academics, room = Academics(producer, service.now), uuid4()
    state = {"classroom_id": room, "school_id": service.school_id}
    async with writer_client(redis_url) as redis:
        relay = Relay(source="academics", pool=producer, redis=redis, shards=range(SHARDS))
        async with at_work(relay.run, *service.loops["consumers"]):
            created = SchoolCreated(school_id=service.school_id, retired=False)
            await academics.say(created, aggregate="school", id=service.school_id)
            body = {"school_id": str(service.school_id), "serial": "RC-1", "public_key": public_pem(new_key())}
            made = (await service.dev.post("/dev/beacons", body)).expect(201)
            path = f"/dev/beacons/{made['id']}/classroom"

            await academics.say(ClassroomCreated(**state, retired=False), aggregate="classroom", id=room)
            there = await service.dev.put(path, {"classroom_id": str(room)})
            (await service.dev.call("DELETE", path)).expect(204)
            await academics.say(ClassroomDeleted(**state, retired=True), aggregate="classroom", id=room, version=2)
            elsewhere = await service.dev.put(path, {"classroom_id": str(uuid4())})
            gone = await service.dev.put(path, {"classroom_id": str(room)})

    assert [there.word, elsewhere.word, gone.word] == ["200", "not_found", "not_found"]


async def test_a_no_waits_until_the_copy_is_further_than_the_clocks_may_be_apart(database):
    async with asyncpg.create_pool(database.admin_url, min_size=0) as pool:
        await pool.execute(COPY_IS_COMPLETE)
        places = CopiedPlaces(pool, shard_count=SHARDS, patience_s=0.1)

        await pool.execute(UP_TO, timedelta(milliseconds=200))
        with pytest.raises(UnavailableError, match="academics_down"):
            await places.has("classroom", uuid4(), school_id=uuid4())
        await pool.execute(UP_TO, timedelta(minutes=1))
        assert not await places.has("classroom", uuid4(), school_id=uuid4())


@pytest.mark.parametrize("what", ["an event of the room", "an event of anybody"])
async def test_nothing_is_said_of_a_room_while_events_are_put_aside_that_may_be_about_it(database, what):
    school, room = uuid4(), uuid4()
    async with asyncpg.create_pool(database.admin_url, min_size=0) as pool:
        await pool.execute(COPY_IS_COMPLETE)
        places = CopiedPlaces(pool, shard_count=SHARDS)
        await pool.execute(KNOW, room, "classroom", school)
        assert await places.has("classroom", room, school_id=school)

        await pool.execute(PARK, shard_of(school, SHARDS), room if what == "an event of the room" else None)
        with pytest.raises(UnavailableError, match="academics_down"):
            await places.has("classroom", room, school_id=school)
        with pytest.raises(UnavailableError) if what == "an event of anybody" else nullcontext():
            assert not await places.has("classroom", uuid4(), school_id=school)
