"""`rollcall`: one word per task; see `rollcall --help`."""

import typer

from infra.cli.generate import contracts
from infra.cli.passthrough import add_passthrough
from infra.cli.stack import demo, up

app = typer.Typer(name="rollcall", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for task in (demo, up, contracts):
    app.command()(task)
add_passthrough(app)


@app.callback()
def rollcall() -> None:
    """Run Rollcall: the embedded stack, the demo and the services' own commands."""


if __name__ == "__main__":
    app()
