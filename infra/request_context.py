"""What travels with a request through a process and on to the next: its ids and the time it has left."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
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


@contextmanager
def serving(*, request_id: str | None, traceparent: str | None, limit_s: float | None) -> Iterator[RequestContext]:
    """Serve a request with these ids; what is absent or malformed is made anew."""
    context = RequestContext(
        request_id=request_id if request_id and REQUEST_ID.fullmatch(request_id) else str(uuid4()),
        traceparent=traceparent if traceparent and TRACEPARENT.fullmatch(traceparent) else new_traceparent(),
        ends_at_s=None if limit_s is None else time.monotonic() + limit_s,
    )
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def new_traceparent() -> str:
    """Return the start of a new trace. Source: W3C Trace Context, version 00."""
    drawn = secrets.token_hex(24)
    return f"00-{drawn[:32]}-{drawn[32:]}-01"
