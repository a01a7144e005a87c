"""How long news are under way (G13): `python -m tests.bench.lag`.

From a commit in academics to the commit in attendance's copy, and from a commit in attendance until a consumer has
read of it. PostgreSQL says when each was committed, so nobody has to look while the load runs.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import asyncpg
import redis
import typer
import uvloop

from infra.clock import utc_now
from infra.local.databases import with_database
from infra.local.variables import SHARD_COUNT
from infra.secret_box import SecretBox
from infra.signing_keys import load_or_make
from infra.tokens import USER_TOKEN, TokenSigner
from streams.names import stream_key
from tests.bench.cpu import CpuMeter
from tests.bench.figures import percentile
from tests.bench.hall import HallLoad
from tests.bench.load import CONNECTIONS, Connection, post
from tests.bench.proofs import ProofLoad, singles
from tests.bench.running import System, running
from tests.bench.schools import Schools, plan_schools
from tests.bench.seeding import seed
from tests.waiting import until

SETTINGS = {"track_commit_timestamp": "on"}
PLAN_EVERY_S = 0.05
REST_S, IDLE_S = 5.0, 10.0
PROOFS_EACH = 40
CREATED = 201
TOKEN_TTL = timedelta(minutes=10)
LATER = timedelta(days=30)
TIMEOUT_S = 30.0
WRITTEN = """
SELECT course_id, pg_xact_commit_timestamp(xmin) AS at FROM course_version WHERE course_id = ANY ($1) AND version = 1
"""
COPIED = WRITTEN.replace("course_version", "copy_course")
# The first event of a signature is told by the transaction that made its first transition.
SIGNED = """
SELECT l.event_id, pg_xact_commit_timestamp(t.xmin) AS at
FROM streams_log l JOIN signature_transition t ON t.signature_id = l.agg_id AND t.n = 1
WHERE l.event_id = ANY ($1) AND l.agg_type = 'signature' AND l.aggver = 1
"""


@dataclass
class Lags:
    """Milliseconds under way. copied: academics to the copy. heard: attendance to a consumer."""

    copied_ms: list[float] = field(default_factory=list)
    heard_ms: list[float] = field(default_factory=list)

    def shown(self, name: str) -> Iterator[str]:
        for what, found in (
            ("academics → attendance's copy", self.copied_ms),
            ("attendance → a consumer", self.heard_ms),
        ):
            if found:
                figures = ", ".join(f"p{percent} {percentile(found, percent):.0f}" for percent in (50, 95, 99))
                yield f"{name}: {what}: {figures}, most {max(found):.0f} ms, of {len(found)}"


@dataclass
class Planner:
    """An administrator who plans courses, one after the other."""

    connection: Connection
    token: str
    planned: list[str] = field(default_factory=list)

    async def plan(self) -> None:
        start_at = utc_now() + LATER
        body = {
            "name": "Lag",
            "start_at": start_at.isoformat(timespec="seconds"),
            "end_at": (start_at + timedelta(hours=1)).isoformat(timespec="seconds"),
        }
        request = post(
            "/courses", json.dumps(body).encode(), token=self.token, headers={"Idempotency-Key": str(uuid4())}
        )
        heard = await self.connection.send(request)
        if heard.status != CREATED:
            raise RuntimeError(heard.fault())
        self.planned.append(heard.json()["id"])

    async def keep_planning(self) -> None:
        while True:
            await self.plan()
            await asyncio.sleep(PLAN_EVERY_S)


@asynccontextmanager
async def planning(system: System, schools: Schools) -> AsyncIterator[Planner]:
    """Plan courses for as long as the block lasts."""
    url = with_database(system.stack.postgres.admin_url, "identity")
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        kid, key = await load_or_make(pool, SecretBox.from_file(system.stack.place.keys / "identity"))
    claims = {"sid": str(uuid4()), "user_type": "admin", "school_id": str(schools.school_ids[0])}
    token = TokenSigner(USER_TOKEN, key=key, kid=kid).sign(uuid4(), now=utc_now(), ttl=TOKEN_TTL, claims=claims)
    planner = Planner(await Connection.open(*system.door), token)
    try:
        await planner.plan()
        task = asyncio.create_task(planner.keep_planning())
        yield planner
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            raise error
    finally:
        await planner.connection.close()


@dataclass(kw_only=True)
class Under:
    """What happened while a load ran."""

    system: System
    planner: Planner
    heard: Path

    async def lags(self) -> Lags:
        """Return how long all of it was under way."""
        courses = self.planner.planned
        academics, attendance = self.system.admins["academics"], self.system.admins["attendance"]

        async def copied() -> dict:
            found = {row["course_id"]: row["at"] for row in await attendance.fetch(COPIED, courses)}
            return found if len(found) == len(courses) else {}

        there = await until(copied, TIMEOUT_S)
        rows = await academics.fetch(WRITTEN, courses)
        heard_at = dict(line.split() for line in self.heard.read_text().splitlines())
        told = await attendance.fetch(SIGNED, list(heard_at))
        return Lags(
            copied_ms=[(there[row["course_id"]] - row["at"]) / timedelta(milliseconds=1) for row in rows],
            heard_ms=[float(heard_at[str(row["event_id"])]) - row["at"].timestamp() * 1000 for row in told],
        )


@asynccontextmanager
async def watching(system: System, schools: Schools, folder: Path) -> AsyncIterator[Under]:
    """Plan courses, and let a process of its own read attendance's streams."""
    heard = folder / f"heard-{uuid4()}"
    command = [sys.executable, "-m", "tests.bench.lag", "hear", system.stack.valkey.url(), str(heard)]
    listener = await asyncio.to_thread(subprocess.Popen, command)
    try:
        await until(heard.exists, TIMEOUT_S)
        async with planning(system, schools) as planner:
            yield Under(system=system, planner=planner, heard=heard)
    finally:
        listener.send_signal(signal.SIGTERM)
        await asyncio.to_thread(listener.wait)


