"""What this machine can do at all: the single pieces of the hot path, each by itself."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec

from infra.canon import canonical, is_signed, sign
from infra.local.postgres import LocalPostgres
from tests.bench.cpu import CpuMeter
from tests.bench.figures import Sample
from tests.bench.load import CONNECTIONS, Call, Connection, Load, closed_loop, open_connections, post
from tests.bench.names import BATCHED_ROW, CHECKS, CHECKS_COUNT, GRPC, HTTP, STATEMENT

WARM_UP_S = 0.3
DATABASE_CONNECTIONS = 8
BATCH_COUNT = 256
CHECKS_TIMES = 9
BODY = json.dumps({"kid": "0123456789abcdef", "seq": 1, "code": 123456789, "observed_at": 1767225604200}).encode()
SCHEMA = """
CREATE TABLE IF NOT EXISTS a (id uuid PRIMARY KEY, key text UNIQUE, body text);
CREATE TABLE IF NOT EXISTS b (id uuid PRIMARY KEY, n bigint, body text);
CREATE TABLE IF NOT EXISTS c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea);
"""
ADD_ONE = """
WITH a AS (INSERT INTO a VALUES ($1, $2, $3)), b AS (INSERT INTO b VALUES ($1, 1, $3))
INSERT INTO c (body) VALUES ($4)
"""
ADD_BATCH = """
WITH i AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (id, key, body)),
     a AS (INSERT INTO a SELECT id, key, body FROM i), b AS (INSERT INTO b SELECT id, 1, body FROM i)
INSERT INTO c (body) SELECT convert_to(body, 'UTF8') FROM i
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The bare servers that the floors are measured on. bystanders: what else of ours runs."""

    http: tuple[int, int]
    grpc: tuple[int, int]
    postgres: LocalPostgres
    bystanders: Sequence[int] = ()

    @property
    def pids(self) -> list[int]:
        return [self.http[0], self.grpc[0], self.postgres.child.pid]


@asynccontextmanager
async def ground(folder: Path, *, bystanders: Sequence[int] = ()) -> AsyncIterator[Ground]:
    """Start the bare servers; PostgreSQL as the stack has it, but one of its own, where nothing else is done."""
    postgres = LocalPostgres(folder=folder / "floors", log=folder / "floors.log")
    async with child("http") as http, child("grpc") as rpc:
        postgres.start()
        try:
            yield Ground(http=http, grpc=rpc, postgres=postgres, bystanders=bystanders)
        finally:
            postgres.stop()


@asynccontextmanager
async def child(kind: str, *arguments: str, module: str = "floor_servers") -> AsyncIterator[tuple[int, int]]:
    """Run a bare server of a module beside this one; yield its pid and port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.bench.{module}", kind, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process.pid, int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def measure_floors(on: Ground, seconds: float) -> list[Sample]:
    """Measure every floor for so long."""
    return [
        await http_floor(on, seconds),
        await grpc_floor(on, seconds),
        await statement_floor(on, seconds),
        await batch_floor(on, seconds),
        checks_floor(on),
    ]


async def http_floor(on: Ground, seconds: float) -> Sample:
    """The server's CPU only: in the system the other end is somebody's phone."""
    pid, port = on.http
    async with AsyncExitStack() as stack:
        connections = await open_connections(stack, CONNECTIONS, "127.0.0.1", port)

        def calls(connection: Connection) -> Iterator[Call]:
            request = post("/", BODY)

            async def call() -> str | None:
                heard = await connection.send(request)
                return None if heard.status == 200 else heard.fault()

            return repeat(call)

        return await measure(HTTP, on, {"server": [pid]}, lambda: map(calls, connections), seconds)


async def grpc_floor(on: Ground, seconds: float) -> Sample:
    """Both ends: in the system they are two of our services."""
    pid, port = on.grpc
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary("/bench.Echo/Echo")

        async def call() -> str | None:
            await echo(BODY, timeout=10)
            return None

        programs = {"server": [pid], "client": [os.getpid()]}
        return await measure(GRPC, on, programs, lambda: [repeat(call)] * CONNECTIONS, seconds)


async def statement_floor(on: Ground, seconds: float) -> Sample:
    """Both ends, eight connections."""
    count = DATABASE_CONNECTIONS
    async with asyncpg.create_pool(on.postgres.admin_url, min_size=count, max_size=count) as pool:
        await pool.execute(SCHEMA)

        async def call() -> str | None:
            made = uuid4()
            await pool.execute(ADD_ONE, made, str(made), "x" * 300, b"y" * 600)
            return None

        return await measure(STATEMENT, on, both_ends(on), lambda: [repeat(call)] * count, seconds)


async def batch_floor(on: Ground, seconds: float) -> Sample:
    """The least that a proof can cost: its signature is checked, and it is kept with 255 others by one statement."""
    is_good, load = a_check(), Load()
    async with asyncpg.create_pool(on.postgres.admin_url, min_size=1, max_size=1) as pool:
        await pool.execute(SCHEMA)
        with CpuMeter(both_ends(on), bystanders=[*on.bystanders, *on.pids]) as used:
            started = time.perf_counter()
            while load.elapsed_s < seconds:
                batch_started = time.perf_counter()
                ids = [uuid4() for _ in range(BATCH_COUNT) if is_good()]
                await pool.execute(ADD_BATCH, ids, [str(i) for i in ids], ["x" * 300] * len(ids))
                load.latencies_s.append(time.perf_counter() - batch_started)
                load.elapsed_s = time.perf_counter() - started
    return load.sample(BATCHED_ROW, used, per_request=BATCH_COUNT)


def checks_floor(on: Ground) -> Sample:
    """As many checks as a hall has students: its latency is that of all of them."""
    is_good, load = a_check(), Load()
    with CpuMeter({"client": [os.getpid()]}, bystanders=[*on.bystanders, *on.pids]) as used:
        for _ in range(CHECKS_TIMES):
            started = time.perf_counter()
            if not all(is_good() for _ in range(CHECKS_COUNT)):
                load.failures.append("a good signature was refused")
            load.latencies_s.append(time.perf_counter() - started)
        load.elapsed_s = sum(load.latencies_s)
    return load.sample(CHECKS, used, per_request=CHECKS_COUNT)


def a_check() -> Callable[[], bool]:
    """Return what checks the signature of a proof."""
    key = ec.generate_private_key(ec.SECP256R1())
    message = canonical("att.flash-proof.v1", "bench", 1, 2, 3)
    return partial(is_signed, message, sign(message, key), key.public_key())


def both_ends(on: Ground) -> dict[str, list[int]]:
    return {"client": [os.getpid()], "postgres": [on.postgres.child.pid]}


async def measure(
    name: str,
    on: Ground,
    programs: dict[str, list[int]],
    lines: Callable[[], Iterable[Iterable[Call]]],
    seconds: float,
) -> Sample:
    """Warm up, then measure."""
    await closed_loop(lines(), seconds=WARM_UP_S)
    with CpuMeter(programs, bystanders=[*on.bystanders, *on.pids]) as used:
        load = await closed_loop(lines(), seconds=seconds)
    return load.sample(name, used)
