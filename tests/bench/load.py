"""A closed-loop load: every connection sends its next request as soon as the last one was answered."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.bench.cpu import Used
from tests.bench.figures import Sample, percentile

# A request is answered with a fault in one word, or None.
Call = Callable[[], Awaitable[str | None]]
CONNECTIONS = 64
NO_ANSWER = (OSError, EOFError, ValueError, TimeoutError)


@dataclass
class Load:
    """What was measured: seconds per answer, and what was not a success."""

    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def sample(self, name: str, used: Used, *, per_request: int = 1, is_burst: bool = False) -> Sample:
        """Return what this load showed. per_request: how many attempts a request carries.

        is_burst: the seconds per answer all began at the same moment.
        """
        count = len(self.latencies_s) * per_request
        return Sample(
            name=name,
            count=count,
            seconds_s=self.elapsed_s,
            p50_ms=percentile(self.latencies_s, 50) * 1000,
            p99_ms=percentile(self.latencies_s, 99) * 1000,
            cpu_us=used.per(count),
            foreign_share=used.foreign_share,
            measured_s=used.elapsed_s,
            failures=self.failures,
            first_ms=percentile(self.latencies_s, 0) * 1000 if is_burst else None,
            last_ms=percentile(self.latencies_s, 100) * 1000 if is_burst else None,
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def fault(self) -> str:
        """Say in two words what went wrong: the status and the problem's code, else how the body begins."""
        try:
            return f"{self.status} {self.json()['code']}"
        except (ValueError, KeyError, TypeError):
            return f"{self.status} {self.body[:80].decode(errors='replace')}"


class Connection:
    """One keep-alive HTTP/1.1 connection that costs the load generator little."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.open_connection(host, port))

    async def send(self, request: bytes) -> Heard:
        """Send a request as `post` makes it and return the answer."""
        self._writer.write(request)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return Heard(int(answer[9:12]), await self._reader.readexactly(length))

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def open_connections(stack: AsyncExitStack, count: int, host: str, port: int) -> list[Connection]:
    """Open connections that are closed with `stack`."""
    opened = []
    for _ in range(count):
        opened.append(await Connection.open(host, port))
        stack.push_async_callback(opened[-1].close)
    return opened


def post(path: str, body: bytes, *, token: str = "", headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def closed_loop(lines: Iterable[Iterable[Call]], *, seconds: float = float("inf")) -> Load:
    """Work off each line of calls in order, all lines side by side, until they end or time is up.

    A line may prepare its next call when it is asked for it: that is not timed.
    """
    load = Load()
    started = time.perf_counter()
    await asyncio.gather(*(_drive(calls, load, started + seconds) for calls in lines))
    load.elapsed_s = time.perf_counter() - started
    return load


async def _drive(calls: Iterable[Call], load: Load, ends_at: float) -> None:
    line = iter(calls)
    # The time is looked at first: a call that was prepared is made.
    while time.perf_counter() < ends_at and (call := next(line, None)) is not None:
        started = time.perf_counter()
        try:
            fault = await call()
        except NO_ANSWER as error:
            load.failures.append(type(error).__name__)
            return
        if fault is None:
            load.latencies_s.append(time.perf_counter() - started)
        else:
            load.failures.append(fault)
