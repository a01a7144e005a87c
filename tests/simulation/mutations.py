"""Each rule of streams, left out. Every one of these must be caught."""

from contextlib import contextmanager
from dataclasses import replace

import streams.follow
import streams.log
import streams.relay
import tests.fakes.streams
from streams.append import Mismatch
from streams.continuity import Behind, NothingNew, Proved, Run
from streams.entries import NOTHING, Closed
from streams.reconcile import Resume, reconcile
from streams.relay import ShardRelay
from tests.fakes.streams import MemoryLedger, MemoryStream, Point
from tests.simulation.world import CheckedSink, Rules


class PlainAppend(MemoryStream):
    """XADD without a comparison: only ids that do not rise are refused."""

    async def append(self, expected, entries, closed, keep_from_ms):
        if expected is None:
            return await super().append(expected, entries, closed, keep_from_ms)
        rising = [entry for entry in entries if entry.id > self.last]
        return await super().append(self.last, rising, closed, keep_from_ms)


class MarkBeforeAppend(ShardRelay):
    """The relay notes an append as done before it is."""

    async def _send(self, end, head):
        entries = await self._ledger.entries_after(end.pos, 200)
        if entries:
            self._end = replace(end, sent=entries[-1].id, pos=entries[-1].pos, last=entries[-1].place)
        answer = await self._writer.append(end.sent, entries, head.closed, 0)
        return isinstance(answer, Mismatch) and False


def never_rewind(actual, found):
    """An empty stream goes on with what is new."""
    judged = reconcile(actual, found)
    return replace(judged, pos=found.head.last.pos) if actual == NOTHING and isinstance(judged, Resume) else judged


class Unfenced(CheckedSink):
    """Effects without a look at who owns the checkpoint and where it stands."""

    async def apply(self, place, entries):
        await Point()
        self.row.effects += entries
        self.row.place = entries[-1].place
        self.world.check_order()


class LateClock(MemoryLedger):
    """t of the promise is read after the pending events were."""

    async def seal(self, *, limit, seen):
        sealed = await super().seal(limit=limit, seen=seen)
        await Point()
        if sealed.drained and self.log.last == sealed.head.last:
            closed = replace(sealed.head.closed, t=self.log.now())
            self.log.closed = closed
            return replace(sealed, head=replace(sealed.head, closed=closed))
        return sealed


class AlwaysDrained(MemoryLedger):
    """A promise although the batch was full."""

    async def seal(self, *, limit, seen):
        sealed = await super().seal(limit=2, seen=seen)
        last = sealed.head.last
        self.log.closed = Closed(incarnation=last.incarnation, pos=last.pos, t=self.log.now())
        return replace(sealed, head=replace(sealed.head, closed=self.log.closed))


class PositionBeforeCommit(MemoryLedger):
    """Positions are the ids given at the write; the reader remembers the highest."""

    async def entries_after(self, pos, limit):
        entries = await super().entries_after(pos, limit)
        return [entry for entry in entries if _written(entry) > self._highest(pos)]

    def _highest(self, pos):
        return max([_written(entry) for entry in self.log.entries if entry.pos <= pos], default=0)


def _written(entry):
    return int(entry.body.rpartition(b":")[2])


def believe_all(place, entries):
    """Whatever the stream shows is taken."""
    return Run(entries=tuple(entries))


def skip_known(place, entries):
    """Continuity by position alone."""
    good = []
    for entry in entries:
        if entry.pos > place.pos + 1:
            return Run(entries=tuple(good), trouble="gap", upto=entry.pos - 1)
        if entry.pos == place.pos + 1:
            good.append(entry)
            place = entry.place
    return Run(entries=tuple(good))


def by_position(place, look):
    """A promise is believed when its position is reached, wherever the stream is."""
    if look.closed and look.closed.pos <= place.pos:
        return Proved(look.closed)
    return NothingNew() if look.entries or look.last.pos <= place.pos else Behind(look.last.pos)


def no_tail(place, look):
    """A trimmed tail is not missed."""
    judged = streams.continuity.judge(place, look)
    return NothingNew() if isinstance(judged, Behind) else judged


def refuse_nothing(head, after, following):
    """The log answers by position, whatever the reader has."""
    return None if after.incarnation == head.incarnation else "reincarnated"


@contextmanager
def patched(*places):
    """Replace (module, name, value) for the length of a block."""
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, value in places:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


NO_HASH = (
    (streams.follow, "check", skip_known),
    (streams.follow, "sound", lambda place, entries: True),
    (tests.fakes.streams, "refusal", refuse_nothing),
    (tests.fakes.streams, "went_back", lambda last, seen: False),
)
# What is left out, and what is replaced for it. The tail rule is too rare for chance; it has a test of its own.
MUTATIONS = {
    "positions are given before commit": (Rules(ledger=PositionBeforeCommit), ()),
    "appended is noted before it is done": (Rules(relay=MarkBeforeAppend), ()),
    "an append compares nothing": (Rules(stream=PlainAppend), ()),
    "a flushed stream is not filled again": (Rules(), ((streams.relay, "reconcile", never_rewind),)),
    "no fence": (Rules(sink=Unfenced), ()),
    "no continuity": (Rules(), ((streams.follow, "check", believe_all),)),
    "no hash": (Rules(restores=True), NO_HASH),
    "t is read after the events": (Rules(ledger=LateClock), ()),
    "a promise despite the limit": (Rules(ledger=AlwaysDrained), ()),
    "a promise by position alone": (Rules(restores=True), ((streams.follow, "judge", by_position),)),
}
