"""A gRPC channel that follows its certificate: credentials of a client are read once, so the channel is built anew."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

RECHECK_S = 60.0
# What calls that run on the old channel may still take.
GRACE_S = 30.0


class RenewingChannel(grpc.aio.Channel):
    """Passes calls to a channel that is as new as `certificate`; calls that run end on the one they began on.

    build: reads the files and makes a channel. certificate: the file that is replaced last.
    """

    def __init__(
        self,
        build: Callable[[], grpc.aio.Channel],
        *,
        certificate: Path,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build, self._certificate, self._monotonic = build, certificate, monotonic
        self._closing: set[asyncio.Task[None]] = set()
        self._checked_at_s, self._stamp = monotonic(), self._stamp_now()
        self._channel: grpc.aio.Channel = build()

    def current(self) -> grpc.aio.Channel:
        """Return the channel for a new call."""
        if self._monotonic() - self._checked_at_s >= RECHECK_S:
            self._checked_at_s = self._monotonic()
            if self._stamp_now() != self._stamp:
                self._renew()
        return self._channel

    def _renew(self) -> None:
        task = asyncio.create_task(self._channel.close(GRACE_S))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._stamp, self._channel = self._stamp_now(), self._build()

    def _stamp_now(self) -> int:
        return self._certificate.stat().st_mtime_ns

    def _later(self, kind: str, *how: Any, **how_named: Any) -> Any:  # noqa: ANN401 -- gRPC's own callables
        method, made_on = None, None

        def call(*request: Any, **options: Any) -> Any:  # noqa: ANN401 -- any message
            nonlocal method, made_on
            if (channel := self.current()) is not made_on:
                method, made_on = getattr(channel, kind)(*how, **how_named), channel
            return method(*request, **options)

        return call

    def unary_unary(self, *how: Any, **how_named: Any) -> Any:  # noqa: ANN401 -- gRPC's own
        return self._later("unary_unary", *how, **how_named)

    def unary_stream(self, *how: Any, **how_named: Any) -> Any:  # noqa: ANN401 -- gRPC's own
        return self._later("unary_stream", *how, **how_named)

    def stream_unary(self, *how: Any, **how_named: Any) -> Any:  # noqa: ANN401 -- gRPC's own
        return self._later("stream_unary", *how, **how_named)

    def stream_stream(self, *how: Any, **how_named: Any) -> Any:  # noqa: ANN401 -- gRPC's own
        return self._later("stream_stream", *how, **how_named)

    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(self._channel.close(grace), *self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._closing:
            task.cancel()
        await self._channel.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 -- gRPC's own
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()
