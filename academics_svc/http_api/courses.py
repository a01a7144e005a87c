"""Routes of courses: planning, showing, signing."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from academics_svc.commands.authority import school_to_read, school_to_write
from academics_svc.commands.courses import Target, cancel_course, change_course, create_course
from academics_svc.commands.people import require_people
from academics_svc.commands.signing import set_signing
from academics_svc.domain import Course
from academics_svc.http_api.desk import ADMINS, STAFF, Desk, SchoolQuery, digest_of, gone
from academics_svc.queries.courses import CourseFilter, CourseView, attends, find_course, list_courses
from contracts.ids import CourseId, SchoolId
from contracts.problems import ForbiddenError, NotFoundError
from infra.http_bodies import (
    EARLIEST,
    Answer,
    Body,
    Id,
    Moment,
    Name,
    NoBody,
    NoQuery,
    Page,
    PageQuery,
    page_after,
    page_of,
)
from infra.http_routes import PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import Connection, connection
from infra.tokens import Caller, CallerType

Ids = Annotated[tuple[Id, ...], Field(max_length=100, strict=False)]
SIGNERS: frozenset[CallerType] = frozenset(("teacher", "admin"))


class CourseBody(Body):
    """A new course. closing_delay_minutes: 0 to 1440; null: the school's default.

    school_id: developers must name it.
    """

    name: Name
    start_at: Moment
    end_at: Moment
    is_online: bool = False
    closing_delay_minutes: int | None = None
    teacher_ids: Ids = ()
    group_ids: Ids = ()
    classroom_ids: Ids = ()
    school_id: Id | None = None


class CoursePatch(Body):
    """Some fields of a course; what is left out stays as it is, and null is for `closing_delay_minutes` alone."""

    name: Name = ""
    start_at: Moment = EARLIEST
    end_at: Moment = EARLIEST
    is_online: bool = False
    closing_delay_minutes: int | None = None


class SigningBody(Body):
    """Whether signing is open. until: the end of a reopening, at most the end of the course."""

    state: Literal["open", "closed"]
    until: Moment | None = None


class CourseQuery(PageQuery):
    """Which courses: those that overlap [from, to) and fit every filter."""

    begins: Annotated[Moment | None, Field(alias="from")] = None
    ends: Annotated[Moment | None, Field(alias="to")] = None
    teacher_id: Id | None = None
    student_id: Id | None = None
    group_id: Id | None = None
    classroom_id: Id | None = None
    school_id: Id | None = None


class CourseAnswer(Answer):
    """A course. closing_delay_minutes: its own; signature_closing_delay_minutes: the one that counts."""

    id: UUID
    school_id: UUID
    name: str
    start_at: datetime
    end_at: datetime
    is_online: bool
    closing_delay_minutes: int | None
    signature_closing_delay_minutes: int
    signature_closed: bool
    signature_closed_at: datetime | None
    closed_by: Literal["job", "hand"] | None
    signing_open_until: datetime | None
    cancelled: bool
    version: int
    teacher_ids: list[UUID]
    group_ids: list[UUID]
    classroom_ids: list[UUID]


class CourseApi:
    """Routes under /courses, links aside."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of courses, links aside."""
        return [*self._many(), *self._one("/courses/{course_id}")]

    def _many(self) -> list[AnyRoute]:
        return [
            Route(
                method="GET",
                path="/courses",
                handler=self.get_all,
                who=PEOPLE,
                query=CourseQuery,
                answer=Page[CourseAnswer],
                summary="List courses: students and teachers see their own",
            ),
            Route(
                method="POST",
                path="/courses",
                handler=self.post,
                who=ADMINS,
                body=CourseBody,
                answer=CourseAnswer,
                status=201,
                summary="Plan a course",
            ),
        ]

    def _one(self, one: str) -> list[AnyRoute]:
        return [
            Route(method="GET", path=one, handler=self.get, who=PEOPLE, answer=CourseAnswer, summary="Show a course"),
            Route(
                method="PATCH",
                path=one,
                handler=self.patch,
                who=STAFF,
                body=CoursePatch,
                query=SchoolQuery,
                answer=CourseAnswer,
                summary="Change a course; teachers: its closing delay",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete,
                who=ADMINS,
                query=SchoolQuery,
                status=204,
                summary="Cancel a course",
            ),
            Route(
                method="POST",
                path=f"{one}/signing",
                handler=self.post_signing,
                who=SIGNERS,
                body=SigningBody,
                answer=CourseAnswer,
                summary="Open or close signing",
            ),
        ]

    async def get_all(self, call: Call[NoBody, CourseQuery]) -> Reply:
        wanted, query = filter_of(call.caller, call.query), call.query
        async with connection(self._desk.pool) as lent:
            views = await list_courses(lent, wanted, after=page_after(query), limit=query.limit + 1)
        return Reply(body=page_of([to_course(view) for view in views], query, id_of=lambda shown: shown.id))

    async def post(self, call: Call[CourseBody, NoQuery]) -> Reply:
        school_id = school_to_write(call.caller, call.body.school_id)
        course = course_of(call.body, CourseId(call.fresh_id()), school_id)
        await require_people(self._desk.people, course.teacher_ids, kind="teacher", school_id=school_id)
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            await create_course(course, caller=call.caller, digest=digest_of(call.body), books=books)
        return await self._written(course.id, school_id, status=201)

    async def get(self, call: Call[NoBody, NoQuery]) -> Reply:
        async with connection(self._desk.pool) as lent:
            view = found(await find_course(lent, call.ids["course_id"], school_id=school_to_read(call.caller)))
            await check_may_see(lent, call.caller, view.course)
        return Reply(body=to_course(view), version=view.course.version)

    async def patch(self, call: Call[CoursePatch, SchoolQuery]) -> Reply:
        target = self.target(call, school_to_write(call.caller, call.query.school_id))
        changes: dict[str, Any] = call.body.model_dump(include=call.body.model_fields_set)
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            await change_course(target, changes, version_seen=call.version_seen(), books=books)
        return await self._written(target.course_id, target.school_id)

    async def delete(self, call: Call[NoBody, SchoolQuery]) -> Reply:
        target = self.target(call, school_to_write(call.caller, call.query.school_id))
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            course = await cancel_course(target, books=books)
        return gone(self._desk.token("course", course.id, course.version, school_id=course.school_id))

    async def post_signing(self, call: Call[SigningBody, NoQuery]) -> Reply:
        target = self.target(call, school_to_write(call.caller, None))
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            await set_signing(target, call.body.state, until=call.body.until, books=books)
        return await self._written(target.course_id, target.school_id)

    def target(self, call: Call[Any, Any], school_id: SchoolId) -> Target:
        """Return which course the call wants to change."""
        return Target(
            course_id=CourseId(call.ids["course_id"]), school_id=school_id, caller=call.caller, now=self._desk.now()
        )

    async def _written(self, course_id: CourseId, school_id: SchoolId, *, status: int = 200) -> Reply:
        async with connection(self._desk.pool) as lent:
            view = found(await find_course(lent, course_id, school_id=school_id))
        return Reply(
            status=status,
            body=to_course(view),
            version=view.course.version,
            location=f"/courses/{course_id}" if status == 201 else None,  # noqa: PLR2004 -- Created
            headers=self._desk.token("course", course_id, view.course.version, school_id=school_id),
        )


