"""Start the whole system on this machine: to look at it, or to have it play the demo."""

import asyncio
import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from infra.demo.play import PLANNED, play
from infra.demo.report import Report
from infra.demo.school import Cast, Stage, build_cast
from infra.envoy.routes import SERVICES
from infra.local.children import LocalStackError
from infra.local.services import Services
from infra.local.stack import Stack
from infra.private_files import write_private
from infra.settings import environment

FOLDER = Path(".rollcall")
# Where `up` leaves the variables of its services, for the commands that join them.
VARIABLES = FOLDER / "variables.json"
# The accounts of the demo data, and their password.
LOGINS = FOLDER / "logins.json"


def demo(*, json_: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """Start everything afresh, play the flows over the public doors and check every outcome."""
    folder = Path(tempfile.mkdtemp(prefix="rollcall-demo-"))
    held = _run_or_explain(_demo(folder, as_json=json_), folder)
    if not held:
        typer.echo(f"the logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1)
    shutil.rmtree(folder)


async def _demo(folder: Path, *, as_json: bool) -> bool:
    with Report(total=PLANNED, quiet=as_json) as report:
        report.doing("starting PostgreSQL, Valkey, Envoy and the services")
        async with _running(folder, edge_port=0) as stage:
            await play(stage, report)
    report.write(as_json=as_json)
    return report.all_held


def up(*, port: Annotated[int, typer.Option(help="Port of the edge.")] = 8080) -> None:
    """Start everything with demo data and keep it until Ctrl-C; print addresses and logins."""
    _run_or_explain(_up(port), FOLDER)


async def _up(port: int) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _running(FOLDER, edge_port=port) as stage:
        stack = stage.services.stack
        write_private(VARIABLES, json.dumps(_variables(stack)))
        # The first start makes the demo data; later ones find it in the database.
        if not LOGINS.exists():
            write_private(LOGINS, json.dumps(_logins(await build_cast(stage, students=6))))
        _introduce(stage, json.loads(LOGINS.read_text()))
        await stop.wait()
    return True


def _logins(cast: Cast) -> dict[str, Any]:
    people = [{"type": person.type, "email": person.email} for person in cast.logins()]
    return {"password": cast.password, "people": people}


def _variables(stack: Stack) -> dict[str, str]:
    """Return the variables of all services, and those of whoever looks at streams or trims them."""
    found = {name: value for service in SERVICES for name, value in stack.variables(service).items()}
    if stack.valkey is not None:
        found["STREAMS_REDIS_URL"] = stack.valkey.url("analytics")
        for service in SERVICES:
            found[f"STREAMS_TRIMMER_{service.upper()}_URL"] = stack.valkey.url(f"trimmer-{service}")
    return found


def _introduce(stage: Stage, logins: dict[str, Any]) -> None:
    console = Console(soft_wrap=True)
    console.print(f"\nRollcall is up at [bold]{stage.base_url}[/]  (Ctrl-C stops it; data stays in {FOLDER}/)\n")
    for name in SERVICES:
        console.print(f"  {name:<11} {stage.base_url}/docs/{name}")
    console.print(f"\n  POST {stage.base_url}/auth/login with one of these; the password is {logins['password']}\n")
    for person in logins["people"]:
        console.print(f"  {person['type']:<8} {person['email']}")
    console.print("\n  ./dev rollcall streams tail --source attendance --follow    shows the events as they come")


@asynccontextmanager
async def _running(folder: Path, *, edge_port: int) -> AsyncIterator[Stage]:
    async with (
        Stack(folder=folder, given=environment(), edge_port=edge_port) as stack,
        Services(stack=stack) as services,
        Stage.opened(services) as stage,
    ):
        yield stage


def _run_or_explain(work: Coroutine[Any, Any, bool], folder: Path) -> bool:
    try:
        return uvloop.run(work)
    except LocalStackError as error:
        typer.echo(f"rollcall: {error}", err=True)
        typer.echo(f"the logs are in {folder / 'logs'}", err=True)
        raise typer.Exit(1) from error
