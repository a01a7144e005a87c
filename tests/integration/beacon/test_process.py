"""The service as a process: migrated by its own command, ready, relaying what it says."""

import aiohttp
from pydantic import SecretStr

from beacon_svc.__main__ import process
from infra.process import running
from tests.waiting import until


async def test_it_says_that_it_is_ready_and_stops_when_told(settings, database, redis_url):
    await process.migrate(settings.model_copy(update={"migrate_database_url": SecretStr(database.migrate_url)}))

    async with running(process, settings) as ports, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{ports['http_port']}"

        async def ready():
            async with session.get(f"{url}/ready") as answer:
                return answer.status == 200 and await answer.json()

        checks = await until(ready)
        async with session.get(f"{url}/beacon/time") as answer:
            assert answer.status == 200

    assert checks == {"database": True, "token_keys": True, "accepting": True}


async def test_it_is_not_ready_for_a_database_that_was_set_up_otherwise(settings):
    other = settings.model_copy(update={"shard_count": 8})

    async with (
        running(process, other) as ports,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{ports['http_port']}/ready") as answer,
    ):
        assert (answer.status, (await answer.json())["database"]) == (503, False)
