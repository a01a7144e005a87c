"""A log's values as messages of streams.api.v1 and back."""

from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from contracts.rpc.streams.api.v1 import streams_pb2 as pb
from streams.entries import Closed, Entry, Head, Place


def place_to(place: Place) -> pb.Place:
    """Return the message of `place`."""
    return pb.Place(incarnation=str(place.incarnation), pos=place.pos, ms=place.ms, hash=place.hash)


def place_from(message: pb.Place) -> Place:
    """Return the value of `message`. Raises: ValueError."""
    return Place(incarnation=UUID(message.incarnation), pos=message.pos, ms=message.ms, hash=message.hash)


def head_to(head: Head) -> pb.LogHead:
    """Return the message of `head`."""
    message = pb.LogHead(base=place_to(head.base), last=place_to(head.last), server_time=_stamp(head.now))
    if head.closed is not None:
        message.closed.CopyFrom(pb.Closed(pos=head.closed.pos, t=_stamp(head.closed.t)))
    return message


def head_from(message: pb.LogHead) -> Head:
    """Return the value of `message`. Raises: ValueError."""
    last, closed = place_from(message.last), None
    if message.HasField("closed"):
        closed = Closed(incarnation=last.incarnation, pos=message.closed.pos, t=_moment(message.closed.t))
    return Head(base=place_from(message.base), last=last, closed=closed, now=_moment(message.server_time))


def entry_to(entry: Entry) -> pb.LogEntry:
    """Return the message of `entry`; shard and incarnation are known from question and head."""
    return pb.LogEntry(
        pos=entry.pos,
        ms=entry.ms,
        body=entry.body,
        salt=entry.salt,
        commit=entry.commit,
        prev_hash=entry.prev_hash,
        hash=entry.hash,
    )


def entry_from(message: pb.LogEntry, *, shard: int, incarnation: UUID) -> Entry:
    """Return the value of `message`."""
    return Entry(
        incarnation=incarnation,
        shard=shard,
        pos=message.pos,
        ms=message.ms,
        body=message.body if message.HasField("body") else None,
        salt=message.salt if message.HasField("salt") else None,
        commit=message.commit,
        prev_hash=message.prev_hash,
        hash=message.hash,
    )


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
