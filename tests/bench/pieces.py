"""Every piece of streams and commits by itself, in rounds: `python -m tests.bench.pieces` (G7, G14, G15, G16)."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from infra.process import spare_the_collector
from tests.bench.figures import Sample, company, row_of
from tests.bench.goals import GOALS
from tests.bench.pieces_commit import measure_commits
from tests.bench.pieces_ground import workshop
from tests.bench.pieces_streams import measure_streams
from tests.bench.replay import Replay, gain, replaying

COMMIT_S = 2.0
# Of few events, the start would be most of what is seen; a copy begins with a second of waiting for a promise.
STREAM_EVENTS, LEAST_STREAM_EVENTS = 20_000, 8_000
REPLAYED, LEAST_REPLAYED = 40_000, 16_000
ONE_BY_ONE, LEAST_ONE_BY_ONE = 1_000, 400

Ratios = dict[str, float]

app = typer.Typer(add_completion=False)


async def measure_pieces(replay: Replay, *, share: float = 1.0) -> tuple[list[Sample], Ratios]:
    """Measure everything once; return the samples and what they say of each goal. share: of the usual amount."""
    commits, of_commits = await measure_commits(replay.ground, COMMIT_S * share)
    streams, of_streams = await measure_streams(replay.ground, max(LEAST_STREAM_EVENTS, int(STREAM_EVENTS * share)))
    one_by_one = await replay.one_by_one(max(LEAST_ONE_BY_ONE, int(ONE_BY_ONE * share)))
    together = await replay.together()
    ratios = of_commits | of_streams | {"G15": gain(together, one_by_one)}
    return [*commits, *streams, one_by_one, together], ratios


@app.command()
def pieces(
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    share: Annotated[float, typer.Option(min=0.05, help="How much of the usual amount.")] = 1.0,
) -> None:
    """Measure the pieces in rounds and show the middle of each."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-pieces-"))
    try:
        found = uvloop.run(measured(folder, rounds, share))
    finally:
        shutil.rmtree(folder)
    show([samples for samples, _ in found], [ratios for _, ratios in found])


async def measured(folder: Path, rounds: int, share: float) -> list[tuple[list[Sample], Ratios]]:
    """Return what each round showed."""
    spare_the_collector()  # as every service does
    async with workshop(folder) as ground, replaying(ground, int(REPLAYED * share) + LEAST_REPLAYED) as replay:
        return [await measure_pieces(replay, share=share) for _ in range(rounds)]


def show(samples: list[list[Sample]], ratios: list[Ratios]) -> None:
    """Print a table of the pieces and one of the goals."""
    console = Console()
    rows = [row_of(of_one) for of_one in zip(*samples, strict=True)]
    pieces_ = Table("piece", "per second", "CPU µs each", "p50 ms")
    for row in rows:
        pieces_.add_row(
            row.name, f"{row.per_second.median:,.0f}", f"{row.cpu_us.median:,.0f}", f"{row.p50_ms.median:.2f}"
        )
    goals = Table("goal", "says", "middle", "all", "must", "aim")
    for goal in GOALS:
        values = [round_[goal.number] for round_ in ratios if goal.number in round_]
        if values:
            every = " ".join(f"{value:.2f}" for value in values)
            middle = sorted(values)[len(values) // 2]
            goals.add_row(goal.number, goal.says, f"{middle:.2f}", every, str(goal.must), str(goal.aim))
    console.print(pieces_, goals, company([sample for round_ in samples for sample in round_]))


if __name__ == "__main__":
    app()
