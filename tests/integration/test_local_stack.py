"""The embedded PostgreSQL and Valkey: what the other tests and the demo stand on."""

import asyncpg
import pytest
import redis.asyncio

from infra.local.databases import ServiceDatabase, create_database, with_database


@pytest.fixture
async def odd(postgres):
    """The URLs of a service's database as (migrate, app), without tables."""
    wanted = ServiceDatabase(service="odd", database="a_b", migrate_password="it's", app_password='"x"')
    await create_database(postgres.admin_url, wanted)
    await create_database(postgres.admin_url, wanted)
    yield [
        {"host": "127.0.0.1", "port": postgres.port, "database": "a_b", "user": user, "password": password}
        for user, password in (("odd_migrate", "it's"), ("odd_app", '"x"'))
    ]
    admin = await asyncpg.connect(postgres.admin_url)
    await admin.execute('DROP DATABASE "a_b" WITH (FORCE)')
    await admin.close()


async def test_the_app_role_uses_what_migrations_make_and_makes_nothing(odd):
    migrate, app = [await asyncpg.connect(**how) for how in odd]
    await migrate.execute("CREATE TABLE thing (id int GENERATED ALWAYS AS IDENTITY, name text)")

    await app.execute("INSERT INTO thing (name) VALUES ('a')")

    assert await app.fetchval("SELECT count(*) FROM thing") == 1
    for forbidden in ("CREATE TABLE other (id int)", "DROP TABLE thing", "TRUNCATE thing", "CREATE SCHEMA mine"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(forbidden)
    await app.close()
    await migrate.close()


async def test_a_service_cannot_connect_to_another_services_database(postgres, odd):
    other = ServiceDatabase(service="other", database="i_b", migrate_password="m", app_password="a")
    await create_database(postgres.admin_url, other)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(**{**odd[1], "database": "i_b"})

    admin = await asyncpg.connect(postgres.admin_url)
    await admin.execute('DROP DATABASE "i_b" WITH (FORCE)')
    await admin.close()


async def test_a_wrong_password_is_refused(postgres):
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(with_database(f"postgresql://postgres:wrong@127.0.0.1:{postgres.port}", "postgres"))


async def test_a_blank_database_has_no_tables(blank_database):
    connection = await asyncpg.connect(blank_database)

    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

    assert tables == 0
    await connection.close()


async def test_valkey_is_empty_and_takes_streams(redis_url):
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.dbsize() == 0

        await client.xadd("{academics:0}:ev", {"a": "1"})

        assert await client.xlen("{academics:0}:ev") == 1
