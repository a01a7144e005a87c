"""A closed-loop load: every connection sends its next request as soon as the last one was answered."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field


@dataclass
class Load:
    """What was measured: seconds per answer, and what was not a success."""

    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.elapsed_s

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class Connection:
    """One keep-alive HTTP/1.1 connection that costs the load generator little."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(host, port))

    async def post(self, path: str, body: bytes, *, token: str = "") -> tuple[int, bytes]:
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{authorization}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(answer[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


async def closed_loop(requests: list[AsyncIterator[Callable[[], object]]], *, seconds: float) -> Load:
    """Drive one task per iterator until time is up or it ends; each yielded call is timed; it returns a fault or None."""
    load = Load()
    ends_at = time.perf_counter() + seconds
    started = time.perf_counter()
    await asyncio.gather(*(_drive(calls, load, ends_at) for calls in requests))
    load.elapsed_s = time.perf_counter() - started
    return load


async def _drive(calls: AsyncIterator[Callable[[], object]], load: Load, ends_at: float) -> None:
    async for call in calls:
        if time.perf_counter() >= ends_at:
            return
        started = time.perf_counter()
        fault = await call()
        if fault is None:
            load.latencies_s.append(time.perf_counter() - started)
        else:
            load.failures.append(fault)
