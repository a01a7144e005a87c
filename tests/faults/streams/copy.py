"""A copy in which a second effect, a missing one or another order would show."""

import asyncio

EFFECTS = """
CREATE TABLE effect (id bigint GENERATED ALWAYS AS IDENTITY, event_id uuid NOT NULL, shard int NOT NULL, pos bigint)
"""


class Copy:
    """One row per event applied. pause_s: how long that takes in shard 0."""

    def __init__(self, pause_s=0.0):
        self.pause_s = pause_s

    async def on_painted(self, connection, event):
        if self.pause_s and event.shard == 0:
            await asyncio.sleep(self.pause_s)
        await connection.execute(
            "INSERT INTO effect (event_id, shard, pos) VALUES ($1, $2, $3)", event.id, event.shard, event.pos
        )

    async def on_all(self, connection, events):
        for event in events:
            await self.on_painted(connection, event)

    async def reset(self, connection, shard):
        await connection.execute("DELETE FROM effect WHERE shard = $1", shard)
