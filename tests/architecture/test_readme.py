"""The README's tables name files and functions that exist; its tasks are tasks of the script."""

import re

import pytest

from tests.architecture.sources import ROOT

README = (ROOT / "README.md").read_text()
ROWS = re.findall(r"^\| `(\w+_svc/\S+\.py|streams/\S+\.py)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
FLOWS = re.findall(r"^\*\*([A-E])\. (.*?)\*\*$", README, re.MULTILINE)


def test_every_flow_has_its_table():
    assert [letter for letter, _ in FLOWS] == list("ABCDE")


@pytest.mark.parametrize(("file", "functions", "question"), ROWS)
def test_a_row_names_functions_of_its_file(file, functions, question):
    code = (ROOT / file).read_text()

    names = [name for quoted in re.findall(r"`([\w.]+)`", functions) for name in quoted.split(".")]

    assert [name for name in names if not re.search(rf"(def|class) {name}\b", code)] == []
    assert question.endswith("?") or question == "as in A"


def test_no_flow_needs_more_than_eight_files():
    for part in README.split("\n**")[1:]:
        assert len(re.findall(r"^\| `", part.split("\n## ")[0], re.MULTILINE)) <= 8


def test_every_task_that_the_readme_names_is_one_of_the_script():
    tasks = set(re.findall(r"\./dev (\w+)", README))
    script = (ROOT / "dev").read_text()

    assert tasks
    assert [task for task in sorted(tasks) if not re.search(rf"^\./dev {task}\b", script, re.MULTILINE)] == []
