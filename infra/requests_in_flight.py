"""The requests that a door is serving: how many there may be, and when each must end."""

import asyncio
from math import inf

from contracts.problems import UnavailableError


class RequestsInFlight:
    """One timer does for all of them: who began first must end first. A timer each was a twentieth of a request."""

    def __init__(self, most_count: int) -> None:
        self._most_count = most_count
        # In the order in which they began; inf for those that may last, -inf for those that were told to end.
        self._end_at_s: dict[asyncio.Task[object], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, task: asyncio.Task[object], limit_s: float) -> None:
        """Count the request that `task` serves; once it has lasted for `limit_s`, which may be inf, it is cancelled.

        Raises: UnavailableError("overloaded").
        """
        if len(self._end_at_s) >= self._most_count:
            raise UnavailableError("overloaded")
        loop = asyncio.get_running_loop()
        self._end_at_s[task] = ends_at_s = loop.time() + limit_s
        if self._timer is None and ends_at_s < inf:
            self._timer = loop.call_at(ends_at_s, self._end_late)

    def has_ended(self, task: asyncio.Task[object]) -> bool:
        """Return whether `task`, which was cancelled, was so because its time was over, and by nobody else."""
        return self._end_at_s[task] == -inf and task.uncancel() == 0

    def end(self, task: asyncio.Task[object]) -> None:
        """Forget the request that `task` served."""
        del self._end_at_s[task]

    def _end_late(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, ends_at_s in list(self._end_at_s.items()):
            if loop.time() < ends_at_s < inf:
                self._timer = loop.call_at(ends_at_s, self._end_late)
                break
            if -inf < ends_at_s < inf:
                self._end_at_s[task] = -inf
                task.cancel()
