"""How often logins from one network address may fail."""

from collections import OrderedDict, deque
from datetime import datetime, timedelta

from aiohttp import web

from contracts.problems import TooManyRequestsError
from infra.clock import Clock

MINUTE = timedelta(minutes=1)
MOST_ADDRESSES = 10_000


def address_of(request: web.Request) -> str:
    """Return the caller's address as the edge saw it; without an edge, as this server does."""
    return request.headers.get("x-envoy-external-address") or request.remote or "unknown"


class FailureLimit:
    """Counts failures by address over the last minute, in this process: it slows guessing, so losing it is cheap."""

    def __init__(self, *, most_per_minute: int, now: Clock) -> None:
        self._most, self._now = most_per_minute, now
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises: TooManyRequestsError("rate_limited") when `address` has failed too often."""
        times = self._failures.get(address, deque())
        while times and times[0] <= self._now() - MINUTE:
            times.popleft()
        if len(times) >= self._most:
            raise TooManyRequestsError("rate_limited", retry_after_s=int(MINUTE.total_seconds()))

    def count(self, address: str) -> None:
        """Note one more failure."""
        self._failures.setdefault(address, deque(maxlen=self._most)).append(self._now())
        self._failures.move_to_end(address)
        if len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)
