"""What travels with a request through a process and on to the next: its ids and the time it has left."""

import random
import re
import time
from contextvars import ContextVar, Token
from typing import NamedTuple
from uuid import uuid4

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestContext(NamedTuple):
    """request_id: 8 to 64 characters. traceparent: W3C trace context. ends_at_s: on the monotonic clock."""

    request_id: str
    traceparent: str
    ends_at_s: float | None

    def remaining_s(self) -> float | None:
        """Return the seconds left (may be negative), or None when nothing limits this work."""
        return None if self.ends_at_s is None else self.ends_at_s - time.monotonic()


_current: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current() -> RequestContext | None:
    """Return the context of the request being served, None in background work."""
    return _current.get()


def begin(*, request_id: str | None, traceparent: str | None, limit_s: float | None) -> RequestContext:
    """Serve a request with these ids until the task ends; what is absent or malformed is made anew."""
    context = context_of(request_id, traceparent, limit_s)
    _current.set(context)
    return context


class serving:  # noqa: N801 -- reads as what it does: `with serving(…) as context`
    """Serve a request with these ids inside the block; what is absent or malformed is made anew."""

    __slots__ = ("_context", "_token")
    _token: Token[RequestContext | None]

    def __init__(self, *, request_id: str | None, traceparent: str | None, limit_s: float | None) -> None:
        self._context = context_of(request_id, traceparent, limit_s)

    def __enter__(self) -> RequestContext:
        self._token = _current.set(self._context)
        return self._context

    def __exit__(self, *_fault: object) -> None:
        _current.reset(self._token)


def context_of(request_id: str | None, traceparent: str | None, limit_s: float | None) -> RequestContext:
    """Return the context of a request that came with these ids."""
    return RequestContext(
        request_id if request_id and REQUEST_ID.fullmatch(request_id) else str(uuid4()),
        traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else new_traceparent(),
        None if limit_s is None else time.monotonic() + limit_s,
    )


def new_traceparent() -> str:
    """Return the start of a new trace. Source: W3C Trace Context, version 00."""
    # Ids must differ, not be secret: asking the system for each would cost twice as much as all else here.
    drawn = f"{random.getrandbits(192):048x}"
    return f"00-{drawn[:32]}-{drawn[32:]}-01"
