"""`POST /courses/import`: a timetable by the file."""

from collections.abc import Callable, Mapping
from functools import partial
from secrets import SystemRandom
from typing import Annotated, Any
from uuid import uuid5

from aiohttp import web
from pydantic import BeforeValidator, Field, StringConstraints

from academics_svc.commands.authority import school_to_write
from academics_svc.commands.imports import PlannedRow, import_courses
from academics_svc.domain import Course
from academics_svc.http_api.desk import ADMINS, Desk, SchoolQuery, digest_of
from contracts.ids import CourseId, SchoolId
from contracts.problems import ConflictError
from infra.batches import robust
from infra.http_bodies import Body, Id, Moment, Name, NoBody
from infra.http_parsing import validated
from infra.http_routes import AnyRoute, Call, Route
from infra.icalendar import CalendarEvent, calendar_rows
from infra.import_answers import RowAnswer, answer_rows
from infra.import_files import MAX_IMPORT_BYTES, Columns, Rows, csv_rows, read_rows, understood

# A fifth of the time that a transaction may take, on a machine that is busy with other things.
CHUNK_COUNT = 20
MAX_DIGITS = 18


def _words(value: object) -> object:
    return tuple(value.split()) if isinstance(value, str) else value


def _truth(value: object) -> object:
    # Spreadsheets write them in capitals.
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _minutes(value: object) -> object:
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    return int(str(value)) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else value


Ids = Annotated[tuple[Id, ...], Field(max_length=100, strict=False), BeforeValidator(_words)]


class CourseRow(Body):
    """A course as a row of a file has it, where every field is text and ids have blanks between them.

    external_id: its name where the file comes from; in a calendar, the event's UID.
    """

    external_id: Annotated[str | None, StringConstraints(min_length=1, max_length=500)] = None
    name: Name
    start_at: Moment
    end_at: Moment
    is_online: Annotated[bool, BeforeValidator(_truth)] = False
    signature_closing_delay_minutes: Annotated[int | None, BeforeValidator(_minutes)] = None
    teachers: Ids = ()
    groups: Ids = ()
    classrooms: Ids = ()


COLUMNS = Columns(
    required=frozenset(name for name, field in CourseRow.model_fields.items() if field.is_required()),
    optional=frozenset(name for name, field in CourseRow.model_fields.items() if not field.is_required()),
)


def fields_of_event(event: CalendarEvent) -> dict[str, str]:
    """Return the row that an event of a calendar stands for. Raises: ConflictError("course_cancelled")."""
    if event.is_cancelled:
        raise ConflictError("course_cancelled")
    return {
        "external_id": event.uid,
        "name": event.summary,
        "start_at": event.starts_at.isoformat(),
        "end_at": event.ends_at.isoformat(),
    }


READERS: Mapping[str, Callable[[bytes], Rows[Any]]] = {
    "text/csv": partial(csv_rows, columns=COLUMNS),
    "text/calendar": lambda raw: understood(calendar_rows(raw), fields_of_event),
}


class ImportApi:
    """The route that plans many courses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """The one route of this door."""
        return [
            Route(
                method="POST",
                path="/courses/import",
                handler=self.post_import,
                who=ADMINS,
                query=SchoolQuery,
                media_types=tuple(READERS),
                max_body_bytes=MAX_IMPORT_BYTES,
                rows=CourseRow,
                lines=RowAnswer,
                summary="Plan the courses that a file lists",
            )
        ]

    async def post_import(self, call: Call[NoBody, SchoolQuery]) -> web.StreamResponse:
        """200 with a line per row; 400, 413, 415, 422 for a file that cannot be read; 404 for another school."""
        desk, caller = self._desk, call.caller
        school_id = school_to_write(caller, call.query.school_id)
        rows = understood(
            read_rows(call.request, call.raw, READERS), lambda row: planned(validated(CourseRow, row), school_id)
        )
        keep = partial(
            import_courses,
            school_id=school_id,
            caller=caller,
            people=desk.people,
            open_books=partial(desk.open_books, desk.cause(caller)),
        )
        return await answer_rows(call.request, rows, robust(keep, draw=SystemRandom().random), chunk_count=CHUNK_COUNT)


def planned(row: CourseRow, school_id: SchoolId) -> PlannedRow:
    """Return the course that the row plans. Its id follows from what names it in the school, so a repeat finds it."""
    digest = digest_of(row)
    name = f"row:{digest.hex()}" if row.external_id is None else f"external_id:{row.external_id}"
    course = Course(
        id=CourseId(uuid5(school_id, name)),
        school_id=school_id,
        name=row.name,
        start_at=row.start_at,
        end_at=row.end_at,
        is_online=row.is_online,
        closing_delay_minutes=row.signature_closing_delay_minutes,
        teacher_ids=frozenset(row.teachers),
        group_ids=frozenset(row.groups),
        classroom_ids=frozenset(row.classrooms),
    )
    return PlannedRow(course=course, digest=digest)
