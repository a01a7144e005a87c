"""Every rule of the code is held by something: each violation, planted in a copy of the tree, is found."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT, SERVICES

PROGRAMS = pathlib.Path(sys.executable).parent

# What is planted where, and the line by which import-linter names it.
IMPORTS = {
    "domain speaks to a database": ("attendance_svc/domain", "asyncpg"),
    "domain knows events": ("attendance_svc/domain", "contracts.events.envelope"),
    "domain knows wires": ("academics_svc/domain", "contracts.rpc.callers"),
    "domain waits": ("identity_svc/domain", "asyncio"),
    "a service imports another": ("beacon_svc/domain", "attendance_svc.domain"),
    "streams import a service": ("streams/codec", "academics_svc.domain"),
    "infra imports streams": ("infra/clock", "streams.names"),
    "contracts import infra": ("contracts/ids", "infra.clock"),
    "a door imports a client": ("academics_svc/http_api", "academics_svc.clients"),
    "a door imports a store": ("beacon_svc/http_api", "beacon_svc.store"),
    "a store imports commands": ("identity_svc/store", "identity_svc.commands"),
    "commands import a store": ("attendance_svc/commands", "attendance_svc.store"),
    "commands read settings": ("academics_svc/commands", "academics_svc.settings"),
    "commands speak gRPC": ("beacon_svc/commands", "grpc"),
    "ports know the database": ("identity_svc/ports", "asyncpg"),
    "a port imports a command": ("attendance_svc/ports", "attendance_svc.commands"),
    "domain imports ports": ("beacon_svc/domain", "beacon_svc.ports"),
}
RUFF = {
    "os.environ": ("import os\n\nHOME = os.environ", "TID251"),
    "os.getenv": ('import os\n\nHOME = os.getenv("HOME")', "TID251"),
    "the time of day": ("from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)", "TID251"),
    "a time without a zone": ("from datetime import datetime\n\nNOW = datetime.now()", "DTZ005"),
    "time.time": ("import time\n\nNOW = time.time()", "TID251"),
    "a mock": ("from unittest.mock import AsyncMock", "TID251"),
    "a blind except": ("try:\n    x = 1\nexcept Exception as e:\n    x = e", "BLE001"),
    "a swallowed exception": ("try:\n    x = 1\nexcept ValueError:\n    pass", "SIM105"),
    "an exception passed over": ("try:\n    x = 1\nexcept Exception:\n    pass", "S110"),
    "a relative import": ("from . import clock", "TID252"),
    "a print": ('print("x")', "T201"),
    "no docstring of a class": ("class Planted:\n    x = 1", "D101"),
    "no docstring of a module": ("", "D100"),
    "seven parameters": (
        'def f(a: int, b: int, c: int, d: int, e: int, f: int, g: int) -> None:\n    """F."""',
        "PLR0913",
    ),
    "no types": ('def f(a):\n    """F."""', "ANN001"),
    "a positional flag": ('def f(a: bool) -> None:\n    """F."""', "FBT001"),
    "sleeping in a coroutine": ('import time\n\n\nasync def f() -> None:\n    """F."""\n    time.sleep(1)', "ASYNC251"),
}
SHAPE = {
    "a helpers file": "shape.py::test_services_use_the_given_names[attendance_svc]",
    "a long start": "shape.py::test_a_service_starts_in_a_few_lines_and_explains_itself_on_a_page[beacon_svc]",
    "a long function": "shape.py::test_files_and_functions_stay_readable[infra/clock.py]",
    "a long file": "shape.py::test_files_and_functions_stay_readable[streams/names.py]",
    "a class without a docstring": "shape.py::test_files_and_public_classes_say_what_they_are_for[infra/clock.py]",
    "ids that need a library": "shape.py::test_what_every_domain_imports_is_standard_library_only[ids]",
    "a code without a title": "problems.py::test_a_raised_code_is_listed_with_its_title[infra/clock.py]",
    "a statement put together": "sql.py::test_no_statement_is_put_together_from_strings[streams/names.py]",
    "a call without callers": "callers.py::test_every_call_of_every_proto_says_who_may_make_it",
}
SOUND = "shape.py::test_files_and_functions_stay_readable[infra/certs.py]"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """`copy()`: a fresh copy of the tree."""

    def make():
        folder = tmp_path_factory.mktemp("copy")
        for top in (*SERVICES, "streams", "infra", "contracts", "tests/architecture"):
            shutil.copytree(ROOT / top, folder / top, ignore=shutil.ignore_patterns("__pycache__", "test_planted*"))
        for file in ("pyproject.toml", "tests/__init__.py"):
            shutil.copy(ROOT / file, folder / file)
        return folder

    return make


def run(folder, *command):
    # Beside this variable nothing of this process shall count: pytest finds its plugins and options by itself.
    clean = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


def module(folder, name):
    """The file of a module that may have become a package."""
    file = folder / f"{name}.py"
    return file if file.exists() else folder / name / "__init__.py"


def append(file, text):
    file.write_text(file.read_text() + f"\n{text}\n" if file.exists() else f'"""Planted."""\n\n{text}\n')


# Who imports whom


@pytest.fixture(scope="module")
def complaints(copy):
    folder = copy()
    for name, imported in IMPORTS.values():
        append(module(folder, name), f"import {imported}")
    return run(folder, PROGRAMS / "lint-imports", "--no-cache").stdout


@pytest.mark.parametrize(("name", "imported"), IMPORTS.values(), ids=IMPORTS)
def test_a_forbidden_import_is_found(name, imported, complaints):
    root = (
        imported if imported.split(".")[0] in (*SERVICES, "streams", "infra", "contracts") else imported.split(".")[0]
    )

    assert f"{name.replace('/', '.')} -> {root} (l." in complaints


def test_the_tree_as_it_is_breaks_no_rule_and_a_file_of_another_name_does(copy):
    folder = copy()
    before = run(folder, PROGRAMS / "lint-imports", "--no-cache")
    (folder / "attendance_svc/utils.py").write_text('"""Planted."""\n')

    after = run(folder, PROGRAMS / "lint-imports", "--no-cache")

    assert before.returncode == 0, before.stdout
    assert after.returncode == 1
    assert "attendance_svc.utils" in after.stdout or "- utils" in after.stdout


# How code is written


@pytest.mark.parametrize(("text", "code"), RUFF.values(), ids=RUFF)
def test_code_that_is_not_written_here_is_found(text, code, tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / "streams/planted.py"
    planted.parent.mkdir()
    planted.write_text(text if code == "D100" else f'"""Planted."""\n\n{text}\n')

    found = json.loads(run(tmp_path, PROGRAMS / "ruff", "check", "--no-cache", "--output-format=json").stdout)

    assert code in {each["code"] for each in found}


def test_code_without_types_is_found(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "planted.py").write_text("def f(x: list) -> int:\n    return x[0]\n")

    found = run(tmp_path, PROGRAMS / "mypy", "--no-incremental", "planted.py").stdout

    assert "[type-arg]" in found
    assert "[no-any-return]" in found


# How the tree is laid out


@pytest.fixture(scope="module")
def failures(copy):
    folder = copy()
    (folder / "attendance_svc/utils.py").write_text('"""Planted."""\n')
    append(folder / "beacon_svc/__main__.py", "\n" * 20 + "x = 1")
    append(folder / "streams/names.py", "# \n" * 400 + 'FIND = f"SELECT {__name__}"')
    append(folder / "contracts/ids.py", "import asyncpg")
    append(
        folder / "infra/clock.py",
        "def planted() -> None:\n" + "    print()\n" * 45 + "\n\nclass Planted:\n    x = 1\n\n\n"
        'def raising() -> None:\n    raise NotFoundError("never_listed")',
    )
    callers = folder / "contracts/rpc/callers.py"
    callers.write_text(callers.read_text().replace('        "GetCourse": ATTENDANCE,\n', ""))
    ids = [f"tests/architecture/test_{test}" for test in (*SHAPE.values(), SOUND)]
    options = ("-q", "-p", "no:cacheprovider", "-rf", "--tb=no", "--assert=plain")
    done = run(folder, sys.executable, "-m", "pytest", *options, *ids)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return {line.partition("test_")[2].split(" - ")[0] for line in failed}


@pytest.mark.parametrize("test", SHAPE.values(), ids=SHAPE)
def test_a_fault_of_layout_is_found(test, failures):
    assert test in failures


def test_what_is_sound_is_left_alone(failures):
    assert SOUND not in failures
