"""Relays, readers and apps have the rights that they need, and not those that could hurt."""

import asyncpg
import pytest
from redis.exceptions import NoPermissionError

from infra.local.databases import ServiceDatabase, create_database
from infra.postgres import create_pool
from streams import schema
from streams.append import Appended, RedisStreamWriter
from streams.entries import NOTHING
from streams.reading import RedisStreamReader
from streams.redis_client import reader_client, writer_client
from streams.relay import ShardRelay
from streams.seal import PostgresLedger
from tests.streams_builders import SOURCE, Writer


async def test_a_relay_and_a_reader_get_by_with_their_own_rights(pool, redis_url, valkey, writer):
    await writer.paint(3)
    async with (
        writer_client(valkey.url("relay-academics")) as relays,
        reader_client(valkey.url("reader-attendance")) as readers,
    ):
        out = RedisStreamWriter(relays, source=SOURCE, shard=0)
        reader = RedisStreamReader(readers, source=SOURCE, shard=0)
        await ShardRelay(PostgresLedger(pool=pool, shard=0), out).turn()

        look = await reader.look(NOTHING)
        read = await reader.read(NOTHING)

        assert [entry.pos for entry in read] == [1, 2, 3]
        assert look.closed.pos == 3
        assert await out.delete(look.last) == Appended()


async def test_a_reader_cannot_write_and_a_relay_cannot_trim(redis_url, valkey):
    async with (
        writer_client(valkey.url("relay-academics")) as relays,
        reader_client(valkey.url("reader-attendance")) as readers,
    ):
        with pytest.raises(NoPermissionError):
            await readers.xadd("{academics:0}:ev", {"a": "b"})
        with pytest.raises(NoPermissionError):
            await relays.xtrim("{academics:0}:ev", maxlen=0)
        with pytest.raises(NoPermissionError):
            await relays.xadd("{identity:0}:ev", {"a": "b"})


@pytest.fixture
async def app_url(postgres, blank_database):
    """The service's own URL of a database that its migrations made."""
    name = blank_database.rpartition("/")[2].partition("?")[0]
    wanted = ServiceDatabase(service="academics", database=name, migrate_password="m", app_password="a")
    await create_database(postgres.admin_url, wanted)
    owner = await asyncpg.connect(postgres.url(name, "academics_migrate", "m"))
    for statement in (*schema.statements(*schema.PRODUCER), *schema.grants("academics_app")):
        await owner.execute(statement)
    await schema.prepare(owner, source=SOURCE, shard_count=1)
    await owner.close()
    return postgres.url(name, "academics_app", "a")


@pytest.fixture
async def app(app_url):
    connection = await asyncpg.connect(app_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE streams_log SET body = NULL",
        "DELETE FROM streams_log",
        "TRUNCATE streams_log",
        "UPDATE streams_pending SET shard = 1",
        "DELETE FROM streams_shard",
        "UPDATE streams_meta SET shard_count = 9",
        "ALTER TABLE streams_log DROP COLUMN body",
    ],
)
async def test_the_app_can_only_add_to_its_log(app, statement):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app.execute(statement)


async def test_the_app_can_write_and_seal(app_url):
    async with create_pool(app_url, name="test", size=2) as pool:
        await Writer(pool, 1).paint(3)

        sealed = await PostgresLedger(pool=pool, shard=0).seal(limit=10, seen=None)

        assert sealed.count == 3
        async with pool.acquire() as connection:
            await schema.check_shard_count(connection, source=SOURCE, shard_count=1)


async def test_another_number_of_shards_is_refused(app):
    with pytest.raises(schema.WrongSetupError):
        await schema.check_shard_count(app, source=SOURCE, shard_count=2)
