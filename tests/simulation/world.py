"""A world in which the product's own relay and follower run on fakes, step by step, and anything may fail.

Every fake has points before and after it takes effect. At each, the simulator, driven by one seed, lets another actor
go on, kills the one that is there, or breaks something. What must never happen is checked when it would happen.
"""

import copy
import random
from dataclasses import dataclass
from datetime import timedelta

from contracts.ids import new_id
from contracts.problems import UnavailableError
from streams.append import StreamDownError
from streams.chain import genesis
from streams.checkpoint import FencedError, MovedError
from streams.entries import NOTHING, Place
from streams.follow import Follower
from streams.ledger import LogWentBackError
from streams.relay import HaltedError, ShardRelay
from tests.fakes.streams import (
    BEGAN,
    MemoryCheckpoint,
    MemoryEventLog,
    MemoryLedger,
    MemoryLog,
    MemorySink,
    MemoryStream,
)

AGGREGATES = 3
TICK_MS = 30
MILLISECOND = timedelta(milliseconds=1)
KEEP = 6


class ViolationError(AssertionError):
    """Something happened that must never happen."""


@dataclass
class Writing:
    """A transaction of a service: it holds its aggregate's row until it ends."""

    agg: int
    id: int
    version: int


@dataclass
class CheckedSink(MemorySink):
    """A sink that watches what takes effect."""

    world: object = None

    async def apply(self, place, entries):
        await super().apply(place, entries)
        self.world.check_order()

    async def start_anew(self, head, reason):
        await super().start_anew(head, reason)
        # A snapshot of what no log of this incarnation holds.
        self.row.effects = [Loaded(body) for body in self.world.before_base]

    def prove(self, place, closed):
        if self.row.epoch == self.epoch:
            self.world.check_promise(closed)


@dataclass(frozen=True)
class Loaded:
    """An effect that came with a snapshot."""

    body: bytes


@dataclass
class Rules:
    """The parts under test; a mutation replaces one."""

    relay: type = ShardRelay
    follower: type = Follower
    ledger: type = MemoryLedger
    stream: type = MemoryStream
    sink: type = CheckedSink
    restores: bool = False
    proofs: bool = True


