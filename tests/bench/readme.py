"""Fill a run into the README: `python -m tests.bench.readme run.json` replaces what stands between its two markers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.bench.budgets import GIVEN
from tests.bench.goals import GOALS, Goal

README = Path(__file__).with_name("README.md")
START, END = "<!-- a run: begin -->", "<!-- a run: end -->"
BY_NUMBER = {goal.number: goal for goal in GOALS}


class NoPlaceError(Exception):
    """The text has no place for a run."""


def main(file: Annotated[Path, typer.Argument(help="What `./dev bench --json` wrote.")]) -> None:
    """Put a run into the README of the bench."""
    README.write_text(filled(README.read_text(), json.loads(file.read_text())))


def filled(text: str, run: Mapping[str, Any]) -> str:
    """Return `text` with the run between its markers. Raises: NoPlaceError."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise NoPlaceError(f"no {START} … {END}")
    return f"{before}{START}\n{chr(10).join(lines(run))}\n{END}{after}"


def lines(run: Mapping[str, Any]) -> Iterator[str]:
    """Yield the run as Markdown: when and where, the goals, the figures."""
    at = datetime.fromisoformat(run["started_at"])
    yield f"{at:%Y-%m-%d %H:%M} UTC, {run['machine']}. {run['limits']} {run['company']}"
    yield from ("", "| goal | | must | aim | measured | worst | |", "|---|---|---|---|---|---|---|")
    yield from map(goal_line, run["goals"])
    yield from ("", "| | per second | CPU µs each | p50 ms | p99 ms | errors |", "|---|---|---|---|---|---|")
    yield from map(row_line, (*run["floors"], *run["pieces"]))
    yield from ("", by_program(run["pieces"]), "")
    yield from (f"| a must, and CPU µs of each | allowed | used | of it {', '.join(GIVEN)} |", "|---|---|---|---|")
    yield from map(budget_line, run["budgets"])


def goal_line(judged: Mapping[str, Any]) -> str:
    goal, figure = BY_NUMBER[judged["number"]], judged["figure"]
    found = [shown(goal, figure["median"]), shown(goal, figure["worst"])] if figure else ["-", "-"]
    times = judged["times_short_of_aim"]
    notes = [judged["verdict"]] + ([f"{times:.1f} x short of the aim"] if times else [])
    cells = [goal.number, goal.says, goal.shown(goal.must), goal.shown(goal.aim), *found]
    return row([*cells, "; ".join([*notes, judged["note"]] if judged["note"] else notes)])


def shown(goal: Goal, value: float | None) -> str:
    return "-" if value is None else goal.shown(value)


def budget_line(budget: Mapping[str, Any]) -> str:
    figures = ("-" if budget[of] is None else f"{budget[of]:,.0f}" for of in ("allowed_us", "used_us", "given_us"))
    return row([f"{budget['goal']}, {budget['piece']}", *figures])


def row_line(measured: Mapping[str, Any]) -> str:
    figures = [both(measured[name], digits) for name, digits in FIGURES]
    failed = len(measured["failures"])
    return row([measured["name"], *figures, f"{failed:,} of {failed + measured['count']:,}" if failed else "0"])


FIGURES = (("per_second", 0), ("cpu_us", 0), ("p50_ms", 1), ("p99_ms", 1))


def both(figure: Mapping[str, float | None], digits: int) -> str:
    """Return the median, and the worst round in brackets."""
    median, worst = ("-" if figure[of] is None else f"{figure[of]:,.{digits}f}" for of in ("median", "worst"))
    return f"{median} ({worst})"


def by_program(pieces: Sequence[Mapping[str, Any]]) -> str:
    """Say where the CPU of the first piece goes."""
    first = pieces[0]
    parts = sorted(first["cpu_by_program"].items(), key=lambda part: -(part[1] or 0))
    return f"CPU of {first['name']}, by program: " + ", ".join(f"{name} {us or 0:,.0f} µs" for name, us in parts) + "."


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
