"""`/users`: accounts, for those who administer them and for their owners."""

from uuid import UUID

from contracts.ids import SchoolId, UserId, canonical_uuid, new_user_id
from contracts.problems import ForbiddenError, InvalidInputError, NotFoundError
from identity_svc.commands.accounts import Changes, create_user, delete_user, force_log_out, update_user
from identity_svc.commands.passwords import issue_reset
from identity_svc.domain.accounts import Actor, check_may_read, check_reach
from identity_svc.http_api.bodies import (
    BatchQuery,
    LiteAnswer,
    ResetAnswer,
    UserAnswer,
    UserBody,
    UserLite,
    UserPatch,
    UserQuery,
)
from identity_svc.http_api.desk import Desk
from identity_svc.ports import Draft
from identity_svc.queries import AccountFilter, find_account, list_accounts, list_accounts_by_id
from infra.http_bodies import NoBody, NoQuery, Page, page_after, page_of
from infra.http_routes import PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import connection
from infra.tokens import CallerType

ADMINS: frozenset[CallerType] = frozenset(("admin", "dev"))
MAX_BATCH = 100


class UserApi:
    """Routes about accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        return [
            Route(
                method="POST",
                path="/users",
                handler=self.post_user,
                who=ADMINS,
                body=UserBody,
                answer=UserAnswer,
                status=201,
                summary="Make an account",
            ),
            Route(
                method="GET",
                path="/users",
                handler=self.list_users,
                who=ADMINS,
                query=UserQuery,
                answer=Page[UserAnswer],
                summary="List accounts",
            ),
            Route(
                method="GET",
                path="/users/batch",
                handler=self.get_batch,
                who=PEOPLE,
                query=BatchQuery,
                answer=LiteAnswer,
                summary="Names of up to 100 people of the own school",
            ),
            *self._account_routes("/users/{user_id}"),
            *self._standing_routes("/users/{user_id}"),
        ]

    def _account_routes(self, path: str) -> list[AnyRoute]:
        return [
            Route(
                method="GET",
                path=path,
                handler=self.get_user,
                who=PEOPLE,
                answer=UserAnswer,
                summary="Show an account",
            ),
            Route(
                method="PATCH",
                path=path,
                handler=self.patch_user,
                who=ADMINS,
                body=UserPatch,
                answer=UserAnswer,
                summary="Change an account; needs If-Match",
            ),
            Route(
                method="DELETE",
                path=path,
                handler=self.delete_user,
                who=ADMINS,
                status=204,
                summary="Retire an account",
            ),
        ]

    def _standing_routes(self, path: str) -> list[AnyRoute]:
        return [
            Route(
                method="DELETE",
                path=path + "/sessions",
                handler=self.delete_sessions,
                who=ADMINS,
                status=204,
                summary="Log somebody out everywhere",
            ),
            Route(
                method="POST",
                path=path + "/password-reset",
                handler=self.post_reset,
                who=ADMINS,
                answer=ResetAnswer,
                status=201,
                summary="Issue a one-time token to choose a password with",
            ),
        ]

    async def post_user(self, call: Call[UserBody, NoQuery]) -> Reply:
        """201; 403, 404 for another school; 409 for an address or number that is taken; 422."""
        desk, body = self._desk, call.body
        actor = await desk.actor(call)
        draft = Draft(
            id=UserId(call.fresh_id()) if call.idempotency_key else new_user_id(),
            type=body.user_type,
            school_id=SchoolId(body.school_id) if body.school_id else None,
            email=body.email,
            firstname=body.firstname,
            lastname=body.lastname,
            student_number=body.student_number,
            admin_role=body.admin_role,
            password=body.password,
        )
        account = await create_user(
            draft, actor=actor, open_books=desk.books_of(actor), passwords=desk.passwords, now=desk.now()
        )
        location = f"/users/{account.id}"
        return Reply(status=201, body=UserAnswer.of(account), version=account.version, location=location)

    async def list_users(self, call: Call[NoBody, UserQuery]) -> Reply:
        """200; 404 for another school."""
        actor, query = await self._desk.actor(call), call.query
        wanted = AccountFilter(
            school_id=school_to_list(actor, query.school_id), user_type=query.user_type, text=query.q
        )
        async with connection(self._desk.pool) as lent:
            accounts = await list_accounts(lent, wanted, after=page_after(query), limit=query.limit + 1)
        page = page_of(accounts, query, id_of=lambda account: account.id)
        items = [UserAnswer.of(account) for account in page.items]
        return Reply(body=Page[UserAnswer](items=items, next_cursor=page.next_cursor))

    async def get_batch(self, call: Call[NoBody, BatchQuery]) -> Reply:
        """200 with those that exist in the caller's school; 422 for more than 100 or malformed ids."""
        actor = await self._desk.actor(call)
        ids = parse_ids(call.query.id)
        async with connection(self._desk.pool) as lent:
            accounts = await list_accounts_by_id(lent, ids, school_id=actor.school_id)
        items = [UserLite(id=a.id, firstname=a.firstname, lastname=a.lastname, user_type=a.type) for a in accounts]
        return Reply(body=LiteAnswer(items=items))

    async def get_user(self, call: Call[NoBody, NoQuery]) -> Reply:
        """200; 403 for another's; 404 for another school's."""
        actor = await self._desk.actor(call)
        async with connection(self._desk.pool) as lent:
            account = check_reach(actor, await find_account(lent, call.ids["user_id"]))
        check_may_read(actor, account)
        return Reply(body=UserAnswer.of(account), version=account.version)

    async def patch_user(self, call: Call[UserPatch, NoQuery]) -> Reply:
        """200; 403, 404; 409; 412 when somebody was faster; 422; 428 without If-Match."""
        actor, seen = await self._desk.actor(call), call.version_seen()
        user_id, changes = UserId(call.ids["user_id"]), changes_of(call.body)
        async with self._desk.books(actor) as books:
            account = await update_user(user_id, changes, seen=seen, actor=actor, books=books, now=self._desk.now())
        return Reply(body=UserAnswer.of(account), version=account.version)

    async def delete_user(self, call: Call[NoBody, NoQuery]) -> Reply:
        """204; 403, 404; 409 `last_manager`."""
        actor = await self._desk.actor(call)
        async with self._desk.books(actor) as books:
            await delete_user(UserId(call.ids["user_id"]), actor=actor, books=books, now=self._desk.now())
        return Reply(status=204)

    async def delete_sessions(self, call: Call[NoBody, NoQuery]) -> Reply:
        """204; 403, 404."""
        actor = await self._desk.actor(call)
        async with self._desk.books(actor) as books:
            await force_log_out(UserId(call.ids["user_id"]), actor=actor, books=books, now=self._desk.now())
        return Reply(status=204)

    async def post_reset(self, call: Call[NoBody, NoQuery]) -> Reply:
        """201; 403, 404."""
        actor = await self._desk.actor(call)
        user_id = UserId(call.ids["user_id"])
        async with self._desk.books(actor) as books:
            token, expires_at = await issue_reset(user_id, actor=actor, books=books, now=self._desk.now())
        answer = ResetAnswer(reset_token=token, expires_at=expires_at)
        return Reply(status=201, body=answer, headers={"Cache-Control": "no-store"})


