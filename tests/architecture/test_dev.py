"""The task script says so when a tool fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each does nothing, but fails where the folder has a file `fails` that holds its name and first argument.
TOOL = """#!/bin/sh
[ "$(basename "$0") $1" != "$(cat fails)" ]
"""
TOOLS = ("buf", "lint-imports", "mypy", "python", "python3.13", "ruff", "uv")


@pytest.fixture
def clone(tmp_path):
    """A folder with the script, and tools that do nothing."""
    shutil.copy(ROOT / "dev", tmp_path / "dev")
    for folder in ("infra", "contracts/rpc", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "infra/requirements.lock").write_text("uv==1\n")
    (tmp_path / "contracts/rpc/fails").symlink_to(tmp_path / "fails")
    (tmp_path / "fails").write_text("")
    for tool in TOOLS:
        path = tmp_path / ".venv/bin" / tool
        path.write_text(TOOL)
        path.chmod(0o755)
    return tmp_path


def run(clone, task, fails=""):
    (clone / "fails").write_text(fails)
    env = {"PATH": f"{clone}/.venv/bin:{os.defpath}"}
    return subprocess.run(["./dev", task], cwd=clone, env=env, capture_output=True, check=False).returncode


@pytest.mark.parametrize("task", ["check", "test", "demo", "faults", "bench", "contracts", "lock"])
def test_a_task_whose_tools_succeed_succeeds(clone, task):
    assert run(clone, task) == 0


@pytest.mark.parametrize("fails", ["ruff check", "ruff format", "mypy --no-error-summary", "lint-imports --no-logo"])
def test_a_check_that_finds_something_fails(clone, fails):
    assert run(clone, "check", fails) != 0


@pytest.mark.parametrize(
    ("task", "fails"),
    [
        ("check", "buf lint"),
        ("check", "python -m"),
        ("test", "python -m"),
        ("demo", "python -m"),
        ("faults", "python -m"),
        ("bench", "python -m"),
        ("contracts", "python -m"),
        ("lock", "uv pip"),
    ],
)
def test_what_a_task_runs_decides_how_it_ends(clone, task, fails):
    assert run(clone, task) == 0

    assert run(clone, task, fails) != 0


def test_an_installation_that_failed_is_tried_again(clone):
    assert run(clone, "demo", "uv pip") != 0
    assert not (clone / ".venv/installed").exists()

    assert run(clone, "demo") == 0
    assert (clone / ".venv/installed").exists()


def test_nothing_is_installed_twice(clone):
    assert run(clone, "demo") == 0

    assert run(clone, "demo", "uv pip") == 0
