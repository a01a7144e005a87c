"""What every route of this door works with, and how a change says that it was made."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal
from uuid import UUID

from academics_svc.domain import CalendarFeeds
from academics_svc.ports import BeaconDirectory, OpenBooks, People
from contracts.events.envelope import Cause
from infra.clock import Clock
from infra.http_bodies import Body, Id, Query
from infra.http_routes import Reply
from infra.postgres import Pool
from infra.request_context import current
from infra.tokens import Caller, CallerType
from streams.names import shard_of

AggregateKind = Literal["school", "preferences", "classroom", "group", "course"]

ADMINS: frozenset[CallerType] = frozenset(("admin", "dev"))
STAFF: frozenset[CallerType] = ADMINS | {"teacher"}
DEVELOPERS: frozenset[CallerType] = frozenset(("dev",))


class SchoolQuery(Query):
    """The school that is meant; developers, who have none, must name it on every change."""

    school_id: Id | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where the routes of this door find what they need. origin: the public address of the edge."""

    pool: Pool
    open_books: OpenBooks
    people: People
    beacons: BeaconDirectory
    now: Clock
    shard_count: int
    feeds: CalendarFeeds
    origin: str

    def cause(self, caller: Caller) -> Cause:
        """Return why a change is made: this request of this caller."""
        context = current()
        return Cause(
            at=self.now(),
            actor_type=caller.type,
            actor_id=caller.id,
            request_id=context.request_id if context else None,
            traceparent=context.traceparent if context else None,
        )

    def token(self, kind: AggregateKind, id_: UUID, version: int, *, school_id: UUID) -> Mapping[str, str]:
        """Return the header by which a reader of a copy can wait for this write. Source: streams.md 4."""
        shard = shard_of(school_id, self.shard_count)
        return {"x-consistency-token": f"academics/{shard}/{kind}:{id_}@{version}"}


def digest_of(body: Body) -> bytes:
    """Return what tells a repeat of a request from another one with the same key."""
    return sha256(body.model_dump_json().encode()).digest()


def gone(headers: Mapping[str, str]) -> Reply:
    """Return the answer to a change after which there is nothing to show."""
    return Reply(status=204, headers=headers)
