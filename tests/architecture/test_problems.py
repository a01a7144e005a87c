"""Every code that leaves a door has a title."""

import ast
import re

import pytest

from contracts import problems
from contracts.problems import TITLES, ProblemError
from tests.architecture.sources import SOURCES, name_of

SLUG = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
KINDS = {name for name, kind in vars(problems).items() if isinstance(kind, type) and issubclass(kind, ProblemError)}
BUILDERS = KINDS | {"problem_document"}


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_a_raised_code_is_listed_with_its_title(file):
    assert set(codes_in(file.read_text())) - TITLES.keys() == set()


def test_a_code_that_is_not_listed_is_found():
    assert list(codes_in('def f():\n    raise problems.NotFoundError("never_listed") from None')) == ["never_listed"]
    assert list(codes_in('problem_document(500, "never_listed")')) == ["never_listed"]


def test_codes_are_slugs_and_titles_are_phrases():
    assert [code for code in TITLES if not SLUG.fullmatch(code)] == []
    assert [title for title in TITLES.values() if title.endswith(".")] == []


def codes_in(text):
    """The codes that are written where a problem is made; a code kept in a variable is not seen."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and called(node) in BUILDERS:
            words = [a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from words[:1]


def called(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
