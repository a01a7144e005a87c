"""Show a run as tables, or keep it as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan, nan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.budgets import GIVEN, Budget, budgets
from tests.bench.endure import Endurance
from tests.bench.figures import Figure, Row, company, foreign_share
from tests.bench.goals import Judged, Verdict
from tests.bench.grow import Growth
from tests.bench.kept import Kept
from tests.bench.names import CHAIN
from tests.bench.run import Run
from tests.bench.svg import draw

MOST_KINDS_SHOWN = 5
COLOURS: dict[Verdict, str] = {"met aim": "green", "met must": "yellow", "missed": "red"}


def show(run: Run, console: Console) -> None:
    """Print the run."""
    rounds = max((len(of_one) for of_one in run.floors.values()), default=0)
    console.print(f"\n{run.machine}; {run.started_at:%Y-%m-%d %H:%M} UTC; {rounds} rounds. {run.limits}\n")
    console.print(table("What this machine can do at all", run.floor_rows))
    console.print(table("Through the public doors", run.rows))
    console.print(programs(run.rows))
    for row in run.rows:
        if row.first_ms and row.last_ms:
            console.print(f"{row.name}: first answer after {ms(row.first_ms)}, last after {ms(row.last_ms)}")
    chain = sum(row.cpu_us.median for row in run.floor_rows if row.name in CHAIN)
    console.print(f"The chain (sum of the first four): {chain:.0f} µs.")
    console.print(allowances(list(budgets(run))))
    idle = ", ".join(f"{name} {share:.1%}" for name, share in run.idle.items())
    console.print(f"At rest, of one processor: {idle}")
    console.print(kept_line(run.kept))
    for row in (*run.floor_rows, *run.rows):
        for failure, count in Counter(row.failures).most_common(MOST_KINDS_SHOWN):
            console.print(f"[red]{row.name}: {count} x {escape(failure)}[/]", highlight=False)
    console.print(goals(run.judged()))
    console.print(company(run.samples), style="bold")


def goals(judged: Sequence[Judged]) -> Table:
    """Return what the run says of each goal; a miss of one with a star fails the run."""
    made = Table(title="Goals (*: decides; the others warn)", title_justify="left")
    for name in ("", ""):
        made.add_column(name)
    for name in ("must", "aim", "measured", "worst"):
        made.add_column(name, justify="right")
    made.add_column("verdict")
    for each in judged:
        goal, figure = each.goal, each.figure
        bounds = (goal.shown(goal.must), goal.shown(goal.aim))
        found = (goal.shown(figure.median), goal.shown(figure.worst)) if figure else ("-", "-")
        star = "*" if goal.decides else ""
        made.add_row(f"{goal.number}{star}", goal.says, *bounds, *found, said(each))
    return made


def said(judged: Judged) -> str:
    """Return the verdict with what is to say of it."""
    colour, times = COLOURS.get(judged.verdict, "dim"), judged.times_short
    notes = [f"{times:.1f} x short of the aim"] if times is not None else []
    notes += [judged.note] if judged.note else []
    return f"[{colour}]{judged.verdict}[/]" + (f" ({escape('; '.join(notes))})" if notes else "")


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
        made.add_row(row.name, *(shown(row.cpu_by_program.get(name, nan)) for name in names))
    return made


def allowances(found: Sequence[Budget]) -> Table:
    """Return what the goals allow, and what is used of it."""
    made = Table(title="CPU µs that a must allows for each, and what is used", title_justify="left")
    for name in ("", ""):
        made.add_column(name)
    for name in ("allowed", "used", f"of it {', '.join(GIVEN)}"):
        made.add_column(name, justify="right")
    for each in found:
        made.add_row(each.goal, each.piece, *map(shown, (each.allowed_us, each.used_us, each.given_us)))
    return made


def both(figure: Figure, digits: int = 0) -> str:
    return f"{shown(figure.median, digits)} ({shown(figure.worst, digits)})"


def shown(value: float, digits: int = 0) -> str:
    return "-" if isnan(value) else f"{value:,.{digits}f}"


def ms(figure: Figure) -> str:
    return f"{both(figure)} ms"


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
    document = {
        "started_at": run.started_at.isoformat(),
        "machine": run.machine,
        "limits": run.limits,
        "foreign_share": foreign_share(run.samples),
        "company": company(run.samples),
        "goals": [goal_document(each) for each in run.judged()],
        "budgets": [asdict(each) for each in budgets(run)],
        "idle": run.idle,
        "kept": None if run.kept is None else asdict(run.kept),
        "floors": [asdict(row) for row in run.floor_rows],
        "pieces": [asdict(row) for row in run.rows],
        "rounds": [asdict(sample) for sample in run.samples],
    }
    file.write_text(json.dumps(numbers(document), indent=2, allow_nan=False) + "\n")


def goal_document(judged: Judged) -> dict[str, Any]:
    """Return a goal and what the run says of it."""
    figure = None if judged.figure is None else asdict(judged.figure)
    said_ = {"figure": figure, "verdict": judged.verdict, "times_short_of_aim": judged.times_short, "note": judged.note}
    return asdict(judged.goal) | said_


def show_growth(growth: Growth, console: Console, *, json_: Path | None, svg: Path | None) -> None:
    """Print the curves; draw them, or keep them, where that is asked for."""
    caption = f"{growth.machine}; {growth.started_at:%Y-%m-%d %H:%M} UTC. {company(growth.samples)}"
    console.print(f"\n{caption}\n", style="bold")
    for curve in growth.curves:
        said_ = "[green]flat[/]" if curve.is_flat else "[red]not flat[/]"
        made = Table(title=f"CPU of a proof by {curve.of}: {said_}", title_justify="left")
        for name in (curve.of, "CPU µs (median)", "each time", "by the first"):
            made.add_column(name, justify="right")
        for point, (_, share) in zip(curve.points, curve.relative, strict=True):
            each = ", ".join(shown(cost) for cost in point.cost_us)
            made.add_row(f"{point.size:,}", shown(point.median_us), each, shown(share, 2))
        console.print(made)
    console.print(kept_line(growth.kept))
    for failure, count in Counter(f for sample in growth.samples for f in sample.failures).most_common():
        console.print(f"[red]{count} x {escape(failure)}[/]", highlight=False)
    if svg is not None:
        svg.write_text(draw(growth.curves, caption=caption))
    if json_ is not None:
        curves = [asdict(curve) | {"is_flat": curve.is_flat} for curve in growth.curves]
        document = {"started_at": growth.started_at.isoformat(), "machine": growth.machine, "curves": curves}
        document["company"] = company(growth.samples)
        json_.write_text(json.dumps(numbers(document), indent=2, allow_nan=False) + "\n")


def show_endurance(endurance: Endurance, console: Console) -> None:
    """Print what the services held in memory, as proofs came in."""
    console.print(f"\n{endurance.machine}; {endurance.started_at:%Y-%m-%d %H:%M} UTC.\n", style="bold")
    names = list(endurance.growth_mib)
    made = Table(title="Resident memory, MiB", title_justify="left")
    for name in ("proofs", *names):
        made.add_column(name, justify="right")
    for count, held in endurance.resident_mib.items():
        made.add_row(f"{count:,}", *(shown(held[name], 1) for name in names))
    console.print(made)
    console.print("[green]flat[/]" if endurance.is_flat else "[red]not flat[/]")
    console.print(kept_line(endurance.kept))
    for failure, count in Counter(endurance.failures).most_common():
        console.print(f"[red]{count} x {escape(failure)}[/]", highlight=False)


def numbers(value: Any) -> Any:
    """Return `value` with null for what is not a number: JSON knows no other way to say it."""
    if isinstance(value, dict):
        return {name: numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [numbers(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value