class LagLoad:
    """Loads the system and watches how long news are under way meanwhile. acknowledged: signatures promised."""

    def __init__(self, system: System, schools: Schools, folder: Path, *, bystanders: Sequence[int] = ()) -> None:
        self._system, self._schools, self._folder, self._bystanders = system, schools, folder, list(bystanders)
        self._proofs = ProofLoad(system, bystanders=self._bystanders, most_s=TIMEOUT_S)
        self.bursts: list[str] = []

    @property
    def acknowledged(self) -> list[str]:
        return self._proofs.acknowledged + self.bursts

    async def at_rest(self) -> Lags:
        async with watching(self._system, self._schools, self._folder) as under:
            await asyncio.sleep(REST_S)
        return await under.lags()

    async def under_load(self, proofs: int) -> Lags:
        """While each beacon pushes so many proofs, one by one."""
        async with watching(self._system, self._schools, self._folder) as under:
            await self._proofs.measure(singles(proofs), self._schools.rooms)
        return await under.lags()

    async def in_burst(self, turn: int) -> Lags:
        """While the 300 phones of a hall sign at once."""
        async with HallLoad.opened(self._system, bystanders=self._bystanders) as hall:
            async with watching(self._system, self._schools, self._folder) as under:
                await hall.burst(self._schools.halls[turn])
            self.bursts += hall.acknowledged
        return await under.lags()

    async def measure(self, turn: int, *, proofs: int) -> dict[str, float]:
        """Return what one round says of goal G13."""
        load, burst = await self.under_load(proofs), await self.in_burst(turn)
        return {"G13": percentile(load.copied_ms, 99), "G13 burst": percentile(burst.heard_ms, 99)}


def plan(origin: str, *, rounds: int, proofs: int, numbers: Iterator[int] | None = None) -> Schools:
    """Return the schools that so many rounds need."""
    codes = [rounds * proofs] * CONNECTIONS
    return plan_schools(origin=origin, codes=codes, hall_count=rounds, numbers=numbers)


app = typer.Typer(add_completion=False)


@app.command()
def hear(redis_url: str, file: Path) -> None:
    """Read attendance's streams as a consumer does, and write down when each event came, in milliseconds."""
    places = {stream_key("attendance", shard): "$" for shard in range(SHARD_COUNT)}
    with redis.Redis.from_url(redis_url, protocol=2) as client, file.open("w", buffering=1) as lines:
        for key in places:
            newest = client.xrevrange(key, count=1)
            places[key] = newest[0][0] if newest else "0-0"
        while True:
            for key, entries in client.xread(places, count=500, block=1_000) or ():
                now_ms = utc_now().timestamp() * 1000
                places[key.decode()] = entries[-1][0]
                lines.writelines(f"{fields[b'id'].decode()} {now_ms}\n" for _, fields in entries)


@app.command()
def measure(rounds: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Start the system and show how long news are under way."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-lag-"))
    uvloop.run(measured(folder, rounds, typer.echo))
    shutil.rmtree(folder)


async def measured(folder: Path, rounds: int, say: Callable[[str], None]) -> None:
    """Measure so often."""
    async with running(folder, settings=SETTINGS) as system:
        schools = plan(system.origin, rounds=rounds, proofs=PROOFS_EACH)
        await seed(schools, system.stack)
        with CpuMeter(system.programs()) as used:
            await asyncio.sleep(IDLE_S)
        shares = ", ".join(f"{name} {s / used.elapsed_s:.1%}" for name, s in used.by_program.items())
        say(f"idle: {shares}; others {used.foreign_share:.0%}")
        load = LagLoad(system, schools, folder)
        for turn in range(rounds):
            for name, lags in (
                ("at rest", await load.at_rest()),
                ("under load", await load.under_load(PROOFS_EACH)),
                ("in a burst", await load.in_burst(turn)),
            ):
                for line in lags.shown(name):
                    say(line)


if __name__ == "__main__":
    app()
