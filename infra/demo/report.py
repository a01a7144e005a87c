"""What the demo expected and what came: a table with a progress bar, or JSON."""

import json
import sys
from dataclasses import asdict, dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation and its outcome."""

    flow: str
    what: str
    expected: str
    outcome: str

    @property
    def held(self) -> bool:
        """Whether the outcome is the expected one."""
        return self.expected == self.outcome


@dataclass
class Report:
    """Collects findings; shows progress on stderr while they come in. total: how many are planned."""

    total: int
    quiet: bool = False
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        console = Console(stderr=True, quiet=self.quiet)
        columns = (TextColumn("{task.description:<44.44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("starting", total=self.total)

    def __enter__(self) -> "Report":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def doing(self, what: str) -> None:
        """Say what happens now."""
        self._progress.update(self._task, description=what)

    def expect(self, flow: str, what: str, expected: object, outcome: object) -> None:
        """Record an expectation and what came instead, or as expected."""
        self.findings.append(Finding(flow, what, str(expected), str(outcome)))
        self._progress.update(self._task, advance=1, description=what)

    @property
    def all_held(self) -> bool:
        """Whether everything that was planned was checked and came as expected."""
        return len(self.findings) == self.total and all(finding.held for finding in self.findings)

    def as_table(self) -> Table:
        """Return the findings as a table, one row each."""
        table = Table(title="Rollcall demo", title_justify="left")
        for name in ("flow", "what", "expected", "outcome", ""):
            table.add_column(name, overflow="fold")
        for finding in self.findings:
            style = None if finding.held else "bold red"
            mark = "ok" if finding.held else "WRONG"
            table.add_row(finding.flow, finding.what, finding.expected, finding.outcome, mark, style=style)
        return table

    def write(self, *, as_json: bool) -> None:
        """Print the report to stdout."""
        if as_json:
            rows = [asdict(finding) | {"held": finding.held} for finding in self.findings]
            sys.stdout.write(json.dumps({"held": self.all_held, "findings": rows}, indent=2) + "\n")
            return
        console = Console(width=None if sys.stdout.isatty() else 140)
        console.print(self.as_table())
        wrong = sum(not finding.held for finding in self.findings)
        missing = self.total - len(self.findings)
        console.print(f"{len(self.findings) - wrong} of {self.total} held, {wrong} wrong, {missing} not reached")
