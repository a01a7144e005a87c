"""Routes that link courses to teachers, groups and classrooms."""

from academics_svc.commands.authority import school_to_write
from academics_svc.commands.courses import Target, link_course, unlink_course
from academics_svc.commands.people import require_people
from academics_svc.domain import Course, LinkKind
from academics_svc.http_api.courses import found
from academics_svc.http_api.desk import ADMINS, Desk, SchoolQuery, gone
from academics_svc.queries.courses import find_course
from contracts.ids import CourseId
from infra.http_bodies import NoBody
from infra.http_routes import AnyRoute, Call, Reply, Route
from infra.postgres import connection


class LinkApi:
    """Routes under /courses/{course_id}/teachers, or …/groups, or …/classrooms."""

    def __init__(self, kind: LinkKind, desk: Desk) -> None:
        self._kind, self._desk = kind, desk

    def routes(self) -> list[AnyRoute]:
        """Link and unlink."""
        path = f"/courses/{{course_id}}/{self._kind}s/{{{self._kind}_id}}"
        return [
            Route(
                method="PUT",
                path=path,
                handler=self.put,
                who=ADMINS,
                query=SchoolQuery,
                status=204,
                summary=f"Link a {self._kind} to a course",
            ),
            Route(
                method="DELETE",
                path=path,
                handler=self.delete,
                who=ADMINS,
                query=SchoolQuery,
                status=204,
                summary=f"End the link of a {self._kind} to a course",
            ),
        ]

    async def put(self, call: Call[NoBody, SchoolQuery]) -> Reply:
        target, linked_id = self._target(call), call.ids[f"{self._kind}_id"]
        if self._kind == "teacher":
            async with connection(self._desk.pool) as lent:
                found(await find_course(lent, target.course_id, school_id=target.school_id))
            await require_people(self._desk.people, [linked_id], kind="teacher", school_id=target.school_id)
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            course = await link_course(target, self._kind, linked_id, books=books)
        return self._done(course)

    async def delete(self, call: Call[NoBody, SchoolQuery]) -> Reply:
        target, linked_id = self._target(call), call.ids[f"{self._kind}_id"]
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            course = await unlink_course(target, self._kind, linked_id, books=books)
        return self._done(course)

    def _target(self, call: Call[NoBody, SchoolQuery]) -> Target:
        school_id = school_to_write(call.caller, call.query.school_id)
        return Target(
            course_id=CourseId(call.ids["course_id"]), school_id=school_id, caller=call.caller, now=self._desk.now()
        )

    def _done(self, course: Course) -> Reply:
        return gone(self._desk.token("course", course.id, course.version, school_id=course.school_id))
