"""An outside consumer: reads attendance's streams with a bare Redis client and counts."""

import re
from collections import Counter
from typing import Any

import redis.asyncio

from infra.demo.world import Scene, World, until

FLOW = "streams"
REQUIRED = frozenset(("specversion", "id", "source", "type"))  # Source: CloudEvents 1.0, required attributes
ATTRIBUTE = re.compile(r"[a-z0-9]+")
STATUS_EVENT = re.compile(r"attendance\.signature\.(accepted|late|refused|pending)\.v1")


async def read(world: World) -> list[dict[str, str]]:
    """Return every entry of attendance's streams, as the analytics user may read them."""
    stack = world.stage.services.stack
    if stack.valkey is None:
        raise RuntimeError("the demo reads its own Valkey")
    async with redis.asyncio.Redis.from_url(stack.valkey.url("analytics"), decode_responses=True) as client:
        entries: list[dict[str, str]] = []
        for shard in range(4):
            rows: Any = await client.xrange(f"{{attendance:{shard}}}:ev")
            entries += [fields for _, fields in rows]
        return entries


async def once_each(world: World) -> object:
    """Every signature that a door acknowledged has exactly one event of its last status."""
    wanted = "1 event each"

    async def look() -> str:
        counts = Counter(
            (entry["subject"].partition("/")[2], match[1].upper())
            for entry in await read(world)
            if (match := STATUS_EVENT.fullmatch(entry["type"]))
        )
        odd = {key: counts[key] for key in world.acknowledged.items() if counts[key] != 1}
        return wanted if not odd else f"not once: {odd}"

    return await until(look, wanted)


async def valid(world: World) -> object:
    """Every entry is a CloudEvent."""
    entries = await read(world)
    faults = [
        entry
        for entry in entries
        if not entry.keys() >= REQUIRED
        or entry["specversion"] != "1.0"
        or not all(map(ATTRIBUTE.fullmatch, entry.keys()))
    ]
    return "all valid" if entries and not faults else f"{len(faults)} faults in {len(entries)}"


async def in_order(world: World) -> object:
    """Positions are dense, and every entry names the hash of the one before."""
    last: dict[str, tuple[int, str]] = {}
    for entry in await read(world):
        position, before = last.get(entry["shard"], (0, entry["prevhash"]))
        if int(entry["sequence"]) != position + 1 or entry["prevhash"] != before:
            return f"broken at {entry['shard']}/{entry['sequence']}"
        last[entry["shard"]] = (int(entry["sequence"]), entry["hash"])
    return "dense and chained"


SCENES = [
    Scene(FLOW, "every acknowledged signature", "1 event each", once_each),
    Scene(FLOW, "every entry is a CloudEvent", "all valid", valid),
    Scene(FLOW, "positions and hashes", "dense and chained", in_order),
]
