"""Who watches which course in this process, and what is new there: one listener for all of them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from attendance_svc.http_api.live_bodies import LiveChange, to_live_change
from contracts.events.attendance import (
    SignatureAccepted,
    SignatureJudged,
    SignatureLate,
    SignaturePending,
    SignatureRefused,
    SignatureSuperseded,
    SignatureVoided,
)
from contracts.ids import CourseId
from contracts.problems import UnavailableError
from streams.codec import Delivered
from streams.waiting import is_set_within

CHANGES: tuple[type[SignatureJudged], ...] = (
    SignatureAccepted,
    SignatureLate,
    SignatureRefused,
    SignaturePending,
    SignatureVoided,
    SignatureSuperseded,
)
TYPES = frozenset(change.type for change in CHANGES)
# Whoever has as many to hear yet is sooner told how things are now.
MOST_UNHEARD = 500
HEARD_WITHIN_S = 5.0
LOOK_S = 1.0
# Readers come back after an outage, or with a new token: until then nothing is to be begun anew.
LINGER = timedelta(seconds=30)

Listener = Callable[[Delivered], Awaitable[None]]
# Listens until the event is set.
Hear = Callable[[asyncio.Event], Awaitable[None]]


class News(NamedTuple):
    """A change, and the position of its event."""

    pos: int
    told: LiveChange


def news_of(event: Delivered) -> News:
    """Return what an event of one of TYPES tells. Raises: ValueError."""
    judged = SignatureJudged.model_validate(event.data)
    return News(event.pos, to_live_change(event.type, judged, at=event.time, change=event.aggver))


@dataclass(slots=True, eq=False)
class Watcher:
    """One reader: what it has not heard yet, as long as that is not too much."""

    shard: int
    _unheard: deque[News] = field(default_factory=deque)
    _is_behind: bool = False
    _has_news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, news: News) -> None:
        """Keep what is new until it is asked for."""
        if len(self._unheard) >= MOST_UNHEARD:
            self.fall_behind()
        else:
            self._unheard.append(news)
            self._has_news.set()

    def fall_behind(self) -> None:
        """Have it told how things are now, instead of each change."""
        self._unheard.clear()
        self._is_behind = True
        self._has_news.set()

    def begin_anew(self) -> None:
        """Forget what is new; whatever is looked at from now on has it."""
        self._unheard.clear()
        self._is_behind = False
        self._has_news.clear()

    async def next(self) -> Sequence[News] | None:
        """Wait for news and return them, None when it has fallen behind."""
        await self._has_news.wait()
        if self._is_behind:
            return None
        self._has_news.clear()
        news = list(self._unheard)
        self._unheard.clear()
        return news


class Watching:
    """The readers of this process, by course. Only while there are any does it listen."""

    def __init__(self, shards: Sequence[int], *, linger: timedelta = LINGER) -> None:
        self._linger_s = linger.total_seconds()
        # By the course's id as events spell it.
        self._watchers: dict[str, set[Watcher]] = {}
        self._is_heard = {shard: asyncio.Event() for shard in shards}
        self._is_wanted = asyncio.Event()
        self._left_at_s = 0.0

    def listeners(self) -> Mapping[str, Listener]:
        """Return who hears which event."""
        return dict.fromkeys(TYPES, self.on_change)

    async def on_change(self, event: Delivered) -> None:
        """Tell those who watch the course."""
        watchers = self._watchers.get(str(event.data["course_id"]))
        if watchers:
            news = news_of(event)
            for watcher in watchers:
                watcher.hear(news)

    async def start_anew(self, shard: int) -> None:
        """Note that everything of `shard` is heard from here on; before, something may have been missed."""
        self._is_heard[shard].set()
        for watcher in [each for watchers in self._watchers.values() for each in watchers if each.shard == shard]:
            watcher.fall_behind()

    @contextmanager
    def watch(self, course_id: CourseId, shard: int) -> Iterator[Watcher]:
        """Let a reader hear what is new in a course, until it leaves."""
        watcher, spelled = Watcher(shard), str(course_id)
        self._watchers.setdefault(spelled, set()).add(watcher)
        self._is_wanted.set()
        try:
            yield watcher
        finally:
            self._watchers[spelled].discard(watcher)
            if not self._watchers[spelled]:
                del self._watchers[spelled]
            self._left_at_s = asyncio.get_running_loop().time()

    async def until_heard(self, shard: int) -> None:
        """Wait until nothing of `shard` is missed any more. Raises: UnavailableError("log_down")."""
        if not await is_set_within(self._is_heard[shard], HEARD_WITHIN_S):
            raise UnavailableError("log_down")

    async def run(self, hear: Hear, stop: asyncio.Event) -> None:
        """Let `hear` run while somebody watches; returns once `stop` is set."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                wanted = asyncio.create_task(self._is_wanted.wait())
                await asyncio.wait((wanted, stopped), return_when=asyncio.FIRST_COMPLETED)
                wanted.cancel()
                if not stop.is_set():
                    await self._hear(hear, stop)
        finally:
            stopped.cancel()

    async def _hear(self, hear: Hear, stop: asyncio.Event) -> None:
        enough = asyncio.Event()
        hearing = asyncio.ensure_future(hear(enough))
        try:
            while not hearing.done() and self._is_watched() and not await is_set_within(stop, LOOK_S):
                pass
        finally:
            if not self._watchers:
                self._is_wanted.clear()
            for heard in self._is_heard.values():
                heard.clear()
            enough.set()
            await hearing

    def _is_watched(self) -> bool:
        return bool(self._watchers) or asyncio.get_running_loop().time() - self._left_at_s < self._linger_s
