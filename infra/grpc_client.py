"""Channels to other services: mTLS, a deadline on every call, retries for queries only, ids passed on."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from contracts.problems import DeadlineError, UnavailableError
from contracts.rpc.callers import QUERIES
from infra.grpc_problems import to_problem
from infra.grpc_server import Identity
from infra.renewing_channel import RenewingChannel
from infra.request_context import current
from infra.telemetry import logger

Response = TypeVar("Response")

QUERY_TIMEOUT_S = 0.3
COMMAND_TIMEOUT_S = 2.0
# Of one peer's calls at once: more would only wait on the other side, and use up their deadlines there.
CALLS_AT_ONCE = 32
# What a caller keeps for its own answer when it passes its deadline on.
RESERVE_S = 0.05
MIN_TIMEOUT_S = 0.01
# What a connection may take, its handshakes included, before another is tried: longer than any call waits, for a slow
# network or a busy machine is no outage; short enough to find out soon when a lost host is back.
CONNECT_TIMEOUT_S = 5.0
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": name} for name in sorted(QUERIES)],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # A callee that is down is not hammered: retries stop when most calls fail.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
OPTIONS = (
    ("grpc.service_config", json.dumps(RETRIES)),
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Not a pause, whatever its name says: github.com/grpc/grpc/issues/12830.
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_TIMEOUT_S * 1000)),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

log = logger(__name__)


def connect(address: str, *, callee: str, identity: Identity) -> grpc.aio.Channel:
    """Return a lazy channel to `callee` ("academics") at host:port; its certificate must carry that DNS name.

    It follows the files of `identity` when they are renewed.
    """
    options = (*OPTIONS, ("grpc.ssl_target_name_override", callee))

    def build() -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(
            identity.ca_file.read_bytes(), identity.key_file.read_bytes(), identity.cert_file.read_bytes()
        )
        return grpc.aio.secure_channel(address, credentials, options=options)

    return RenewingChannel(build, certificate=identity.cert_file)


class Peer:
    """Calls one service: the deadline is the smaller of the call's own and what the request has left.

    Who finds too many calls under way waits first, and is not taken for a victim of an outage because of it.
    An outage is logged with its cause when it begins, and when it has ended: callers only hear that there is one.
    """

    def __init__(self, callee: str) -> None:
        self.callee = callee
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._is_down = False

    async def ask(
        self, call: Callable[..., Awaitable[Response]], request: Message, *, timeout_s: float = QUERY_TIMEOUT_S
    ) -> Response:
        """Return the answer of `call`, a stub's method.

        Raises: the ProblemError that the callee raised, UnavailableError("<callee>_down"),
        DeadlineError when the request being served has no time left.
        """
        async with self._slots:
            return await self._ask(call, request, timeout_s)

    async def _ask(self, call: Callable[..., Awaitable[Response]], request: Message, timeout_s: float) -> Response:
        context = current()
        metadata: tuple[tuple[str, str], ...] = ()
        if context is not None:
            metadata = (("x-request-id", context.request_id), ("traceparent", context.traceparent))
            remaining_s = context.remaining_s()
            if remaining_s is not None:
                timeout_s = min(timeout_s, remaining_s - RESERVE_S)
        if timeout_s < MIN_TIMEOUT_S:
            raise DeadlineError("deadline_exceeded")
        try:
            answer = await call(request, timeout=timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            problem = to_problem(error, callee=self.callee)
            self._note(error if isinstance(problem, UnavailableError) else None)
            raise problem from error
        self._note(None)
        return answer

    def _note(self, outage: grpc.aio.AioRpcError | None) -> None:
        if outage is not None and not self._is_down:
            fields = {"callee": self.callee, "status": outage.code().name, "error": outage.details()}
            log.warning("a service does not answer", action="peer_down", **fields)
        elif outage is None and self._is_down:
            log.info("a service answers again", action="peer_up", callee=self.callee)
        self._is_down = outage is not None
