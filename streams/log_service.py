"""The gRPC door to a producer's log."""

import grpc

from contracts.ids import canonical_uuid
from contracts.problems import InvalidInputError
from contracts.rpc.streams.api.v1 import streams_pb2 as pb
from contracts.rpc.streams.api.v1 import streams_pb2_grpc
from streams.entries import Place
from streams.log import EventLog, LogPage, LogRefused, Refusal
from streams.log_wire import entry_to, head_to, place_from

Context = grpc.aio.ServicerContext[pb.ReadLogRequest, pb.ReadLogResponse]
OUTCOMES: dict[Refusal, pb.LogOutcome] = {
    "reincarnated": pb.LOG_OUTCOME_REINCARNATED,
    "forked": pb.LOG_OUTCOME_FORKED,
    "truncated": pb.LOG_OUTCOME_TRUNCATED,
}
HASH_BYTES = 32


class EventLogServicer(streams_pb2_grpc.EventLogServiceServicer):
    """Answers EventLogService; problems leave as exceptions, for the server's interceptor."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def Head(self, request: pb.HeadRequest, context: object) -> pb.HeadResponse:  # noqa: N802 -- as generated
        return pb.HeadResponse(head=head_to(await self._log.head(request.shard)))

    async def ReadLog(self, request: pb.ReadLogRequest, context: object) -> pb.ReadLogResponse:  # noqa: N802
        answer = await self._read(request)
        if isinstance(answer, LogRefused):
            return pb.ReadLogResponse(outcome=OUTCOMES[answer.reason], head=head_to(answer.head))
        entries = [entry_to(entry) for entry in answer.entries]
        return pb.ReadLogResponse(outcome=pb.LOG_OUTCOME_OK, head=head_to(answer.head), entries=entries)

    async def _read(self, request: pb.ReadLogRequest) -> LogPage | LogRefused:
        if request.WhichOneof("start") == "after_ms":
            return await self._log.read_since(request.shard, request.after_ms, limit=request.limit)
        after, upto = _place(request), request.upto or None
        return await self._log.read(request.shard, after, upto=upto, limit=request.limit)


def _place(request: pb.ReadLogRequest) -> Place:
    try:
        canonical_uuid(request.after.incarnation)
        place = place_from(request.after)
    except ValueError as error:
        raise InvalidInputError("malformed_field", "after.incarnation") from error
    if len(place.hash) != HASH_BYTES or min(place.pos, place.ms, request.upto) < 0:
        raise InvalidInputError("malformed_field", "after")
    return place