def school_to_list(actor: Actor, wanted: UUID | None) -> SchoolId | None:
    """Return whose accounts are listed; None: everybody's, for developers. Raises: ForbiddenError, NotFoundError."""
    if actor.type not in ADMINS:
        raise ForbiddenError("forbidden")
    if actor.type != "dev" and wanted not in (None, actor.school_id):
        raise NotFoundError("not_found")
    return actor.school_id or (SchoolId(wanted) if wanted else None)


def parse_ids(text: str) -> list[UUID]:
    """Return the ids in a comma-separated list. Raises: InvalidInputError("malformed_query")."""
    try:
        ids = [canonical_uuid(word) for word in text.split(",")]
    except ValueError as error:
        raise InvalidInputError("malformed_query", fields=["id"]) from error
    if len(ids) > MAX_BATCH:
        raise InvalidInputError("malformed_query", fields=["id"])
    return ids


def changes_of(body: UserPatch) -> Changes:
    """Return the fields that the body names."""
    changes: Changes = {}
    named = body.model_fields_set
    if "email" in named:
        changes["email"] = body.email
    if "firstname" in named:
        changes["firstname"] = body.firstname
    if "lastname" in named:
        changes["lastname"] = body.lastname
    if "student_number" in named:
        changes["student_number"] = body.student_number
    if "admin_role" in named:
        changes["admin_role"] = body.admin_role
    if "disabled" in named:
        changes["disabled"] = body.disabled
    return changes
