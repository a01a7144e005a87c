"""SQL is written, never built: what a caller sends reaches PostgreSQL as a parameter."""

import ast
import re

import pytest

from tests.architecture.sources import SOURCES, name_of

SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|TRUNCATE|CREATE|ALTER|DROP|GRANT|REVOKE)\s")


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_no_statement_is_put_together_from_strings(file):
    assert list(built_in(file.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        'f"SELECT * FROM course WHERE id = {id}"',
        '"DELETE FROM course WHERE id = %s" % id',
        '"UPDATE course SET name = {}".format(name)',
        '"SELECT id FROM course " + where',
        'where + "\\nSELECT id FROM course"',
        'FIND = "SELECT id FROM course"\nrows(FIND + where)',
        'FIND = "SELECT id FROM {}"\nrows(FIND.format(table))',
        'FIND = """\nSELECT id\n"""\nrows(f"{FIND} LIMIT {n}")',
    ],
)
def test_a_statement_put_together_is_found(text):
    assert list(built_in(text)) != []


@pytest.mark.parametrize(
    "text", ['FIND = "SELECT id FROM course WHERE id = $1"', 'f"Update {name}"', '"WITHOUT " + name', '"a" + b']
)
def test_written_statements_and_sentences_are_left_alone(text):
    assert list(built_in(text)) == []


def built_in(text):
    tree = ast.parse(text)
    constants = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and is_sql(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if any(is_sql(part, constants) for part in parts(node)):
            yield f"line {node.lineno}"


def parts(node):
    """What is joined to something else at `node`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        return [node.left, node.right]
    if isinstance(node, ast.JoinedStr) and any(isinstance(value, ast.FormattedValue) for value in node.values):
        return [getattr(value, "value", value) for value in node.values]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in ("format", "format_map"):
        return [node.func.value]
    return []


def is_sql(node, constants):
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and SQL.match(node.value) is not None
    if isinstance(node, ast.JoinedStr):
        return any(is_sql(value, constants) for value in node.values)
    # A part that is itself an f-string's word is a plain string there.
    if isinstance(node, str):
        return SQL.match(node) is not None
    return isinstance(node, ast.Name) and node.id in constants
