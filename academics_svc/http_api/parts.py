"""Routes of classrooms and of groups, which differ in who may see them."""

from collections.abc import Mapping
from uuid import UUID

from academics_svc.commands.authority import school_to_read, school_to_write
from academics_svc.commands.parts import create_part, rename_part, require_no_beacons, retire_part
from academics_svc.domain import Part, PartKind
from academics_svc.http_api.desk import ADMINS, STAFF, Desk, SchoolQuery, digest_of, gone
from academics_svc.queries.parts import find_part, is_classroom_of_student, is_group_of_teacher, list_parts
from contracts.problems import ForbiddenError, NotFoundError
from infra.http_bodies import Answer, Body, Id, Name, NoBody, NoQuery, Page, PageQuery, page_after, page_of
from infra.http_routes import PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import Connection, connection
from infra.tokens import Caller, CallerType

READERS: Mapping[PartKind, frozenset[CallerType]] = {"classroom": PEOPLE, "group": STAFF}
LISTERS: Mapping[PartKind, frozenset[CallerType]] = {"classroom": STAFF, "group": ADMINS}


class PartBody(Body):
    """A new classroom or group; its name is unique in the school. school_id: developers must name it."""

    name: Name
    school_id: Id | None = None


class PartPatch(Body):
    """Some fields of a classroom or group."""

    name: Name = ""


class PartListQuery(PageQuery):
    """Which part of the list, and, for developers, of which school."""

    school_id: Id | None = None


class PartAnswer(Answer):
    """A classroom or group."""

    id: UUID
    school_id: UUID
    name: str
    version: int


class PartApi:
    """Routes under /classrooms, or under /groups."""

    def __init__(self, kind: PartKind, desk: Desk) -> None:
        self._kind, self._desk = kind, desk
        self._id, self._all = f"{kind}_id", f"/{kind}s"

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind of part, its members aside."""
        return [*self._many(self._kind), *self._one(self._kind, f"{self._all}/{{{self._id}}}")]

    def _many(self, kind: PartKind) -> list[AnyRoute]:
        return [
            Route(
                method="GET",
                path=self._all,
                handler=self.get_all,
                who=LISTERS[kind],
                query=PartListQuery,
                answer=Page[PartAnswer],
                summary=f"List the {kind}s",
            ),
            Route(
                method="POST",
                path=self._all,
                handler=self.post,
                who=ADMINS,
                body=PartBody,
                answer=PartAnswer,
                status=201,
                summary=f"Make a {kind}",
            ),
        ]

    def _one(self, kind: PartKind, one: str) -> list[AnyRoute]:
        return [
            Route(
                method="GET",
                path=one,
                handler=self.get,
                who=READERS[kind],
                answer=PartAnswer,
                summary=f"Show a {kind}",
            ),
            Route(
                method="PATCH",
                path=one,
                handler=self.patch,
                who=ADMINS,
                body=PartPatch,
                query=SchoolQuery,
                answer=PartAnswer,
                summary=f"Rename a {kind}",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete,
                who=ADMINS,
                query=SchoolQuery,
                status=204,
                summary=f"Retire a {kind} that no coming course needs",
            ),
        ]

    async def get_all(self, call: Call[NoBody, PartListQuery]) -> Reply:
        school_id = school_to_read(call.caller, call.query.school_id)
        async with connection(self._desk.pool) as lent:
            parts = await list_parts(
                lent, self._kind, school_id=school_id, after=page_after(call.query), limit=call.query.limit + 1
            )
        return Reply(body=page_of([to_part(part) for part in parts], call.query, id_of=lambda shown: shown.id))

    async def post(self, call: Call[PartBody, NoQuery]) -> Reply:
        school_id = school_to_write(call.caller, call.body.school_id)
        part = Part(kind=self._kind, id=call.fresh_id(), school_id=school_id, name=call.body.name)
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            await create_part(part, digest=digest_of(call.body), books=books)
        return self._written(await self._find(part.id, school_id), status=201, location=f"{self._all}/{part.id}")

    async def get(self, call: Call[NoBody, NoQuery]) -> Reply:
        async with connection(self._desk.pool) as lent:
            part = present(await find_part(lent, self._kind, call.ids[self._id], school_id=school_to_read(call.caller)))
            await check_may_see(lent, call.caller, part)
        return Reply(body=to_part(part), version=part.version)

    async def patch(self, call: Call[PartPatch, SchoolQuery]) -> Reply:
        part_id, school_id = call.ids[self._id], school_to_write(call.caller, call.query.school_id)
        version_seen = call.version_seen()
        if call.body.model_fields_set:
            async with self._desk.open_books(self._desk.cause(call.caller)) as books:
                await rename_part(
                    self._kind, part_id, call.body.name, school_id=school_id, version_seen=version_seen, books=books
                )
        return self._written(present(await self._find(part_id, school_id)))

    async def delete(self, call: Call[NoBody, SchoolQuery]) -> Reply:
        part_id, school_id = call.ids[self._id], school_to_write(call.caller, call.query.school_id)
        cause = self._desk.cause(call.caller)
        part = await self._find(part_id, school_id)
        if part.kind == "classroom" and not part.retired:
            await require_no_beacons(self._desk.beacons, part_id, school_id=school_id)
        async with self._desk.open_books(cause) as books:
            part = await retire_part(self._kind, part_id, school_id=school_id, now=cause.at, books=books)
        return gone(self._desk.token(self._kind, part.id, part.version, school_id=school_id))

    async def _find(self, part_id: UUID, school_id: UUID) -> Part:
        async with connection(self._desk.pool) as lent:
            part = await find_part(lent, self._kind, part_id, school_id=school_id)
        if part is None:
            raise NotFoundError("not_found")
        return part

    def _written(self, part: Part, *, status: int = 200, location: str | None = None) -> Reply:
        token = self._desk.token(self._kind, part.id, part.version, school_id=part.school_id)
        return Reply(status=status, body=to_part(part), version=part.version, location=location, headers=token)


def present(part: Part | None) -> Part:
    """Raises: NotFoundError("not_found") when there is none, or it is retired."""
    if part is None or part.retired:
        raise NotFoundError("not_found")
    return part


async def check_may_see(lent: Connection, caller: Caller, part: Part) -> None:
    """Pass when the part is the caller's business. Raises: ForbiddenError("forbidden")."""
    if caller.type == "student" and not await is_classroom_of_student(lent, part.id, caller.id):
        raise ForbiddenError("forbidden")
    if caller.type == "teacher" and part.kind == "group" and not await is_group_of_teacher(lent, part.id, caller.id):
        raise ForbiddenError("forbidden")


def to_part(part: Part) -> PartAnswer:
    """Say it in JSON."""
    return PartAnswer(id=part.id, school_id=part.school_id, name=part.name, version=part.version)
