"""Files of rows, as other programs write them, read strictly: what is wrong with a file, what with a row of it."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web

from contracts.problems import (
    InvalidInputError,
    MalformedError,
    PayloadTooLargeError,
    ProblemError,
    UnsupportedMediaError,
)
from infra.http_parsing import PLACE
from infra.strict_json import strict_loads

T = TypeVar("T")
U = TypeVar("U")

MAX_IMPORT_BYTES = 1 << 20
# More than anybody has to import at once. Of empty objects a file has room for 350,000, each with a line of its own.
MAX_ROWS_COUNT = 10_000
UTF_8 = frozenset(("utf-8", "utf8", "us-ascii"))


@dataclass(frozen=True, slots=True)
class FileRow(Generic[T]):
    """One row, or why it cannot be read. number: from 1; rows that are empty count."""

    number: int
    value: T | ProblemError


Rows = Sequence[FileRow[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names that the first row of a CSV file must have, and those that it may have."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def read_rows(request: web.Request, raw: bytes, readers: Mapping[str, Callable[[bytes], Rows[T]]]) -> Rows[T]:
    """Return the rows of the file `raw`, by the reader of the kind that the request names.

    Raises: UnsupportedMediaError, PayloadTooLargeError("too_many_rows"), MalformedError("malformed_file"),
    InvalidInputError("malformed_columns").
    """
    reader = readers.get(request.content_type)
    if reader is None or (request.charset or "utf-8").lower() not in UTF_8:
        raise UnsupportedMediaError("unsupported_media_type")
    rows = reader(raw)
    if len(rows) > MAX_ROWS_COUNT:
        raise PayloadTooLargeError("too_many_rows")
    return rows


def text_of(raw: bytes) -> str:
    """Return a file's text; a byte order mark before it is passed over.

    An encoding is a whole file's: of one in another, what happens to look right would be kept, and the rest refused.
    Raises: MalformedError("malformed_file") unless it is UTF-8 without NUL.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedError("malformed_file") from error
    if "\0" in text:
        raise MalformedError("malformed_file")
    return text


def json_lines(raw: bytes) -> Rows[Any]:
    """Return what each line that is not empty says. Raises: MalformedError("malformed_file")."""
    text = text_of(raw)
    lines = ((number, line.strip(" \t\r")) for number, line in enumerate(text.split("\n"), 1))
    return [FileRow(number, _attempt(strict_loads, line.encode())) for number, line in lines if line]


def csv_rows(raw: bytes, columns: Columns) -> Rows[dict[str, str]]:
    """Return the cells of each row by the names in the first; empty cells are left out.

    Raises: MalformedError("malformed_file") when a quote is missing: where rows end cannot be told then;
    InvalidInputError("malformed_columns") when a name is missing, unknown or there twice.
    Source: RFC 4180; rows may also end in LF alone.
    """
    try:
        names, *rows = list(csv.reader(io.StringIO(text_of(raw), newline=""), strict=True)) or [[]]
    except csv.Error as error:
        raise MalformedError("malformed_file") from error
    names = [name.strip() for name in names]
    _check_names(names, columns)
    return [FileRow(number, _by_name(names, cells)) for number, cells in enumerate(rows, 1) if any(cells)]


def _check_names(names: list[str], columns: Columns) -> None:
    count, known = Counter(names), columns.required | columns.optional
    wrong = {name for name in count if name not in known or count[name] > 1} | columns.required - count.keys()
    if wrong:
        fields = sorted({name if PLACE.fullmatch(name) else "?" for name in wrong})[:20]
        raise InvalidInputError("malformed_columns", fields=fields)


def _by_name(names: list[str], cells: list[str]) -> dict[str, str] | ProblemError:
    if len(cells) != len(names):
        return MalformedError("malformed_row")
    return {name: cell for name, cell in zip(names, cells, strict=True) if cell.strip()}


def understood(rows: Rows[T], understand: Callable[[T], U]) -> Rows[U]:
    """Return what `understand` makes of each row, or the problem that it raises."""
    return [
        FileRow(row.number, row.value if isinstance(row.value, ProblemError) else _attempt(understand, row.value))
        for row in rows
    ]


def _attempt(read: Callable[[T], U], value: T) -> U | ProblemError:
    try:
        return read(value)
    except ProblemError as problem:
        return problem
