"""Real servers for the tests: PostgreSQL and Valkey from wheels, in a folder that is gone afterwards."""

import pathlib
import secrets
import tempfile
from dataclasses import dataclass

import asyncpg
import pytest
import redis.asyncio
from hypothesis import settings

from infra.local.databases import ServiceDatabase, create_database, with_database
from infra.local.postgres import LocalPostgres
from infra.local.valkey import LocalValkey
from infra.migrate import upgrade

# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDatabase:
    """One database and the URLs by which its app, its migrations and the superuser reach it."""

    __test__ = False

    app_url: str
    migrate_url: str
    admin_url: str


@pytest.fixture(scope="session")
def folder():
    """A folder for the whole run, of this worker alone."""
    with tempfile.TemporaryDirectory(prefix="rollcall-tests-") as name:
        yield pathlib.Path(name)


@pytest.fixture(scope="session")
def postgres(folder):
    """A running PostgreSQL 18; the tests need no power cuts survived, so nothing waits for the disk."""
    server = LocalPostgres(folder=folder / "postgres", log=folder / "postgres.log", settings={"fsync": "off"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(folder):
    """A running Valkey 9."""
    server = LocalValkey(folder=folder / "valkey", log=folder / "valkey.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def redis_url(valkey):
    """The URL of an empty Valkey, as the user who may do everything."""
    async with redis.asyncio.Redis.from_url(valkey.url()) as client:
        await client.flushall()
    return valkey.url()


@pytest.fixture
async def blank_database(postgres):
    """The superuser's URL of a database without any table."""
    name = f"t_{secrets.token_hex(8)}"
    await _execute(postgres.admin_url, f'CREATE DATABASE "{name}"')
    yield with_database(postgres.admin_url, name)
    await _execute(postgres.admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def _migrated():
    """The services whose template database is made and migrated."""
    return {}


@pytest.fixture
async def databases(postgres, _migrated):
    """A factory: `await databases("academics")` makes a fresh, migrated database of that service."""
    made = []

    async def make(service):
        if service not in _migrated:
            _migrated[service] = await _make_template(postgres, service)
        database = f"t_{secrets.token_hex(8)}"
        made.append(database)
        await _execute(
            postgres.admin_url,
            f'CREATE DATABASE "{database}" TEMPLATE "template_{service}" OWNER "{service}_migrate"',
        )
        wanted = _wanted(service, database)
        await create_database(postgres.admin_url, wanted)  # The rights to connect are not copied.
        return _urls(postgres, wanted)

    yield make
    for database in made:
        await _execute(postgres.admin_url, f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')


async def _make_template(postgres, service):
    wanted = _wanted(service, f"template_{service}")
    await create_database(postgres.admin_url, wanted)
    await upgrade(service, _urls(postgres, wanted).migrate_url)
    return wanted


def _wanted(service, database):
    return ServiceDatabase(
        service=service, database=database, migrate_password=f"{service}-migrate", app_password=f"{service}-app"
    )


def _urls(postgres, wanted):
    service, database = wanted.service, wanted.database
    return TestDatabase(
        app_url=postgres.url(database, f"{service}_app", wanted.app_password),
        migrate_url=postgres.url(database, f"{service}_migrate", wanted.migrate_password),
        admin_url=with_database(postgres.admin_url, database),
    )


async def _execute(url, statement):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
