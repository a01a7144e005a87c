"""Routes that show signatures and their history."""

from datetime import timedelta
from uuid import UUID

from attendance_svc.http_api.bodies import (
    SignatureAnswer,
    SignatureQuery,
    TransitionAnswer,
    to_answer,
    to_transition_answer,
)
from attendance_svc.http_api.desk import LONGEST_SPAN, Desk
from attendance_svc.queries import SignatureFilter, find_signature, list_signatures, list_transitions
from contracts.ids import CourseId, SignatureId
from contracts.problems import InvalidInputError, NotFoundError
from infra.http_bodies import NoBody, NoQuery, Page, PageQuery, page_after, page_of
from infra.http_routes import PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import connection
from infra.tokens import Caller


class ShowingRoutes:
    """Routes under /signatures that show something."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind, in one place."""
        return [
            Route(
                method="GET",
                path="/signatures",
                handler=self.list_signatures,
                who=PEOPLE,
                query=SignatureQuery,
                answer=Page[SignatureAnswer],
                summary="List signatures",
            ),
            Route(
                method="GET",
                path="/signatures/{signature_id}",
                handler=self.get_signature,
                who=PEOPLE,
                answer=SignatureAnswer,
                summary="Show a signature",
            ),
            Route(
                method="GET",
                path="/signatures/{signature_id}/transitions",
                handler=self.list_transitions,
                who=PEOPLE,
                query=PageQuery,
                answer=Page[TransitionAnswer],
                summary="Show what became of a signature, and why",
            ),
        ]

    async def get_signature(self, call: Call[NoBody, NoQuery]) -> Reply:
        async with connection(self._desk.pool) as lent:
            found = await find_signature(lent, SignatureId(call.ids["signature_id"]))
        signature = await self._desk.require_view(call, found)
        return Reply(body=to_answer(signature), version=signature.version)

    async def list_transitions(self, call: Call[NoBody, PageQuery]) -> Reply:
        signature_id = SignatureId(call.ids["signature_id"])
        async with connection(self._desk.pool) as lent:
            found = await find_signature(lent, signature_id)
        await self._desk.require_view(call, found)
        after = page_after(call.query)
        async with connection(self._desk.pool) as lent:
            steps = await list_transitions(
                lent, signature_id, after=min(after.int, 2**62) if after else 0, limit=call.query.limit + 1
            )
        shown = [to_transition_answer(step, for_staff=call.caller.type != "student") for step in steps]
        return Reply(body=page_of(shown, call.query, id_of=lambda step: UUID(int=step.n)))

    async def list_signatures(self, call: Call[NoBody, SignatureQuery]) -> Reply:
        query = call.query
        wanted = _filter(call.caller, query)
        if call.caller.type == "teacher":
            await self._desk.find_course(call, CourseId(_required(query.course_id, "course_id")))
        async with connection(self._desk.pool) as lent:
            rows = await list_signatures(lent, wanted, after=page_after(query), limit=query.limit + 1)
        return Reply(body=page_of([to_answer(row) for row in rows], query, id_of=lambda shown: shown.id))


def _filter(caller: Caller, query: SignatureQuery) -> SignatureFilter:
    """Return what the caller may list. Raises: InvalidInputError("malformed_query") naming what must be given."""
    if query.since and query.until and not timedelta(0) <= query.until - query.since <= LONGEST_SPAN:
        raise InvalidInputError("malformed_query", fields=["from", "to"])
    if caller.type == "dev":
        _required(query.school_id, "school_id")
    elif query.school_id not in (None, caller.school_id):
        raise NotFoundError("not_found")
    filters = (query.course_id, query.student_id, query.status, query.since, query.until)
    if caller.type == "admin" and all(each is None for each in filters):
        raise InvalidInputError("malformed_query", fields=["course_id", "from", "status", "student_id", "to"])
    return SignatureFilter(
        school_id=query.school_id if caller.type == "dev" else caller.school_id,
        course_id=query.course_id,
        # Students see their own, whatever they ask for.
        subject_id=caller.id if caller.type == "student" else query.student_id,
        status=query.status,
        since=query.since,
        until=query.until,
    )


def _required(value: UUID | None, name: str) -> UUID:
    if value is None:
        raise InvalidInputError("malformed_query", fields=[name])
    return value
