"""Routes that a school takes something away by: the sheet of a course, and reports over a span of time."""

from aiohttp import web

from attendance_svc.domain.closing import count_sheet
from attendance_svc.domain.reports import Report, ReportScope
from attendance_svc.http_api.bodies import SheetAnswer, SheetQuery, to_line
from attendance_svc.http_api.desk import LONGEST_SPAN, SHEET_READERS, Desk
from attendance_svc.http_api.report_bodies import (
    REPORT_COLUMNS,
    SHEET_COLUMNS,
    STUDENT_COLUMNS,
    ReportAnswer,
    ReportQuery,
    report_rows,
    sheet_rows,
    student_rows,
    to_report_line,
)
from attendance_svc.queries import list_states
from contracts.ids import CourseId, GroupId, SchoolId, StudentId, TeacherId
from contracts.problems import InvalidInputError, NotFoundError
from infra.http_accept import CSV, JSON, choose
from infra.http_bodies import NoBody, page_after, page_of
from infra.http_csv import csv_response
from infra.http_routes import AnyRoute, Call, Reply, Route
from infra.postgres import connection

MADE = (JSON, CSV)
FILTERS = ("course_id", "group_id", "student_id")


class ReportingRoutes:
    """Routes under /signatures that sum up."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind, in one place. They come before the ids, which they would be taken for."""
        return [
            Route(
                method="GET",
                path="/signatures/sheet",
                handler=self.get_sheet,
                who=SHEET_READERS,
                query=SheetQuery,
                answer=SheetAnswer,
                also=(CSV,),
                summary="Who was there",
            ),
            Route(
                method="GET",
                path="/signatures/report",
                handler=self.get_report,
                who=SHEET_READERS,
                query=ReportQuery,
                answer=ReportAnswer,
                also=(CSV,),
                summary="How often students were there",
            ),
        ]

    async def get_sheet(self, call: Call[NoBody, SheetQuery]) -> Reply | web.Response:
        kind = _kind(call)
        course = await self._desk.find_course(call, CourseId(call.query.course_id))
        at = min(self._desk.now(), course.end_at)
        expected = [] if course.is_cancelled else await self._desk.sources.timetable.list_expected(course.id, at)
        async with connection(self._desk.pool) as lent:
            states = await list_states(lent, course.id)
        of_student = {state.subject_id: state for state in states if state.kind == "student"}
        count = count_sheet(expected, [(StudentId(id_), state.status) for id_, state in of_student.items()])
        sheet = SheetAnswer(
            course_id=course.id,
            start_at=course.start_at,
            end_at=course.end_at,
            expected=count.expected,
            accepted=count.accepted,
            late=count.late,
            pending=count.pending,
            refused=count.refused,
            absent=len(count.absent_ids),
            students=[to_line(id_, of_student.get(id_)) for id_ in expected],
            others=[
                to_line(id_, of_student[id_], is_expected=False) for id_ in sorted(set(of_student) - set(expected))
            ],
            teachers=[to_line(state.subject_id, state) for state in states if state.kind == "teacher"],
        )
        if kind == CSV:
            return csv_response(SHEET_COLUMNS, sheet_rows(sheet), filename=f"sheet-{course.id}.csv")
        return Reply(body=sheet)

    async def get_report(self, call: Call[NoBody, ReportQuery]) -> Reply | web.Response:
        kind, query = _kind(call), call.query
        is_csv = kind == CSV
        if is_csv and query.model_fields_set & {"cursor", "limit"}:
            raise InvalidInputError("malformed_query", "a file has no pages", fields=["cursor", "limit"])
        after = page_after(query)
        scope = await self._scope(call)
        limit = None if is_csv else query.limit + 1
        report = await self._desk.reports.count(scope, now=self._desk.now(), after=after, limit=limit)
        if is_csv:
            return _file(scope, report)
        page = page_of(
            [to_report_line(student) for student in report.students], query, id_of=lambda shown: shown.student_id
        )
        return Reply(
            body=ReportAnswer(items=page.items, next_cursor=page.next_cursor, course_count=report.course_count)
        )

    async def _scope(self, call: Call[NoBody, ReportQuery]) -> ReportScope:
        """Return what the caller may have counted: teachers their own courses, admins their school's, developers any's.

        Raises: as Desk.find_course, InvalidInputError("malformed_query") naming what must be given.
        """
        caller, query = call.caller, call.query
        school_id = query.school_id if caller.type == "dev" else caller.school_id
        if school_id is None:
            raise InvalidInputError("malformed_query", fields=["school_id"])
        if query.school_id not in (None, school_id):
            raise NotFoundError("not_found")
        if caller.type == "teacher" and query.course_id is not None:
            await self._desk.find_course(call, CourseId(query.course_id))
        if caller.type != "teacher" and all(getattr(query, name) is None for name in FILTERS):
            raise InvalidInputError("malformed_query", fields=list(FILTERS))
        if not query.since < query.until <= query.since + LONGEST_SPAN:
            raise InvalidInputError("malformed_query", fields=["from", "to"])
        return ReportScope(
            school_id=SchoolId(school_id),
            since=query.since,
            until=query.until,
            course_id=None if query.course_id is None else CourseId(query.course_id),
            # Of a course that was named, academics may know more than the copy does yet.
            teacher_id=TeacherId(caller.id) if caller.type == "teacher" and query.course_id is None else None,
            group_id=None if query.group_id is None else GroupId(query.group_id),
            student_id=None if query.student_id is None else StudentId(query.student_id),
        )


def _kind(call: Call[NoBody, SheetQuery] | Call[NoBody, ReportQuery]) -> str:
    return choose(call.request.headers.getall("Accept", ()), MADE)


def _file(scope: ReportScope, report: Report) -> web.Response:
    filename = f"report-{scope.since:%Y-%m-%d}-{scope.until:%Y-%m-%d}.csv"
    if scope.student_id is None:
        return csv_response(REPORT_COLUMNS, report_rows(report.students), filename=filename)
    return csv_response(STUDENT_COLUMNS, student_rows(report.students), filename=filename)
