"""Routes that a school takes something away by: the sheet of a course."""

from aiohttp import web

from attendance_svc.domain.closing import count_sheet
from attendance_svc.http_api.bodies import SheetAnswer, SheetQuery, to_line
from attendance_svc.http_api.desk import SHEET_READERS, Desk
from attendance_svc.http_api.report_bodies import SHEET_COLUMNS, sheet_rows
from attendance_svc.queries import list_states
from contracts.ids import CourseId, StudentId
from infra.http_accept import CSV, JSON, choose
from infra.http_bodies import NoBody
from infra.http_csv import csv_response
from infra.http_routes import AnyRoute, Call, Reply, Route
from infra.postgres import connection

MADE = (JSON, CSV)


class ReportingRoutes:
    """Routes under /signatures that sum up."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind, in one place. The sheet comes before the ids, which it would be taken for."""
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


def _kind(call: Call[NoBody, SheetQuery]) -> str:
    return choose(call.request.headers.getall("Accept", ()), MADE)
