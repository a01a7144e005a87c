"""The faults, and what was counted while each was played."""

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields

# Numbers are names for ever: tests carry them as `@pytest.mark.fault(2)`.
FAULTS = {
    1: "a writer is killed between its change and its commit",
    2: "a relay is killed before the seal, after it, after the append",
    3: "two relays, one asleep",
    4: "a consumer is killed after the read, in the transaction, after the commit",
    5: "a consumer wakes up after its lease",
    6: "entries are delivered again",
    7: "entries are missing, swapped or forged",
    8: "Redis is flushed, killed without a file, loses a stream",
    9: "Redis fails over and loses a tail",
    10: "Redis is away for all, for the relay, for the consumer",
    11: "streams are trimmed, an unread tail too",
    12: "Redis is full",
    13: "PostgreSQL is killed, restarted in the middle",
    14: "transactions stay open, here and elsewhere",
    15: "academics is away while students sign: judged as without the outage",
    16: "clocks are off by 2 s, and go back by 10 s",
    17: "a handler is slow and a backlog grows",
    18: "one aggregate's event is poison",
    19: "a handler fails on everything",
    20: "replicas come and go under load",
    21: "closing: moved at the last second, three replicas, downtime",
    23: "the producer's database is restored to the past",
    24: "newer, unknown and broken events",
}
LATER = {
    22: "a copy is built anew beside the live one: there is no rebuild by generation yet",
    23: "reincarnation after a restore: an operator's command that is not there yet",
}
# Where it is not events of a stream that are counted.
COUNTED = {
    15: "attempts: injected had to wait, applied are judged in the end, false as of are judged otherwise than without",
    16: "events, and courses as in 21",
    21: "courses: committed were due, applied are closed, doubled closed again, out of order closed early",
}


@dataclass(slots=True)
class Figures:
    """Counts of one fault. The last four must be 0.

    injected: how often it really happened. committed: events that were in the log or waited for it. applied: those
    that took effect. lost: acknowledged or sealed, and without effect though nothing says why (parked, skipped).
    out_of_order: effects before an earlier event's. false_as_of: claims "exact as of t" that lacked an event from
    before t.
    """

    injected: int = 0
    committed: int = 0
    applied: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    false_as_of: int = 0

    def add(self, other: "Figures") -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order or self.false_as_of)


class Ledger:
    """The figures of a run, by fault; also a plugin of pytest, by which tests find it."""

    def __init__(self) -> None:
        self.rows: dict[int, Figures] = {}
        self.tests: dict[int, int] = {}

    def add(self, number: int, figures: Figures) -> None:
        self.rows.setdefault(number, Figures()).add(figures)
        self.tests[number] = self.tests.get(number, 0) + 1

    def holds(self) -> bool:
        """Return whether every fault was really injected and harmed nothing."""
        return self.rows.keys() == FAULTS.keys() and all(row.injected and row.is_clean for row in self.rows.values())

    def as_json(self) -> list[dict[str, object]]:
        return [
            {"number": number, "fault": FAULTS[number], "tests": self.tests[number], **asdict(row)}
            for number, row in sorted(self.rows.items())
        ]

    def lines(self) -> Iterable[str]:
        """Yield the table as text, one row per fault."""
        names = [each.name.replace("_", " ") for each in fields(Figures)]
        yield f"{'#':>2}  {'fault':<76}{''.join(f'{name:>13}' for name in names)}"
        for number, fault in sorted(FAULTS.items()):
            if row := self.rows.get(number):
                yield f"{number:>2}  {fault:<76}{''.join(f'{count:>13}' for count in astuple(row))}"
            else:
                yield f"{number:>2}  {fault:<76}   not played"
        for number, what in sorted(COUNTED.items()):
            yield f"{number:>2}  counts {what}"
        for number, why in sorted(LATER.items()):
            yield f"{number:>2}  later: {why}"