class World:
    """One schedule. Event bodies are b"<aggregate>:<version>:<id>"."""

    def __init__(self, seed, rules=None):
        self.random = random.Random(seed)  # noqa: S311 -- a seed, no secret
        self.rules = rules or Rules()
        self.log, self.stream, self.row = MemoryLog(keep=KEEP), self.rules.stream(), MemoryCheckpoint()
        self.committed, self.committed_ms = [], {}
        self.versions, self.writing, self.next_id = dict.fromkeys(range(AGGREGATES), 0), {}, 0
        self.before_base, self.backup, self.snapshot, self.restored = [], None, None, 0
        self.relay_stream, self.reader_stream = Door(self), Door(self)
        self.relays, self.readers = [None, None], [None, None]
        self.tasks, self.halted = [None] * 4, False
        self.lease_until_ms = 0

    # What services do.

    def begin(self):
        agg = self.random.randrange(AGGREGATES)
        if agg not in self.writing:
            self.next_id += 1
            self.writing[agg] = Writing(agg, self.next_id, self.versions[agg] + 1)

    def end(self, *, commit):
        if not self.writing:
            return
        writing = self.writing.pop(self.random.choice(list(self.writing)))
        if commit:
            body = f"{writing.agg}:{writing.version}:{writing.id}".encode()
            self.versions[writing.agg] = writing.version
            self.committed.append(body)
            self.committed_ms[body] = self.log.now_ms
            self.log.pending.append(body)
            self.log.pending.sort(key=_id)

    # The four actors: two relays, two consumers.

    def step(self, actor):
        self.log.now_ms += TICK_MS
        if self.tasks[actor] is None:
            self.tasks[actor] = self._relay(actor) if actor < 2 else self._consumer(actor - 2)
        try:
            self.tasks[actor].send(None)
        except StopIteration:
            self.tasks[actor] = None
        except (StreamDownError, UnavailableError, MovedError):
            self.tasks[actor] = None
        except FencedError:
            self.readers[actor - 2], self.tasks[actor] = None, None
        except (HaltedError, LogWentBackError):
            self.tasks[actor], self.halted = None, True

    def kill(self, actor):
        if self.tasks[actor] is not None:
            self.tasks[actor].close()
            self.tasks[actor] = None
        (self.relays if actor < 2 else self.readers)[actor % 2] = None

    async def _relay(self, which):
        if self.relays[which] is None:
            self.relays[which] = self.rules.relay(self.rules.ledger(self.log), self.relay_stream)
        await self.relays[which].turn()

    async def _consumer(self, which):
        reader = self.readers[which]
        if reader is None:
            if self.lease_until_ms > self.log.now_ms:
                return
            self.lease_until_ms = self.log.now_ms + self.random.randint(500, 4000)
            self.row.epoch += 1
            sink = self.rules.sink(self.row, self.row.epoch, world=self)
            reader = self.readers[which] = self.rules.follower(
                shard=0,
                reader=self.reader_stream,
                log=MemoryEventLog(self.log),
                sink=sink,
                proofs=self.rules.proofs,
                now=lambda: self.log.now_ms / 1000,
            )
        if reader.sink.epoch == self.row.epoch:
            self.lease_until_ms = max(self.lease_until_ms, self.log.now_ms + 2000)
        await reader.step()

    # What breaks.

    def flush(self):
        self.stream.entries, self.stream.last, self.stream.closed = [], NOTHING, None

    def replicate(self):
        self.snapshot = (list(self.stream.entries), self.stream.last, self.stream.closed)

    def fail_over(self):
        if self.snapshot:
            entries, self.stream.last, self.stream.closed = self.snapshot
            self.stream.entries = list(entries)

    def trim(self):
        del self.stream.entries[: self.random.randint(0, len(self.stream.entries))]

    def steal_lease(self):
        self.lease_until_ms = 0

    def lose_log_door(self):
        self.log.is_away = not self.log.is_away

    def lose_redis(self):
        door = self.random.choice([self.relay_stream, self.reader_stream])
        door.is_away = not door.is_away

    def back_up(self):
        state = (self.log.pending, self.log.entries, self.log.base, self.log.last, self.log.closed)
        self.backup = copy.deepcopy((state, self.committed, self.versions))

    def restore(self):
        if not (self.rules.restores and self.backup) or self.backup[0][2] != self.log.base:
            return
        state, self.committed, self.versions = copy.deepcopy(self.backup)
        self.log.pending, self.log.entries, self.log.base, self.log.last, self.log.closed = state
        self.writing, self.restored = {}, self.restored + 1
        for which in (0, 1):
            self.tasks[which] = None
            if self.random.random() < 0.7:
                self.kill(which)

    def reincarnate(self):
        """What an operator does with a halted shard."""
        log, incarnation = self.log, new_id()
        pos, ms = max(log.last.pos, self.stream.last.pos) + 1000, max(log.last.ms, self.stream.last.ms)
        self.before_base = [body for body in self.committed if body not in log.pending]
        log.base = Place(
            incarnation=incarnation, pos=pos, ms=0, hash=genesis("academics", 0, incarnation, log.last.hash)
        )
        log.last, log.closed, log.entries = Place(incarnation=incarnation, pos=pos, ms=ms, hash=log.base.hash), None, []
        self.flush()
        self.snapshot, self.halted = None, False

    # What must hold.

    def check_order(self):
        """Effects are of one history, once, and each aggregate's in order."""
        last = dict.fromkeys(range(AGGREGATES), 0)
        for effect in self.row.effects:
            agg, version, _ = map(int, effect.body.split(b":"))
            if version != last[agg] + 1:
                raise ViolationError(f"aggregate {agg}: version {version} after {last[agg]}")
            last[agg] = version

    def check_promise(self, closed):
        """Whatever was committed before the promise has taken effect."""
        applied = {effect.body for effect in self.row.effects}
        t_ms = (closed.t - BEGAN) // MILLISECOND
        for body in self.committed:
            if self.committed_ms[body] < t_ms and body not in applied:
                raise ViolationError(f"as of {t_ms}, without {body!r} of {self.committed_ms[body]}")

    def check_stream(self):
        """The stream is a contiguous part of one chain."""
        for before, entry in zip(self.stream.entries, self.stream.entries[1:], strict=False):
            if entry.prev_hash != before.hash:
                raise ViolationError(f"the stream has {entry.pos} after {before.pos}")

    def is_settled(self):
        applied = [effect.body for effect in self.row.effects]
        return (
            not self.log.pending
            and self.stream.last == (self.log.last.id if self.log.last.pos > self.log.base.pos else NOTHING)
            and sorted(applied) == sorted(self.committed)
        )

    def run(self, ticks=400):
        """Play the schedule, then let everything work and see that it comes to rest. Raises: ViolationError."""
        for _ in range(ticks):
            self._something()
        self.log.is_away = self.relay_stream.is_away = self.reader_stream.is_away = False
        while self.writing:
            self.end(commit=True)
        for n in range(4000):
            self.step(n % 4)
            if self.halted:
                self.reincarnate()
            if n % 40 == 39 and self.is_settled():
                self.check_stream()
                return
        raise ViolationError(self.unsettled())

    def unsettled(self):
        applied = {effect.body for effect in self.row.effects}
        lost, phantom = set(self.committed) - applied, applied - set(self.committed)
        return f"never settled: lost {lost}, phantom {phantom}, stream {self.stream.last}, log {self.log.last.id}"

    def _something(self):
        x = self.random.random()
        if x < 0.14:
            self.begin()
        elif x < 0.28:
            self.end(commit=self.random.random() < 0.85)
        elif x < 0.58:
            self.step(self.random.randrange(2))
        elif x < 0.95:
            self.step(2 + self.random.randrange(2))
        elif x < 0.97:
            self.kill(self.random.randrange(4))
        else:
            self.random.choice(FAULTS)(self)
        if self.halted and self.random.random() < 0.05:
            self.reincarnate()
        self.check_stream()


FAULTS = [
    World.flush,
    World.replicate,
    World.fail_over,
    World.trim,
    World.steal_lease,
    World.lose_log_door,
    World.lose_redis,
    World.back_up,
    World.restore,
]


@dataclass
class Door:
    """One side's way to the stream, which may be away while the other's is not."""

    world: World
    is_away: bool = False

    def __getattr__(self, name):
        method = getattr(self.world.stream, name)

        async def call(*arguments):
            if self.is_away:
                raise StreamDownError
            return await method(*arguments)

        return call


def _id(body):
    return int(body.rpartition(b":")[2])
