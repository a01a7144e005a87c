import json
from datetime import UTC, datetime

import pytest

from tests.bench.names import CHAIN, SINGLE
from tests.bench.readme import END, README, START, NoPlaceError, filled
from tests.bench.report import write
from tests.bench.run import Run
from tests.unit.bench.samples import a_sample


@pytest.fixture
def document(tmp_path):
    """What `--json` writes of a run of one round."""
    run = Run(started_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), machine="2 processors", limits="None raised.")
    for name in CHAIN:
        run.add_floor(a_sample(name=name, cpu_us={"server": 50.0}))
    run.add(a_sample(name=SINGLE, cpu_us={"beacon": 60.0, "postgres": 40.0}, failures=["503"]))
    write(run, tmp_path / "run.json")
    return json.loads((tmp_path / "run.json").read_text())


def test_a_run_is_put_between_the_markers_and_nothing_else_changes(document):
    text = filled(f"before\n{START}\nan earlier run\n{END}\nafter\n", document)

    assert text.startswith(f"before\n{START}\n2026-01-02 03:04 UTC, 2 processors. None raised.")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "earlier" not in text
    assert filled(text, document) == text


def test_a_run_shows_goals_figures_and_where_the_time_goes(document):
    text = filled(f"{START}{END}", document)

    assert "| G1 | chain CPU / hot-path CPU | 1.20 | 2.50 | 2 | 2 | met must; 1.2 x short of the aim |" in text
    assert "| a proof by itself | 100 (100) | 100 (100) | 10.0 (10.0) | 20.0 (20.0) | 1 of 101 |" in text
    assert "beacon 60 µs, postgres 40 µs." in text
    assert "| G1, a proof by itself | 167 | 100 | 40 |" in text
    assert "| G9, a proof among 100 | 111 | - | - |" in text


def test_a_goal_that_was_not_measured_shows_no_figure(document):
    assert "| - | - | not measured; ./dev faults |" in filled(f"{START}{END}", document)


@pytest.mark.parametrize("text", ["", START, END], ids=["none", "begin", "end"])
def test_a_text_without_a_place_is_left_alone(text, document):
    with pytest.raises(NoPlaceError):
        filled(text, document)


def test_the_readme_has_a_place(document):
    assert SINGLE in filled(README.read_text(), document)
