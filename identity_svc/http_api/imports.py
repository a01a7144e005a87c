"""`POST /users/import`: accounts by the file."""

from collections.abc import Callable, Mapping
from functools import partial
from secrets import SystemRandom
from typing import Any

from aiohttp import web

from contracts.ids import SchoolId, new_user_id
from identity_svc.commands.imports import import_users
from identity_svc.domain.accounts import school_of_new
from identity_svc.http_api.bodies import ImportQuery, UserRow
from identity_svc.http_api.desk import Desk
from identity_svc.ports import Draft
from infra.batches import robust
from infra.http_bodies import NoBody
from infra.http_parsing import validated
from infra.http_routes import AnyRoute, Call, Route
from infra.import_answers import LINES_OF_JSON, RowAnswer, answer_rows
from infra.import_files import MAX_IMPORT_BYTES, Columns, Rows, csv_rows, json_lines, read_rows, understood
from infra.tokens import CallerType

ADMINS: frozenset[CallerType] = frozenset(("admin", "dev"))
# A fifth of the time that a transaction may take, on a machine that is busy with other things.
CHUNK_COUNT = 50
COLUMNS = Columns(
    required=frozenset(name for name, field in UserRow.model_fields.items() if field.is_required()),
    optional=frozenset(name for name, field in UserRow.model_fields.items() if not field.is_required()),
)
READERS: Mapping[str, Callable[[bytes], Rows[Any]]] = {
    "text/csv": partial(csv_rows, columns=COLUMNS),
    LINES_OF_JSON: json_lines,
}


class ImportApi:
    """The route that makes many accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """The one route of this door."""
        return [
            Route(
                method="POST",
                path="/users/import",
                handler=self.post_import,
                who=ADMINS,
                query=ImportQuery,
                media_types=tuple(READERS),
                max_body_bytes=MAX_IMPORT_BYTES,
                rows=UserRow,
                lines=RowAnswer,
                summary="Make the accounts that a file lists",
            )
        ]

    async def post_import(self, call: Call[NoBody, ImportQuery]) -> web.StreamResponse:
        """200 with a line per row; 400, 413, 415, 422 for a file that cannot be read; 403, 404 for another school."""
        desk = self._desk
        actor = await desk.actor(call)
        wanted = SchoolId(call.query.school_id) if call.query.school_id else None
        school_id = school_of_new(actor, "student", wanted)
        rows = read_rows(call.request, call.raw, READERS)
        drafts = understood(rows, lambda row: draft_of(validated(UserRow, row), school_id))
        keep = partial(import_users, actor=actor, open_books=desk.books_of(actor), now=desk.now())
        return await answer_rows(
            call.request, drafts, robust(keep, draw=SystemRandom().random), chunk_count=CHUNK_COUNT
        )


def draft_of(row: UserRow, school_id: SchoolId) -> Draft:
    """Return the account that the row describes."""
    return Draft(
        id=new_user_id(),
        type=row.user_type,
        school_id=school_id,
        email=row.email,
        firstname=row.firstname,
        lastname=row.lastname,
        student_number=row.student_number,
        admin_role=row.admin_role,
    )
