"""beacon_svc and attendance_svc as one program: what a hop between processes costs is what this does without (G19).

Both run as they are, with their own databases, doors and loops; only the call from one to the other is a function call.
`python -m tests.bench.one_process`, with the variables of both.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import grpc
import uvloop
from google.protobuf.message import Message

import attendance_svc.__main__
import beacon_svc.__main__
import beacon_svc.wiring
from infra.grpc_client import connect
from infra.process import Parts, ServiceProcess, running
from infra.telemetry import configure_logs


class FunctionCalls:
    """A gRPC channel whose other end is in this process; also the server that servicers are added to."""

    def __init__(self) -> None:
        self._methods: dict[str, Callable[..., Awaitable[Message]]] = {}

    async def __aenter__(self) -> "FunctionCalls":
        return self

    async def __aexit__(self, *_exception: object) -> None:
        pass

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Do nothing: the same handlers are registered by name, too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._methods |= {f"/{service}/{name}": handler.unary_unary for name, handler in handlers.items()}

    def unary_unary(self, path: str, **_more: object) -> Callable[..., Awaitable[Message]]:
        """Return what calls a method, which is looked up only then: the other service may not be wired yet."""

        async def call(request: Message, **_more: object) -> Message:
            return await self._methods[path](request, NoContext())

        return call


class NoContext:
    """The side of a call that its servicer sees; nothing was sent along."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()


def joined() -> tuple[ServiceProcess, ServiceProcess]:
    """Return attendance_svc and beacon_svc, the second calling the first."""
    calls, attendance, beacon = FunctionCalls(), attendance_svc.__main__.process, beacon_svc.__main__.process

    @asynccontextmanager
    async def build(settings) -> AsyncIterator[Parts]:
        async with attendance.build(settings) as parts:
            for register in parts.registers:
                register(calls)
            yield parts

    beacon_svc.wiring.connect = lambda address, *, callee, identity: (
        calls if callee == attendance.name else connect(address, callee=callee, identity=identity)
    )
    return replace(attendance, build=build), beacon


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with AsyncExitStack() as stack:
        for process in joined():
            await stack.enter_async_context(running(process, process.load()))
        await stop.wait()


if __name__ == "__main__":
    configure_logs("beacon", "info")
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main())
