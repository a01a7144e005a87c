"""What became of each row of a file: lines of JSON, sent chunk by chunk as the rows are kept."""

from collections.abc import Sequence
from itertools import repeat
from typing import Literal, TypeVar
from uuid import UUID

from aiohttp import hdrs, web

from contracts.problems import TITLES, DeadlineError, ProblemError, UnavailableError
from infra.batches import Work, is_outage
from infra.http_bodies import Answer
from infra.import_files import FileRow, Rows
from infra.imported import Imported
from infra.request_context import current, serving
from infra.telemetry import logger

Item = TypeVar("Item")

LINES_OF_JSON = "application/x-ndjson"
# Of one chunk of rows, for what is asked of other services: as of any other request.
CHUNK_LIMIT_S = 8.0

Outcome = Imported | BaseException

log = logger(__name__)


class RowAnswer(Answer):
    """What became of one row. row: its number, from 1, below the header; empty rows count and get no line.

    refused: it can never succeed as sent. unanswered: something was away; send the file again.
    """

    row: int
    status: Literal["created", "exists", "refused", "unanswered"]
    id: UUID | None = None
    code: str | None = None
    title: str | None = None
    fields: list[str] | None = None


async def answer_rows(
    request: web.Request, rows: Rows[Item], keep: Work[Item, Imported], *, chunk_count: int
) -> web.StreamResponse:
    """Keep `rows`, `chunk_count` at a time, and tell after each chunk what became of it.

    keep: one transaction, robust (`infra.batches`). Once nothing works any more the rest stays unanswered. When the
    caller goes away, what was kept stays, and nothing more is.
    """
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: LINES_OF_JSON})
    await response.prepare(request)
    outage: BaseException | None = None
    try:
        for begin in range(0, len(rows), chunk_count):
            chunk = rows[begin : begin + chunk_count]
            outcomes = await _keep_chunk(chunk, keep, outage)
            outage = next(filter(is_outage, outcomes), None)
            await response.write(b"".join(map(_line, chunk, outcomes)))
        await response.write_eof()
    except ConnectionError:
        log.info("nobody hears what became of the rows", action="import_left")
    return response


async def _keep_chunk(chunk: Rows[Item], keep: Work[Item, Imported], outage: BaseException | None) -> Sequence[Outcome]:
    items = [row.value for row in chunk if not isinstance(row.value, ProblemError)]
    kept = iter(repeat(outage) if outage else await _keep_in_time(items, keep) if items else ())
    return [row.value if isinstance(row.value, ProblemError) else next(kept) for row in chunk]


async def _keep_in_time(items: Sequence[Item], keep: Work[Item, Imported]) -> Sequence[Outcome]:
    context = current()
    ids = (context.request_id, context.traceparent) if context else (None, None)
    with serving(request_id=ids[0], traceparent=ids[1], limit_s=CHUNK_LIMIT_S):
        return await keep(items)


def _line(row: FileRow[Item], outcome: Outcome) -> bytes:
    return answer_of(row.number, outcome).model_dump_json(exclude_none=True).encode() + b"\n"


def answer_of(number: int, outcome: Outcome) -> RowAnswer:
    """Say what became of row `number`."""
    if isinstance(outcome, Imported):
        return RowAnswer(row=number, status="created" if outcome.is_new else "exists", id=outcome.id)
    if not isinstance(outcome, ProblemError):
        log.error("a row failed", action="bug", exc_info=outcome)
        return RowAnswer(row=number, status="unanswered", code="internal", title=TITLES["internal"])
    is_open = isinstance(outcome, UnavailableError | DeadlineError)
    fields = outcome.extra.get("fields")
    return RowAnswer(
        row=number,
        status="unanswered" if is_open else "refused",
        code=outcome.code,
        title=TITLES.get(outcome.code, outcome.code),
        fields=fields if isinstance(fields, list) else None,
    )
