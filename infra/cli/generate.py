"""Regenerate what is generated from the contracts and committed, or say whether it is up to date."""

import filecmp
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.schemas import documents

ROOT = Path(__file__).parents[2]
OUTPUTS = ("--python_out", "--pyi_out", "--grpc_python_out", "--mypy_grpc_out")


def contracts(
    *, check: Annotated[bool, typer.Option("--check", help="Change nothing; fail when something would.")] = False
) -> None:
    """Regenerate the gRPC code, the event schemas and the OpenAPI documents from the contracts."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name) if check else ROOT
        generate(target)
        stale = list(differences(target)) if check else []
    for path in stale:
        typer.echo(f"not up to date: {path} (run ./dev contracts)", err=True)
    if stale:
        raise typer.Exit(1)


def generate(target: Path) -> None:
    """Write everything that is generated below `target`, laid out as in the repository."""
    protos = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "contracts/rpc").rglob("*.proto"))
    # From the root, so that the generated imports read `from contracts.rpc…` and need no patching.
    plugin = f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}"
    outputs = [plugin, *(f"{option}={target}" for option in OUTPUTS)]
    run([sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *outputs, *protos])
    for path, text in documents():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)


def run(command: list[str]) -> bytes:
    """Run a generator from the root and return what it prints; its complaints end this process."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        typer.echo(done.stderr.decode(), err=True)
        raise typer.Exit(done.returncode)
    return done.stdout


def differences(target: Path) -> Iterator[str]:
    """Yield what below `target` the repository lacks or has otherwise."""
    for made in sorted(path for path in target.rglob("*") if path.is_file()):
        name = made.relative_to(target)
        kept = ROOT / name
        if not kept.exists() or not filecmp.cmp(made, kept, shallow=False):
            yield str(name)
