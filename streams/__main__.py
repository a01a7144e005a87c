"""Run `python -m streams`."""

from streams.cli import app

app(prog_name="streams")
