"""A producer's log, read over gRPC."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc

from contracts.problems import NotFoundError, UnavailableError
from contracts.rpc.streams.api.v1 import streams_pb2 as pb
from contracts.rpc.streams.api.v1 import streams_pb2_grpc
from streams.entries import Head, Place
from streams.log import EventLog, LogPage, LogRefused, Refusal
from streams.log_wire import entry_from, head_from, place_to

TIMEOUT_S = 2.0
REFUSALS: dict[pb.LogOutcome, Refusal] = {
    pb.LOG_OUTCOME_REINCARNATED: "reincarnated",
    pb.LOG_OUTCOME_FORKED: "forked",
    pb.LOG_OUTCOME_TRUNCATED: "truncated",
}

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class GrpcEventLog(EventLog):
    """Asks EventLogService. Whoever gives the channel closes it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = streams_pb2_grpc.EventLogServiceStub(channel)

    async def head(self, shard: int) -> Head:
        return head_from((await _ask(self._stub.Head, pb.HeadRequest(shard=shard))).head)

    async def read(self, shard: int, after: Place, *, upto: int | None, limit: int) -> LogPage | LogRefused:
        request = pb.ReadLogRequest(shard=shard, after=place_to(after), upto=upto or 0, limit=limit)
        answer = await _ask(self._stub.ReadLog, request)
        if answer.outcome in REFUSALS:
            return LogRefused(reason=REFUSALS[answer.outcome], head=head_from(answer.head))
        return _page(shard, answer)

    async def read_since(self, shard: int, after_ms: int, *, limit: int) -> LogPage:
        return _page(
            shard, await _ask(self._stub.ReadLog, pb.ReadLogRequest(shard=shard, after_ms=after_ms, limit=limit))
        )


def _page(shard: int, answer: pb.ReadLogResponse) -> LogPage:
    head = head_from(answer.head)
    entries = (entry_from(entry, shard=shard, incarnation=head.incarnation) for entry in answer.entries)
    return LogPage(entries=tuple(entries), head=head)


async def _ask(call: Callable[..., Awaitable[Answer]], request: Request) -> Answer:
    try:
        return await call(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            raise NotFoundError("shard_unknown", error.details() or "") from error
        # Whatever else is wrong there, a reader's answer is the same: wait and ask again.
        raise UnavailableError("log_down", f"{error.code().name}: {error.details()}") from error
