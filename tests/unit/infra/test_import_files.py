"""Files of rows: what is wrong with a file, what with one row, and what is fine as other programs write it."""

import pytest

from contracts.problems import InvalidInputError, MalformedError, ProblemError
from infra.import_files import Columns, csv_rows, json_lines, text_of, understood

COLUMNS = Columns(required=frozenset(("name", "email")), optional=frozenset(("room",)))
HEAD = "name,email,room\n"


def seen(rows):
    return [(row.number, row.value.code if isinstance(row.value, ProblemError) else row.value) for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_go_by_the_names_of_the_first_row_and_empty_ones_are_left_out(end):
    text = end.join(["room,name,email", "B12,Ada,a@b.example", ' ,"Lo,ve ""L""",x'])

    assert seen(csv_rows(text.encode(), COLUMNS)) == [
        (1, {"room": "B12", "name": "Ada", "email": "a@b.example"}),
        (2, {"name": 'Lo,ve "L"', "email": "x"}),
    ]


def test_a_quoted_cell_may_span_lines_and_rows_without_anything_only_count():
    assert seen(csv_rows((HEAD + '"A\r\nda",x,\n\n,,\nB,y,\n').encode(), COLUMNS)) == [
        (1, {"name": "A\r\nda", "email": "x"}),
        (4, {"name": "B", "email": "y"}),
    ]


def test_a_row_of_another_width_is_wrong_alone():
    rows = csv_rows((HEAD + "A,x\nB,y,1,2\nC,z,\n").encode(), COLUMNS)

    assert seen(rows) == [(1, "malformed_row"), (2, "malformed_row"), (3, {"name": "C", "email": "z"})]


HEADS = [
    ("", ["email", "name"]),
    ("name\n", ["email"]),
    ("name,email,name\n", ["name"]),
    ("name,email,password,password\n", ["password"]),
    ("name,email,\n", ["?"]),
    ("name;email\n", ["?", "email", "name"]),
    ("name,Email\n", ["Email", "email"]),
    ("name,email," + "x" * 200 + ",é\n", ["?"]),
]


@pytest.mark.parametrize(("head", "fields"), HEADS)
def test_a_first_row_that_does_not_name_the_columns_is_wrong_as_a_whole(head, fields):
    with pytest.raises(InvalidInputError, match="malformed_columns") as refused:
        csv_rows((head + "A,x,\n" if head else head).encode(), COLUMNS)

    assert refused.value.extra["fields"] == fields


@pytest.mark.parametrize("text", ['A,"x\nB,y,\n', 'A,"x"y,\n', "A," + "x" * 140_000 + ",\n"])
def test_a_file_whose_rows_cannot_be_told_apart_is_wrong_as_a_whole(text):
    with pytest.raises(MalformedError, match="malformed_file"):
        csv_rows((HEAD + text).encode(), COLUMNS)


def test_a_first_row_of_half_a_million_names_is_refused_at_once():
    with pytest.raises(InvalidInputError):
        csv_rows(b"," * 500_000, COLUMNS)


def test_a_byte_order_mark_is_passed_over():
    assert text_of(b"\xef\xbb\xbfn\xc3\xa9") == "né"


@pytest.mark.parametrize("raw", [b"caf\xe9", b"a\0b", "né".encode("utf-16"), b"\xed\xa0\x80"])
def test_what_is_not_utf_8_is_no_text(raw):
    with pytest.raises(MalformedError, match="malformed_file"):
        text_of(raw)


def test_each_line_of_json_is_read_by_itself():
    text = '{"a": 1}\r\n\n  {"a": \n{"a": 1, "a": 2}\n"\\u0000"\n[1]'

    assert seen(json_lines(text.encode())) == [
        (1, {"a": 1}),
        (3, "malformed_json"),
        (4, "malformed_json"),
        (5, "malformed_json"),
        (6, [1]),
    ]


def test_what_cannot_be_understood_is_its_rows_problem():
    def double(number):
        if number > 2:
            raise InvalidInputError("malformed_body")
        return number * 2

    assert seen(understood(json_lines(b"1\n3\n{\n2"), double)) == [
        (1, 2),
        (2, "malformed_body"),
        (3, "malformed_json"),
        (4, 4),
    ]
