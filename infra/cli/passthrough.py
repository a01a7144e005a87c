"""The services' and the streams' own commands, joined to the stack that `up` started."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import typer

from infra.cli.stack import VARIABLES
from infra.settings import environment

MODULES = {
    "identity": "identity_svc",
    "academics": "academics_svc",
    "attendance": "attendance_svc",
    "beacon": "beacon_svc",
    "streams": "streams",
}


def add_passthrough(app: typer.Typer) -> None:
    """Add `rollcall <name> …` for each module that has commands of its own."""
    for name, module in MODULES.items():
        context: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
        app.command(name, context_settings=context, help=f"Run a command of {module}.")(_runner(module))


def _runner(module: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        known = json.loads(VARIABLES.read_text()) if VARIABLES.exists() else {}
        command = [sys.executable, "-m", module, *context.args]
        raise typer.Exit(subprocess.run(command, env=known | environment(), check=False).returncode)

    return run
