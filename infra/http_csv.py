"""Tables as CSV, which spreadsheets open without running anything that stands in them."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

from aiohttp import hdrs, web

from infra.http_accept import CSV

# A spreadsheet takes a cell that starts with one of these for a formula. Source: OWASP, "CSV Injection".
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_response(columns: Sequence[str], rows: Iterable[Sequence[object]], *, filename: str) -> web.Response:
    """Return the answer that a browser keeps as `filename`, which is of ASCII letters, digits, `-` and `.`."""
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{filename}"'}
    return web.Response(text=to_csv(columns, rows), content_type=CSV, charset="utf-8", headers=headers)


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a header row and `rows`: text as it is, None as nothing, times in UTC; never a formula.

    Source: RFC 4180.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(_cell, columns))
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = str(value)
    # A quote, which spreadsheets hide, makes it text.
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
