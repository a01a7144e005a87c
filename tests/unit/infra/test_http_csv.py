"""A table is read back as it was written, and nothing in it runs."""

import csv
import io
from datetime import UTC, datetime
from uuid import UUID

import pytest

from infra.http_csv import csv_response, to_csv


def read_back(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_looks_like_a_formula_is_text(start):
    cell = start + "1+1|' /C calc'!A0"

    assert read_back(to_csv(["a"], [[cell]]))[1] == ["'" + cell]
    assert read_back(to_csv([cell], []))[0] == ["'" + cell]


@pytest.mark.parametrize("text", ["", "a", "a=1", "1-1", "'=1", 'say "x"', "a,b", "two\r\nlines", "é漢", " =1"])
def test_other_text_stays_as_it_is(text):
    assert read_back(to_csv(["a", "b"], [[text, "end"]]))[1] == [text, "end"]


def test_rows_end_as_the_standard_says_and_quotes_are_doubled():
    assert to_csv(["a", "b"], [['x"y', "p,q"]]) == 'a,b\r\n"x""y","p,q"\r\n'


def test_values_are_spelled_as_in_json():
    row = [None, True, False, 0, 7, datetime(2026, 9, 1, 9, 0, 0, 5, tzinfo=UTC), UUID(int=1)]

    assert read_back(to_csv(list("abcdefg"), [row]))[1] == [
        "",
        "true",
        "false",
        "0",
        "7",
        "2026-09-01T09:00:00.000005Z",
        "00000000-0000-0000-0000-000000000001",
    ]


def test_a_browser_keeps_it_as_a_file():
    answer = csv_response(["a"], [["é"]], filename="sheet-1.csv")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sheet-1.csv"'
    assert answer.body == "a\r\né\r\n".encode()
