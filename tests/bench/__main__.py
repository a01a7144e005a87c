"""`./dev bench`: start the system, measure it and the bare floors of this machine in turns, show both."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from infra.local.children import LocalStackError
from tests.bench.baseline import NaiveLossError
from tests.bench.proofs import BeaconFailedError
from tests.bench.report import show, write
from tests.bench.rounds import FULL, QUICK, measured

FILE_COLUMNS = 120

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Less of everything: under 90 seconds.")] = False,
    json_: Annotated[Path | None, typer.Option("--json", help="Write all rounds to this file.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; the figures are their medians.")] = None,
) -> None:
    """Measure what an attempt costs through the public doors, beside the bare floors of this machine."""
    size = QUICK if quick else FULL
    size = replace(size, rounds=rounds or size.rounds)
    folder = Path(tempfile.mkdtemp(prefix="rollcall-bench-"))
    progress = Console(stderr=True)
    try:
        with progress.status("") as status:
            run = uvloop.run(measured(folder, size, status.update))
    except (LocalStackError, BeaconFailedError, NaiveLossError) as error:
        typer.echo(f"bench: {error}\nthe logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1) from error
    console = Console()
    if not console.is_terminal:
        console.width = FILE_COLUMNS
    show(run, console)
    if json_ is not None:
        write(run, json_)
    if not run.is_sound or any(judged.fails for judged in run.judged()):
        typer.echo(f"the logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    app()
