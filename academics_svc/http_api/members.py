"""Routes of who belongs to a group."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from academics_svc.commands.authority import school_to_read, school_to_write
from academics_svc.commands.parts import change_members
from academics_svc.commands.people import require_people
from academics_svc.http_api.desk import ADMINS, STAFF, Desk, SchoolQuery
from academics_svc.http_api.parts import check_may_see, present
from academics_svc.queries.parts import find_part, list_members
from contracts.ids import SchoolId
from infra.http_bodies import Answer, Body, Id, NoBody, Page, PageQuery, page_after, page_of
from infra.http_routes import AnyRoute, Call, Reply, Route
from infra.postgres import connection

Students = Annotated[tuple[Id, ...], Field(max_length=500, strict=False)]


class MembersBody(Body):
    """Who joins and who leaves."""

    add: Students = ()
    remove: Students = ()


class MemberAnswer(Answer):
    """A student of a group. since: when the membership was recorded."""

    student_id: UUID
    since: datetime


class MembersAnswer(Answer):
    """Who really joined and left, and the version of the group after it."""

    added: list[UUID]
    removed: list[UUID]
    version: int


class MemberApi:
    """Routes under /groups/{group_id}/members."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of memberships."""
        members, one = "/groups/{group_id}/members", "/groups/{group_id}/members/{student_id}"
        return [
            Route(
                method="GET",
                path=members,
                handler=self.get_all,
                who=STAFF,
                query=PageQuery,
                answer=Page[MemberAnswer],
                summary="List the students of a group",
            ),
            Route(
                method="POST",
                path=f"{members}/batch",
                handler=self.batch,
                who=ADMINS,
                body=MembersBody,
                query=SchoolQuery,
                answer=MembersAnswer,
                summary="Let many students join and leave",
            ),
            Route(
                method="PUT",
                path=one,
                handler=self.put,
                who=ADMINS,
                query=SchoolQuery,
                status=204,
                summary="Let a student join",
            ),
            Route(
                method="DELETE",
                path=one,
                handler=self.delete,
                who=ADMINS,
                query=SchoolQuery,
                status=204,
                summary="Let a student leave",
            ),
        ]

    async def get_all(self, call: Call[NoBody, PageQuery]) -> Reply:
        group_id, query = call.ids["group_id"], call.query
        async with connection(self._desk.pool) as lent:
            group = present(await find_part(lent, "group", group_id, school_id=school_to_read(call.caller)))
            await check_may_see(lent, call.caller, group)
            members = await list_members(lent, group_id, after=page_after(query), limit=query.limit + 1)
        shown = [MemberAnswer(student_id=member.student_id, since=member.since) for member in members]
        return Reply(body=page_of(shown, query, id_of=lambda member: member.student_id))

    async def batch(self, call: Call[MembersBody, SchoolQuery]) -> Reply:
        return await self._change(call, add=call.body.add, remove=call.body.remove)

    async def put(self, call: Call[NoBody, SchoolQuery]) -> Reply:
        changed = await self._change(call, add=[call.ids["student_id"]])
        return Reply(status=204, headers=changed.headers)

    async def delete(self, call: Call[NoBody, SchoolQuery]) -> Reply:
        changed = await self._change(call, remove=[call.ids["student_id"]])
        return Reply(status=204, headers=changed.headers)

    async def _change(
        self,
        call: Call[MembersBody, SchoolQuery] | Call[NoBody, SchoolQuery],
        *,
        add: Sequence[UUID] = (),
        remove: Sequence[UUID] = (),
    ) -> Reply:
        school_id, group_id = school_to_write(call.caller, call.query.school_id), call.ids["group_id"]
        await self._require_group(group_id, school_id)
        await require_people(self._desk.people, add, kind="student", school_id=school_id)
        async with self._desk.open_books(self._desk.cause(call.caller)) as books:
            group, news = await change_members(group_id, add=add, remove=remove, school_id=school_id, books=books)
        return Reply(
            body=MembersAnswer(added=news.added, removed=news.removed, version=group.version),
            headers=self._desk.token("group", group_id, group.version, school_id=school_id),
        )

    async def _require_group(self, group_id: UUID, school_id: SchoolId) -> None:
        # Before identity is asked: whose group is not there learns nothing about people.
        async with connection(self._desk.pool) as lent:
            present(await find_part(lent, "group", group_id, school_id=school_id))
