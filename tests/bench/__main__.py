"""`./dev bench`: start the system, measure it and the bare floors of this machine in turns, show both."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from infra.local.children import LocalStackError
from infra.telemetry import configure_logs
from tests.bench.baseline import NaiveLossError
from tests.bench.endure import CHUNK, endured
from tests.bench.grow import grown
from tests.bench.proofs import BeaconFailedError
from tests.bench.report import show, show_endurance, show_growth, write
from tests.bench.rounds import FULL, QUICK, measured

FILE_COLUMNS = 120
FAILED = (LocalStackError, BeaconFailedError, NaiveLossError)

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: a minute and a half.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all rounds to this file.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; the figures are their medians.")] = None,
    grow: Annotated[bool, typer.Option("--grow", help="Instead: the cost of a proof as what is stored grows.")] = False,
    endure: Annotated[
        int | None, typer.Option("--endure", min=CHUNK, help="Instead: memory while so many proofs come in (200000).")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw the curves of --grow into this file.")] = None,
) -> None:
    """Measure what an attempt costs through the public doors, beside the bare floors of this machine."""
    configure_logs("bench", "ERROR")
    console = Console()
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    with a_folder() as folder, Console(stderr=True).status("") as status:
        if grow:
            growth = uvloop.run(grown(folder, status.update))
            show_growth(growth, console, json_=json_, svg=svg)
            is_good = growth.is_sound and not growth.is_too_steep
        elif endure is not None:
            endurance = uvloop.run(endured(folder, status.update, proofs=endure))
            show_endurance(endurance, console)
            is_good = endurance.is_good
        else:
            size = QUICK if quick else FULL
            size = replace(size, rounds=rounds or size.rounds)
            run = uvloop.run(measured(folder, size, status.update))
            show(run, console)
            if json_ is not None:
                write(run, json_)
            is_good = run.is_sound and not any(judged.fails for judged in run.judged())
        if not is_good:
            raise typer.Exit(1)


@contextmanager
def a_folder() -> Iterator[Path]:
    """Yield a folder for everything; what failed leaves it behind, with its logs."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-bench-"))
    try:
        yield folder
    except FAILED as error:
        typer.echo(f"bench: {error}\nthe logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1) from error
    except typer.Exit:
        typer.echo(f"the logs are in {folder / 'logs'}", err=True)
        raise
    shutil.rmtree(folder)


if __name__ == "__main__":
    app()
