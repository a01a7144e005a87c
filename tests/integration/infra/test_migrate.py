"""Migrations run once, one at a time, all or nothing, and wait for nobody for long."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from infra import migrate
from infra.migrate import statements_of, upgrade

REVISION = '''"""{about}"""

from alembic import op

revision, down_revision = "{number}", {before!r}


def upgrade() -> None:
    """Go forward."""
    for statement in {statements!r}:
        op.execute(statement)
'''


@pytest.fixture
def revise(tmp_path, monkeypatch):
    """`revise("0001", "CREATE …")`: one more revision of a service named demo."""
    monkeypatch.setattr(migrate, "ROOT", tmp_path)
    versions = tmp_path / "demo_svc/migrations/versions"
    versions.mkdir(parents=True)

    def add(number, *statements):
        before = max((file.stem for file in versions.glob("*.py")), default=None)
        text = REVISION.format(about="Go on.", number=number, before=before, statements=statements)
        (versions / f"{number}.py").write_text(text)

    return add


async def tables(url):
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return [row[0] for row in rows]
    finally:
        await connection.close()


async def test_revisions_are_applied_in_order_and_once(revise, blank_database):
    revise("0001", "CREATE TABLE one (id int)", "INSERT INTO one VALUES (1)")
    await upgrade("demo", blank_database)
    revise("0002", "ALTER TABLE one RENAME TO two")

    await upgrade("demo", blank_database)
    await upgrade("demo", blank_database)

    assert await tables(blank_database) == ["alembic_version", "two"]


async def test_two_at_once_apply_everything_once(revise, blank_database):
    revise("0001", "CREATE TABLE one (id int)", "SELECT pg_sleep(0.2)")

    await asyncio.gather(*(upgrade("demo", blank_database) for _ in range(3)))

    assert await tables(blank_database) == ["alembic_version", "one"]


async def test_a_revision_that_fails_leaves_nothing(revise, blank_database):
    revise("0001", "CREATE TABLE one (id int)")
    revise("0002", "CREATE TABLE two (id int)", "SELECT 1/0")

    with pytest.raises(DBAPIError):
        await upgrade("demo", blank_database)

    assert await tables(blank_database) == []


async def test_a_table_that_is_in_use_is_waited_for_briefly(revise, blank_database, monkeypatch):
    monkeypatch.setattr(migrate, "LIMITS", "SET lock_timeout = '100ms'; SET statement_timeout = '5s'")
    revise("0001", "CREATE TABLE one (id int)")
    await upgrade("demo", blank_database)
    revise("0002", "ALTER TABLE one ADD COLUMN name text")
    reader = await asyncpg.connect(blank_database)
    async with reader.transaction():
        await reader.execute("SELECT * FROM one")

        with pytest.raises(DBAPIError, match="lock timeout"):
            await upgrade("demo", blank_database)
    await reader.close()

    await upgrade("demo", blank_database)


@pytest.mark.parametrize("service", ["identity", "academics", "attendance", "beacon"])
async def test_the_migrated_database_of_a_service_needs_no_more(service, databases):
    database = await databases(service)
    before = await tables(database.migrate_url)

    await asyncio.gather(*(upgrade(service, database.migrate_url) for _ in range(2)))

    assert await tables(database.migrate_url) == before
    assert len(before) > 3


async def test_the_role_of_the_app_changes_no_schema(databases):
    database = await databases("identity")
    connection = await asyncpg.connect(database.app_url)
    try:
        for statement in ("CREATE TABLE x (id int)", "DROP TABLE alembic_version", "TRUNCATE streams_log"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


def test_a_script_is_split_into_its_statements():
    statements = statements_of("infra/sql/seen_nonce.sql")

    assert [statement.split("(")[0].strip() for statement in statements] == [
        "CREATE TABLE seen_nonce",
        "CREATE INDEX seen_nonce_expires_at ON seen_nonce",
    ]
