"""What the product imports is declared: it must not vanish because a dependency drops it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.architecture.sources import ROOT, SERVICES, SOURCES, name_of

OURS = {*SERVICES, "contracts", "streams", "infra"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normal(name):
    """The one spelling of a distribution's many."""
    return re.sub(r"[-_.]+", "-", name).lower()


DECLARED = {normal(re.split(r"[^\w.-]", each)[0]) for each in PROJECT["dependencies"]}


def packages_of(file):
    """The top level of whatever the file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_every_package_that_is_imported_is_declared():
    comes_with = {package: set(map(normal, names)) for package, names in packages_distributions().items()}
    foreign = {
        (name_of(file), package)
        for file in SOURCES
        for package in packages_of(file)
        if package not in OURS and package not in sys.stdlib_module_names
    }

    assert {each for each in foreign if DECLARED.isdisjoint(comes_with.get(each[1], ()))} == set()
