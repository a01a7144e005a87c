"""What became of everything that was promised: in the database, in the log, in the stream."""

import asyncio
from dataclasses import dataclass

from redis.asyncio import Redis

from contracts.events.attendance import SignatureAccepted
from infra.local.variables import SHARD_COUNT
from streams.names import stream_key
from tests.bench.running import System

STANDING = """
SELECT id FROM signature WHERE status = 'ACCEPTED' AND superseded_by IS NULL AND voided_at IS NULL
"""
SEALED = "SELECT agg_id FROM streams_log WHERE type = $1"
PAGE = 1_000
PUBLISH_TIMEOUT_S = 60.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is wrong with what was kept; all zero when everything is as it was promised.

    acknowledged: signatures that clients were told are accepted. not_*: of these, missing there. twice: announced more
    than once. surplus: stand though nobody was told, as after an error.
    """

    acknowledged: int
    not_standing: int
    not_sealed: int
    not_published: int
    twice: int
    surplus: int

    @property
    def is_complete(self) -> bool:
        return not (self.not_standing or self.not_sealed or self.not_published or self.twice)


async def look(system: System, acknowledged: list[str]) -> Kept:
    """Compare what was acknowledged with what is there. Waits for the stream."""
    attendance = system.admins["attendance"]
    standing = {str(row["id"]) for row in await attendance.fetch(STANDING)}
    sealed = [str(row["agg_id"]) for row in await attendance.fetch(SEALED, SignatureAccepted.type)]
    async with Redis.from_url(system.stack.valkey.url()) as redis:
        published = await published_soon(redis, count=len(sealed))
    return compare(acknowledged, standing=standing, sealed=sealed, published=published)


def compare(acknowledged: list[str], *, standing: set[str], sealed: list[str], published: list[str]) -> Kept:
    """Say what is missing of `acknowledged`, and what is there too often."""
    promised = set(acknowledged)
    return Kept(
        acknowledged=len(acknowledged),
        not_standing=len(promised - standing),
        not_sealed=len(promised - set(sealed)),
        not_published=len(promised - set(published)),
        twice=len(acknowledged) - len(promised) + sum(len(found) - len(set(found)) for found in (sealed, published)),
        surplus=len(standing - promised),
    )


async def published_soon(redis: Redis, *, count: int) -> list[str]:
    """Return the signatures that the stream's events speak of, once there are `count` or patience ends."""
    ends_at = asyncio.get_running_loop().time() + PUBLISH_TIMEOUT_S
    while True:
        found = [each for shard in range(SHARD_COUNT) for each in await accepted_in(redis, shard)]
        if len(found) >= count or asyncio.get_running_loop().time() > ends_at:
            return found
        await asyncio.sleep(POLL_S)


async def accepted_in(redis: Redis, shard: int) -> list[str]:
    """Return the signatures that were accepted by the events of one shard."""
    found, after = [], "-"
    while page := await redis.xrange(stream_key("attendance", shard), min=after, count=PAGE):
        types = ((fields[b"type"].decode(), fields[b"subject"].decode()) for _, fields in page)
        found += [subject.partition("/")[2] for type_, subject in types if type_ == SignatureAccepted.type]
        after = f"({page[-1][0].decode()}"
    return found
