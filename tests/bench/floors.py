"""What this machine can do at all: the single pieces of the hot path, each by itself."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec

from infra.canon import canonical, is_signed, sign
from tests.bench.cpu import CpuMeter
from tests.bench.load import Connection, Load, closed_loop

CONNECTIONS = 64
BODY = json.dumps({"kid": "0123456789abcdef", "seq": 1, "code": 123456789, "observed_at": 1767225604200}).encode()
SCHEMA = """
CREATE TABLE IF NOT EXISTS a (id uuid PRIMARY KEY, key text UNIQUE, body text);
CREATE TABLE IF NOT EXISTS b (id uuid PRIMARY KEY, n bigint, body text);
CREATE TABLE IF NOT EXISTS c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea);
"""
ONE_STATEMENT = """
WITH a AS (INSERT INTO a VALUES ($1, $2, $3)), b AS (INSERT INTO b VALUES ($1, 1, $3))
INSERT INTO c (body) VALUES ($4)
"""
BATCH = """
WITH i AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t (id, key, body)),
     a AS (INSERT INTO a SELECT id, key, body FROM i), b AS (INSERT INTO b SELECT id, 1, body FROM i)
INSERT INTO c (body) SELECT convert_to(body, 'UTF8') FROM i
"""
BATCH_COUNT = 256


@dataclass(frozen=True)
class Floor:
    """One measured piece: how many a second, and the CPU it took, load generator left out."""

    name: str
    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    foreign_share: float


@asynccontextmanager
async def child(kind: str) -> AsyncIterator[tuple[int, int]]:
    """Run a floor's server; yield its pid and port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.floor_servers", kind, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process.pid, int(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def http_floor(seconds: float) -> Floor:
    async with child("http") as (pid, port):

        async def calls() -> AsyncIterator[Callable[[], Awaitable[str | None]]]:
            connection = await Connection.open("127.0.0.1", port)

            async def call() -> str | None:
                status, _ = await connection.post("/", BODY)
                return None if status == 200 else str(status)

            while True:
                yield call

        return await measure("aiohttp + pydantic, one request", pid, calls, seconds)


async def grpc_floor(seconds: float) -> Floor:
    async with child("grpc") as (pid, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary("/bench.Echo/Echo")

        async def calls() -> AsyncIterator[Callable[[], Awaitable[str | None]]]:
            async def call() -> str | None:
                await echo(BODY, timeout=10)
                return None

            while True:
                yield call

        return await measure("grpc.aio, one hop (server side)", pid, calls, seconds)


async def measure(name: str, pid: int, calls: Callable[[], AsyncIterator[object]], seconds: float) -> Floor:
    await closed_loop([calls() for _ in range(CONNECTIONS)], seconds=0.3)
    with CpuMeter([pid], [os.getpid()]) as used:
        load = await closed_loop([calls() for _ in range(CONNECTIONS)], seconds=seconds)
    return floor_of(name, load, used.own_s, used.foreign_share)


def floor_of(name: str, load: Load, cpu_s: float, foreign_share: float) -> Floor:
    count = len(load.latencies_s)
    return Floor(
        name=name,
        per_second=load.per_second,
        cpu_us=cpu_s / count * 1e6,
        p50_ms=load.percentile_ms(50),
        p99_ms=load.percentile_ms(99),
        foreign_share=foreign_share,
    )


async def statement_floor(url: str, postgres_pid: int, seconds: float) -> Floor:
    """One CTE statement per commit, eight connections; client and server CPU together."""
    async with asyncpg.create_pool(url, min_size=8, max_size=8) as pool:
        await pool.execute(SCHEMA)

        async def calls() -> AsyncIterator[Callable[[], Awaitable[str | None]]]:
            async def call() -> str | None:
                made = uuid4()
                await pool.execute(ONE_STATEMENT, made, str(made), "x" * 300, b"y" * 600)
                return None

            while True:
                yield call

        with CpuMeter([os.getpid(), postgres_pid], []) as used:
            load = await closed_loop([calls() for _ in range(8)], seconds=seconds)
    return floor_of("Postgres, one CTE insert per commit", load, used.own_s, used.foreign_share)


async def verified_batch_floor(url: str, postgres_pid: int, seconds: float) -> Floor:
    """Verify a signature, then write in batches of 256 by one statement: the least a proof can cost."""
    key = ec.generate_private_key(ec.SECP256R1())
    message = canonical("att.flash-proof.v1", "bench", 1, 2, 3)
    signature, public = sign(message, key), key.public_key()
    load = Load()
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        await pool.execute(SCHEMA)
        with CpuMeter([os.getpid(), postgres_pid], []) as used:
            started = time.perf_counter()
            while load.elapsed_s < seconds:
                batch_started = time.perf_counter()
                ids = [uuid4() for _ in range(BATCH_COUNT) if is_signed(message, signature, public)]
                await pool.execute(BATCH, ids, [str(i) for i in ids], ["x" * 300] * len(ids))
                load.latencies_s += [time.perf_counter() - batch_started] * len(ids)
                load.elapsed_s = time.perf_counter() - started
    return floor_of("verify a signature + a row of a batch of 256", load, used.own_s, used.foreign_share)
