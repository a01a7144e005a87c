"""Show a run as tables, or keep it as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.figures import Figure, Row, Sample, foreign_share, ratio, row_of, verdict
from tests.bench.floors import CHAIN
from tests.bench.kept import Kept
from tests.bench.proofs import SINGLE

MOST_KINDS_SHOWN = 5


@dataclass(kw_only=True)
class Run:
    """Everything that one run measured, round by round. idle: programs at rest, share of one processor."""

    started_at: datetime
    machine: str
    limits: str
    floors: list[list[Sample]] = field(default_factory=list)
    pieces: dict[str, list[Sample]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    kept: Kept | None = None

    def add(self, sample: Sample) -> None:
        self.pieces.setdefault(sample.name, []).append(sample)

    @property
    def samples(self) -> list[Sample]:
        return [sample for of_one in (*self.floors, *self.pieces.values()) for sample in of_one]

    @property
    def floor_rows(self) -> list[Row]:
        return [row_of(rounds) for rounds in zip(*self.floors, strict=True)]

    @property
    def rows(self) -> list[Row]:
        return [row_of(rounds) for rounds in self.pieces.values()]

    @property
    def failures(self) -> list[str]:
        return [failure for row in self.rows for failure in row.failures]

    @property
    def is_sound(self) -> bool:
        """Whether nothing failed and everything that was promised is there."""
        return not self.failures and self.kept is not None and self.kept.is_complete

    def chain_over_hot_path(self) -> Figure:
        """Return the CPU of the bare pieces by that of a proof, in the same rounds."""
        chains = [[floor for floor in floors if floor.name in CHAIN] for floors in self.floors]
        return ratio(chains, self.pieces[SINGLE])


def show(run: Run, console: Console) -> None:
    """Print the run."""
    console.print(f"\n{run.machine}; {run.started_at:%Y-%m-%d %H:%M} UTC; {len(run.floors)} rounds. {run.limits}\n")
    console.print(table("What this machine can do at all", run.floor_rows))
    console.print(table("Through the public doors", run.rows))
    console.print(programs(run.rows))
    for row in run.rows:
        if row.first_ms and row.last_ms:
            console.print(f"{row.name}: first answer after {ms(row.first_ms)}, last after {ms(row.last_ms)}")
    chain = sum(row.cpu_us.median for row in run.floor_rows if row.name in CHAIN)
    found = run.chain_over_hot_path()
    console.print(f"The chain (sum of the four floors): {chain:.0f} µs. Chain / {SINGLE}: {times(found)}")
    idle = ", ".join(f"{name} {share:.1%}" for name, share in run.idle.items())
    console.print(f"At rest, of one processor: {idle}")
    console.print(kept_line(run.kept))
    for row in run.rows:
        for failure, count in Counter(row.failures).most_common(MOST_KINDS_SHOWN):
            console.print(f"[red]{row.name}: {count} x {escape(failure)}[/]", highlight=False)
    console.print(verdict(run.samples), style="bold")


def table(title: str, rows: Sequence[Row]) -> Table:
    """Return the figures of these rows: the median, and the worst round in brackets."""
    made = Table(title=title, title_justify="left")
    made.add_column("")
    for name in ("done", "per second", "CPU µs each", "p50 ms", "p99 ms", "errors"):
        made.add_column(name, justify="right")
    for row in rows:
        figures = (both(row.per_second), both(row.cpu_us), both(row.p50_ms, 1), both(row.p99_ms, 1))
        made.add_row(row.name, f"{row.count:,}", *figures, str(len(row.failures)))
    return made


def programs(rows: Sequence[Row]) -> Table:
    """Return the CPU of each program for one of each."""
    names = list(rows[0].cpu_by_program)
    made = Table(title="CPU µs each, by program (medians)", title_justify="left")
    made.add_column("")
    for name in names:
        made.add_column(name, justify="right")
    for row in rows:
        made.add_row(row.name, *(shown(row.cpu_by_program[name]) for name in names))
    return made


def both(figure: Figure, digits: int = 0) -> str:
    return f"{shown(figure.median, digits)} ({shown(figure.worst, digits)})"


def shown(value: float, digits: int = 0) -> str:
    return "-" if isnan(value) else f"{value:,.{digits}f}"


def ms(figure: Figure) -> str:
    return f"{both(figure)} ms"


def times(figure: Figure) -> str:
    return f"{shown(figure.median, 2)} (worst {shown(figure.worst, 2)})"


def kept_line(kept: Kept | None) -> str:
    """Say whether all that was promised is there."""
    if kept is None:
        return "[red]Nothing was checked.[/]"
    missing = f"missing: {kept.not_standing} in the database, {kept.not_sealed} in the log"
    missing += f", {kept.not_published} in the stream; announced twice: {kept.twice}; not told: {kept.surplus}"
    colour = "green" if kept.is_complete else "red"
    return f"[{colour}]{kept.acknowledged:,} signatures were acknowledged; {missing}[/]"


def write(run: Run, file: Path) -> None:
    """Keep the run, every round of it, as JSON."""
    chain = run.chain_over_hot_path()
    document = {
        "started_at": run.started_at.isoformat(),
        "machine": run.machine,
        "limits": run.limits,
        "foreign_share": foreign_share(run.samples),
        "verdict": verdict(run.samples),
        "chain_over_hot_path": asdict(chain),
        "idle": run.idle,
        "kept": None if run.kept is None else asdict(run.kept),
        "floors": [asdict(row) for row in run.floor_rows],
        "pieces": [asdict(row) for row in run.rows],
        "rounds": [asdict(sample) for sample in run.samples],
    }
    file.write_text(json.dumps(numbers(document), indent=2, allow_nan=False) + "\n")


def numbers(value: Any) -> Any:
    """Return `value` with null for what is not a number: JSON knows no other way to say it."""
    if isinstance(value, dict):
        return {name: numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [numbers(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value
