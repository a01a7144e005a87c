"""The layout promises that no linter checks."""

import ast
import sys

import pytest

from tests.architecture.sources import ROOT, SERVICES, SOURCES, name_of

NAMES = {  # each is a module, or a package of the same name once it has grown
    "__main__",
    "settings",
    "wiring",
    "http_api",
    "grpc_api",
    "consumers",
    "jobs",
    "commands",
    "queries",
    "domain",
    "ports",
    "store",
    "clients",
    "migrations",
}
NOT_CODE = {"__init__.py", "__pycache__", "README.md"}
FILE_LINES, FUNCTION_LINES, README_LINES, MAIN_LINES = 400, 40, 60, 15
EXEMPT = ("wiring", "build")  # a list of parts, one line each


@pytest.mark.parametrize("service", SERVICES)
def test_services_use_the_given_names(service):
    found = {entry.name.removesuffix(".py") for entry in (ROOT / service).iterdir() if entry.name not in NOT_CODE}

    assert found <= NAMES


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_in_a_few_lines_and_explains_itself_on_a_page(service):
    lines = {"__main__.py": MAIN_LINES, "README.md": README_LINES}
    files = [ROOT / service / name for name in lines]

    too_long = [f.name for f in files if f.exists() and len(f.read_text().splitlines()) > lines[f.name]]

    assert too_long == []


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_files_and_functions_stay_readable(file):
    functions = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (file.stem, node.name) != EXEMPT
    ]

    assert len(file.read_text().splitlines()) <= FILE_LINES
    assert [f.name for f in functions if body_lines(f) > FUNCTION_LINES] == []


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_files_and_public_classes_say_what_they_are_for(file):
    tree = ast.parse(file.read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]

    assert [getattr(n, "name", name_of(file)) for n in [tree, *classes] if not first_line_ends(n)] == []


@pytest.mark.parametrize("name", ["ids", "problems"])
def test_what_every_domain_imports_is_standard_library_only(name):
    tree = ast.parse((ROOT / "contracts" / f"{name}.py").read_text())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {module.split(".")[0] for module in imported} <= sys.stdlib_module_names


def body_lines(function):
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def first_line_ends(node):
    """A docstring's first line is a sentence; a list that follows it may be announced with a colon."""
    lines = (ast.get_docstring(node) or "").splitlines()
    return bool(lines) and lines[0].endswith((".", ":"))
