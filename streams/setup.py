"""Bringing the database of a publishing service to its newest schema, and knowing whether it was brought there."""

import asyncpg

from contracts.problems import UnavailableError
from infra.postgres import Pool, check_durable, connection
from infra.settings import ServiceSettings
from streams.schema import WrongSetupError, check_shard_count, prepare


async def set_up(settings: ServiceSettings, *, source: str) -> None:
    """Apply the revisions that the database of `source` ("academics") lacks and prepare its log. Safe to repeat."""
    from infra.migrate import upgrade  # noqa: PLC0415 -- Alembic and SQLAlchemy stay out of serving processes

    url = (settings.migrate_database_url or settings.database_url).get_secret_value()
    await upgrade(source, url)
    owner = await asyncpg.connect(url)
    try:
        await prepare(owner, source=source, shard_count=settings.shard_count)
    finally:
        await owner.close()


async def is_set_up(pool: Pool, settings: ServiceSettings, *, source: str) -> bool:
    """Return whether the database can be reached, is set up as `settings` say, and does not forget."""
    try:
        async with connection(pool) as lent:
            await check_shard_count(lent, source=source, shard_count=settings.shard_count)
        return not (settings.require_durable_database and await check_durable(pool))
    except (UnavailableError, WrongSetupError, asyncpg.UndefinedTableError):
        return False