def filter_of(caller: Caller, query: CourseQuery) -> CourseFilter:
    """Return what is wanted, limited to what is the caller's business. Raises: NotFoundError("not_found")."""
    return CourseFilter(
        school_id=school_to_read(caller, query.school_id),
        begins=query.begins,
        ends=query.ends,
        teacher_id=caller.id if caller.type == "teacher" else query.teacher_id,
        student_id=caller.id if caller.type == "student" else query.student_id,
        group_id=query.group_id,
        classroom_id=query.classroom_id,
    )


def found(view: CourseView | None) -> CourseView:
    """Raises: NotFoundError("not_found")."""
    if view is None:
        raise NotFoundError("not_found")
    return view


async def check_may_see(lent: Connection, caller: Caller, course: Course) -> None:
    """Pass when the course is the caller's business. Raises: ForbiddenError("forbidden")."""
    if caller.type == "teacher" and caller.id not in course.teacher_ids:
        raise ForbiddenError("forbidden")
    if caller.type == "student" and not await attends(lent, course.id, caller.id):
        raise ForbiddenError("forbidden")


def course_of(body: CourseBody, course_id: CourseId, school_id: SchoolId) -> Course:
    """Return the course as it is wished."""
    return Course(
        id=course_id,
        school_id=school_id,
        name=body.name,
        start_at=body.start_at,
        end_at=body.end_at,
        is_online=body.is_online,
        closing_delay_minutes=body.closing_delay_minutes,
        teacher_ids=frozenset(body.teacher_ids),
        group_ids=frozenset(body.group_ids),
        classroom_ids=frozenset(body.classroom_ids),
    )


def to_course(view: CourseView) -> CourseAnswer:
    """Say it in JSON."""
    course = view.course
    return CourseAnswer(
        id=course.id,
        school_id=course.school_id,
        name=course.name,
        start_at=course.start_at,
        end_at=course.end_at,
        is_online=course.is_online,
        closing_delay_minutes=course.closing_delay_minutes,
        signature_closing_delay_minutes=view.signature_closing_delay_minutes,
        signature_closed=course.signature_closed,
        signature_closed_at=course.signature_closed_at,
        closed_by=course.closed_by,
        signing_open_until=course.signing_open_until,
        cancelled=course.cancelled,
        version=course.version,
        teacher_ids=sorted(course.teacher_ids),
        group_ids=sorted(course.group_ids),
        classroom_ids=sorted(course.classroom_ids),
    )
