"""How a REST door declares its routes: who may call, what is read, which function answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from aiohttp import web
from pydantic import BaseModel

from contracts.ids import new_id
from contracts.problems import PreconditionRequiredError
from infra.http_bodies import Body, NoBody, NoQuery, Query
from infra.http_events import Events, last_event_id
from infra.tokens import Caller, CallerType

B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)

# Who may call a route. Finer rules (own, same school, this course) are the command's.
ANYONE: frozenset[CallerType] = frozenset()
PEOPLE: frozenset[CallerType] = frozenset(("student", "teacher", "admin", "dev"))
BEACONS: frozenset[CallerType] = frozenset(("beacon",))


# Calls and replies are made for every request: what is frozen takes thrice as long to make.
@dataclass(slots=True, kw_only=True, eq=False)
class Call(Generic[B, Q]):
    """One request, authenticated and parsed. path: the ids and words in the path. raw: the body's bytes as sent."""

    caller_or_none: Caller | None
    body: B
    query: Q
    path: Mapping[str, str]
    ids: Mapping[str, UUID]
    if_match: int | None
    idempotency_key: str | None
    raw: bytes
    request: web.Request

    @property
    def caller(self) -> Caller:
        """Who calls; only for routes that need a token."""
        if self.caller_or_none is None:
            raise RuntimeError("this route is open to anyone")
        return self.caller_or_none

    def version_seen(self) -> int:
        """Return the version that the caller saw. Raises: PreconditionRequiredError("version_required")."""
        if self.if_match is None:
            raise PreconditionRequiredError("version_required")
        return self.if_match

    def last_event_id(self) -> str | None:
        """Return the id of the event that the caller heard last. Raises: MalformedError("malformed_header")."""
        return last_event_id(self.request)

    def fresh_id(self) -> UUID:
        """Return the id of what this call makes: the same one for a repeat with the same Idempotency-Key."""
        if self.idempotency_key is None:
            return new_id()
        return uuid5(NAMESPACE_URL, f"{self.caller.id}:{self.request.path}:{self.idempotency_key}")


@dataclass(slots=True, kw_only=True, eq=False)
class Reply:
    """What a route answers. version: of the thing shown, sent as ETag. location: of the thing made."""

    status: int = 200
    body: BaseModel | Mapping[str, Any] | None = None
    version: int | None = None
    location: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[B, Q]):
    """One route. path: `/courses/{course_id}`; names that end in `_id` are canonical UUIDs.

    who: the kinds of callers let in, ANYONE for none needed. answer: the body of a success, for the documentation.
    also: kinds beside JSON that the handler answers in, if the caller would rather have them (`infra/http_accept.py`).
    text: the one kind of answer, if it is no JSON ("text/calendar").
    media_types: of the body; if not JSON, the handler reads `raw` itself. accepts_empty: the body may be left out.
    max_body_bytes: beyond is 413. events: the model of the data by event's name, if the handler returns Events.
    rows: the model of each row, if the body is a file of rows, which its door reads itself.
    lines: the model of each line, if the handler answers lines of JSON, for as long as it takes.
    """

    method: str
    path: str
    handler: Callable[[Call[B, Q]], Awaitable[Reply | web.StreamResponse | Events]]
    who: frozenset[CallerType]
    body: type[B] = NoBody  # type: ignore[assignment]
    query: type[Q] = NoQuery  # type: ignore[assignment]
    answer: type[BaseModel] | None = None
    also: tuple[str, ...] = ()
    text: str | None = None
    status: int = 200
    summary: str = ""
    media_types: tuple[str, ...] = ("application/json",)
    max_body_bytes: int = 65_536
    accepts_empty: bool = False
    rows: type[Body] | None = None
    lines: type[BaseModel] | None = None
    events: Mapping[str, type[BaseModel]] = field(default_factory=dict)


AnyRoute = Route[Any, Any]
