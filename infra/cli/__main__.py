"""`rollcall`: one word per task; see `rollcall --help`."""

import typer

from infra.cli.generate import contracts

app = typer.Typer(name="rollcall", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(contracts)


@app.callback()
def rollcall() -> None:
    """Run Rollcall: the embedded stack, the demo and the services' own commands."""


if __name__ == "__main__":
    app()
