"""Follow one shard: from the stream while it continues the chain, from the log whenever it does not."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, assert_never

from contracts.problems import UnavailableError
from streams.append import StreamDownError
from streams.continuity import Behind, NothingNew, Proved, check, judge, sound
from streams.entries import Closed, Damaged, Entry, Head, Place, StreamId
from streams.log import EventLog, LogRefused
from streams.reading import StreamReader

LOOK_EVERY_S = 0.25
PROOF_LATE_S = 1.0
LOG_EVERY_S = 0.25
LOG_AGAIN_S = 1.0
STREAM_AGAIN_S = 5.0
HALTED_S = 1.0
PAGE = 500
# Nothing follows it, so looking from there only asks where a stream ends.
BEYOND = StreamId(2**62, 0)

Standing = Place | Literal["anew", "halted"]


class DamagedLogError(Exception):
    """The log contradicts itself; an operator must act."""


class Sink(Protocol):
    """Where a follower's entries go, and where it stands."""

    async def standing(self) -> Standing:
        """Return the last entry that took effect, "anew" when there is none to continue, or "halted"."""

    async def apply(self, place: Place, entries: Sequence[Entry]) -> None:
        """Give `entries`, which follow `place`, their effect, once. On an exception ask `standing` again."""

    async def start_anew(self, head: Head, reason: str) -> None:
        """Forget every effect and stand at the base of `head`."""

    async def halt(self, reason: str) -> None:
        """Stop until an operator has acted."""

    def prove(self, place: Place, closed: Closed) -> None:
        """Note that at `place` everything has taken effect that was committed before `closed.t`."""

    def note_fill(self, reason: str) -> None:
        """Count that the log was read because of `reason`."""

    def note_lag(self, positions: int, seconds: float) -> None:
        """Note how many entries are known that have not taken effect, and how much later the last was sealed."""


@dataclass(slots=True, kw_only=True)
class Follower:
    """Takes one step at a time; keeps no effect and no cursor of its own.

    proofs: the producer promises how fresh its stream is, so silence is suspicious.
    now: seconds of a clock that never jumps.
    """

    shard: int
    reader: StreamReader
    log: EventLog
    sink: Sink
    proofs: bool = True
    now: Callable[[], float] = time.monotonic
    _place: Place | None = None
    _proved: Closed | None = None
    _proved_at: float = field(default=float("-inf"))
    _looked_at: float = field(default=float("-inf"))
    _stream_at: float = field(default=float("-inf"))
    _log_at: float = field(default=float("-inf"))
    _is_stream_doubted: bool = False

    async def step(self) -> float:
        """Do what there is to do and return how long to wait before the next step, in seconds.

        Raises: whatever the sink raises; the next step then begins at what the sink says.
        """
        place = self._place or await self._stand()
        if place is None:
            return HALTED_S
        if self._is_log_due():
            await self._fill(None, "no_proof" if self.now() >= self._stream_at else "stream_down")
        if self.now() < self._stream_at:
            return LOG_EVERY_S
        try:
            if self._is_stream_doubted and await self._is_ahead_of_log():
                self._stream_at = self.now() + STREAM_AGAIN_S
                return LOG_EVERY_S
            await self._read_stream()
        except StreamDownError:
            self._stream_at = self.now() + STREAM_AGAIN_S
        return 0.0

    async def _is_ahead_of_log(self) -> bool:
        """Return whether the stream still has what the log lost: it would be taken, and refused, again and again."""
        look = await self.reader.look(BEYOND)
        head = await self.log.head(self.shard)
        self._is_stream_doubted = look.last.pos > head.last.pos
        return self._is_stream_doubted

    async def _stand(self) -> Place | None:
        standing = await self.sink.standing()
        if standing == "halted":
            return None
        if standing == "anew":
            await self.sink.start_anew(await self.log.head(self.shard), "new")
            standing = await self.sink.standing()
        self._place = standing if isinstance(standing, Place) else None
        return self._place

    def _is_log_due(self) -> bool:
        silent = self.proofs and self.now() - self._proved_at > PROOF_LATE_S
        return (silent or self.now() < self._stream_at) and self.now() >= self._log_at

    async def _read_stream(self) -> None:
        if self._place is None:
            return
        entries = await self.reader.read(self._place.id)
        if entries:
            await self._take(entries)
        if self._place and (not entries or self.now() - self._looked_at > LOOK_EVERY_S):
            await self._look(self._place)

    async def _take(self, entries: Sequence[Entry | Damaged]) -> None:
        if self._place is None:
            return
        run = check(self._place, entries)
        await self._apply(run.entries)
        if run.trouble and self._place:
            before = self._place
            if await self._fill(run.upto, run.trouble) and self._place == before:
                # The log stands by us and has no more: the stream is wrong, and only its relay can mend it.
                self._stream_at = self.now() + STREAM_AGAIN_S

    async def _look(self, place: Place) -> None:
        look, self._looked_at = await self.reader.look(place.id), self.now()
        self._note_lag(place, look.last)
        judged = judge(place, look)
        match judged:
            case Proved(closed):
                self._prove(place, closed)
            case Behind(upto):
                await self._fill(upto, "tail")
            case NothingNew():
                pass
            case _:
                assert_never(judged)
        if look.entries:
            await self._take(look.entries)

    async def _fill(self, upto: int | None, reason: str) -> bool:
        """Read the log on from our place; return whether it answered."""
        self.sink.note_fill(reason)
        self._log_at = self.now() + LOG_EVERY_S
        while self._place is not None and (upto is None or self._place.pos < upto):
            try:
                page = await self.log.read(self.shard, self._place, upto=upto, limit=PAGE)
            except UnavailableError:
                self._log_at = self.now() + LOG_AGAIN_S
                return False
            if isinstance(page, LogRefused):
                await self._start_anew(page)
                return True
            if not sound(self._place, page.entries):
                self._place = None
                await self.sink.halt("log_damaged")
                return True
            await self._apply(page.entries)
            self._note_lag(self._place, page.head.last.id)
            if page.head.closed and page.head.closed.pos <= self._place.pos:
                self._prove(self._place, page.head.closed)
            if not page.entries or self._place.pos >= page.head.last.pos:
                return True
        return True

    def _note_lag(self, place: Place, last: StreamId) -> None:
        positions = max(0, last.pos - place.pos)
        # At the base of a log there is no entry, hence no time.
        self.sink.note_lag(positions, (last.ms - place.ms) / 1000 if positions and place.ms else 0.0)

    async def _start_anew(self, refused: LogRefused) -> None:
        self._place, self._proved = None, None
        self._is_stream_doubted = refused.reason == "forked"
        await self.sink.start_anew(refused.head, refused.reason)

    async def _apply(self, entries: Sequence[Entry]) -> None:
        if not entries or self._place is None:
            return
        before, self._place = self._place, None
        await self.sink.apply(before, entries)
        self._place = entries[-1].place

    def _prove(self, place: Place, closed: Closed) -> None:
        self.sink.prove(place, closed)
        # An old promise repeated proves nothing new: its relay may have lost Redis.
        if self._proved is None or closed.t > self._proved.t:
            self._proved, self._proved_at = closed, self.now()
