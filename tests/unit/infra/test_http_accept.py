"""Who asks for CSV gets it, who asks for nothing in particular gets JSON."""

import pytest

from contracts.problems import NotAcceptableError
from infra.http_accept import CSV, JSON, choose

MADE = (JSON, CSV)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ((), JSON),
        (("",), JSON),
        (("*/*",), JSON),
        (("application/*",), JSON),
        (("application/json, text/plain, */*",), JSON),
        (("text/html,application/xhtml+xml,*/*;q=0.8",), JSON),
        (("text/csv, application/json",), JSON),
        (("text/csv",), CSV),
        (("TEXT/CSV",), CSV),
        (("text/*",), CSV),
        (("text/csv; charset=utf-8; header=present",), CSV),
        (("text/csv, */*",), CSV),
        (("text/csv;q=0.2, */*;q=0.1",), CSV),
        (("text/csv;q=0.1, */*;q=0.2",), JSON),
        (("application/json;q=0.9,text/csv",), CSV),
        (("application/json;q=0.9", "text/csv"), CSV),
        (("application/json;q=0, */*",), CSV),
        (("text/csv;q=0.001, application/json;q=0.000",), CSV),
        (("text/*;q=0.1, text/csv;q=0.9, application/json;q=0.5",), CSV),
        (("rubbish",), JSON),
        (("text/csv;q=1.1, application/json;q=0.9",), CSV),
        (("/,;;q=,text",), JSON),
    ],
)
def test_what_is_wanted_most_is_made(accept, chosen):
    assert choose(accept, MADE) == chosen


@pytest.mark.parametrize(
    "accept", ["application/pdf", "text/html", "text/csv;q=0", "*/*;q=0", "text/csv;q=0, text/*;q=0"]
)
def test_nothing_is_made_for_those_who_want_none_of_it(accept):
    with pytest.raises(NotAcceptableError):
        choose((accept,), MADE)
