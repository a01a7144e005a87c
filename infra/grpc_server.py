"""The gRPC server that every service stands on: mTLS, per-method callers, deadlines, request ids, problems."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from contracts.problems import DeadlineError, ForbiddenError, InvalidInputError, UnauthenticatedError
from contracts.rpc.callers import CALLERS, LOG_READERS, LOG_SERVICE, Peer
from infra.grpc_problems import Context, problems_to_status
from infra.request_context import serving

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Register: TypeAlias = "Callable[[grpc.aio.Server], None]"

MAX_DEADLINE_S = 30.0
# With less left, a write could not be finished before its caller has given up.
MIN_DEADLINE_S = 0.05
SPIFFE_ID = re.compile(r"spiffe://rollcall\.[a-z0-9-]+/svc/([a-z]+)")
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_send_message_length", 4 << 20),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
)
WRAP: dict[str, Callable[..., Any]] = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A service's own certificate and the authority that signed its peers': PEM files, read anew when needed."""

    ca_file: Path
    cert_file: Path
    key_file: Path


def server_credentials(identity: Identity) -> grpc.ServerCredentials:
    """Return credentials that demand a client certificate and follow the files when they are renewed."""

    def load() -> grpc.ServerCertificateConfiguration:
        chain = [(identity.key_file.read_bytes(), identity.cert_file.read_bytes())]
        return grpc.ssl_server_certificate_configuration(chain, root_certificates=identity.ca_file.read_bytes())

    return grpc.dynamic_ssl_server_credentials(load(), load, require_client_authentication=True)


class Gate(grpc.aio.ServerInterceptor):
    """Lets a call in when its peer may make it and it carries a deadline; answers its problems.

    service: the one that serves ("academics"); it decides who may read the log.
    """

    def __init__(self, service: str = "") -> None:
        self._service = service

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> "Handler | None":
        handler = await continuation(details)
        if handler is None:  # no such method: gRPC itself answers UNIMPLEMENTED
            return None
        kind = next((k for k in WRAP if getattr(handler, k) is not None), None)
        if kind is None:
            raise TypeError(f"{details.method} streams requests, which no contract here does")
        callers = callers_of(details.method, self._service)
        method = guarded(getattr(handler, kind), details.method, callers, reader(handler.request_deserializer))
        # No deserializer: the bytes of a stranger are not even read.
        return WRAP[kind](method, response_serializer=handler.response_serializer)  # type: ignore[no-any-return]


def callers_of(method: str, service: str) -> frozenset[Peer]:
    """Return who may call `method` ("/package.Service/Method") of `service` ("academics")."""
    package, _, name = method.removeprefix("/").partition("/")
    if package == LOG_SERVICE and service:
        return LOG_READERS[service]
    return CALLERS.get(package, {}).get(name, frozenset())


def reader(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Return `parse`, whose failure is a problem. It raises: InvalidInputError("malformed_message")."""

    def read(raw: bytes) -> Any:  # noqa: ANN401 -- any message
        try:
            return parse(raw) if parse else raw
        except DecodeError as error:
            raise InvalidInputError("malformed_message") from error

    return read


def guarded(
    method: Callable[..., Any], name: str, callers: frozenset[Peer], read: Callable[[bytes], Any]
) -> Callable[..., Any]:
    """Return `method` behind the gate, and of the same kind, by which gRPC chooses how to call it."""
    if inspect.isasyncgenfunction(method):

        async def generate(raw: bytes, context: Context) -> AsyncIterator[Any]:
            async with admitted(context, name, callers):
                async for answer in method(read(raw), context):
                    yield answer

        return generate
    if not inspect.iscoroutinefunction(method):
        return method  # the generated "not implemented"

    async def call(raw: bytes, context: Context) -> Any:  # noqa: ANN401 -- any message
        async with admitted(context, name, callers) as limit_s:
            async with asyncio.timeout(limit_s):
                return await method(read(raw), context)

    return call


@asynccontextmanager
async def admitted(context: Context, method: str, callers: frozenset[Peer]) -> AsyncIterator[float]:
    """Check the peer and the deadline of a call and serve it in its context; yield the seconds it has."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    async with problems_to_status(context, method):
        check_peer(context.auth_context(), callers)
        limit_s = check_deadline(context.time_remaining())
        with serving(request_id=metadata.get("x-request-id"), traceparent=metadata.get("traceparent"), limit_s=limit_s):
            try:
                yield limit_s
            except TimeoutError as error:
                raise DeadlineError("deadline_exceeded") from error


def check_peer(auth: Mapping[str, Iterable[bytes]], callers: frozenset[Peer]) -> None:
    """Pass when the peer's certificate names exactly one service, and that is one of `callers`.

    Raises: UnauthenticatedError("peer_unauthenticated"), ForbiddenError("peer_forbidden").
    """
    peer = peer_of(auth)
    if peer is None:
        raise UnauthenticatedError("peer_unauthenticated")
    if peer not in callers:
        raise ForbiddenError("peer_forbidden")


def peer_of(auth: Mapping[str, Iterable[bytes]]) -> str | None:
    """Return the service that the peer's certificate names ("academics"), None unless it is exactly one."""
    names = list(auth.get("peer_spiffe_id", ()))
    match = SPIFFE_ID.fullmatch(names[0].decode("utf-8", "replace")) if len(names) == 1 else None
    return match[1] if match else None


def check_deadline(remaining_s: float | None) -> float:
    """Return the seconds a call may take. Raises: InvalidInputError("deadline_missing"), DeadlineError."""
    if remaining_s is None:
        raise InvalidInputError("deadline_missing")
    if remaining_s < MIN_DEADLINE_S:
        raise DeadlineError("deadline_exceeded")
    return min(remaining_s, MAX_DEADLINE_S)


def build_server(
    registers: Iterable[Register], *, service: str = "", max_calls: int = 1024
) -> tuple[grpc.aio.Server, health.HealthServicer]:
    """Return a server with every servicer registered and the standard health service; bind and start it yourself."""
    server = grpc.aio.server(interceptors=[Gate(service)], options=OPTIONS, maximum_concurrent_rpcs=max_calls)
    for register in registers:
        register(server)
    status = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    return server, status


async def start_server(server: grpc.aio.Server, identity: Identity, *, host: str, port: int) -> int:
    """Bind with mTLS and start; return the port that was bound."""
    bound = server.add_secure_port(f"{host}:{port}", server_credentials(identity))
    await server.start()
    return bound


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
