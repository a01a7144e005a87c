"""`/users/{id}/device`: the phone that signs for a student."""

from contracts.ids import DeviceId, UserId, new_id
from contracts.problems import NotFoundError
from identity_svc.commands.devices import Registration, bind_device, issue_challenge, reset_device
from identity_svc.domain.accounts import check_may_read, check_reach
from identity_svc.http_api.bodies import ChallengeAnswer, DeviceAnswer, DeviceBody, ReasonBody
from identity_svc.http_api.desk import Desk
from identity_svc.queries import find_account, find_device
from infra.canon import to_base64url
from infra.http_bodies import NoBody, NoQuery
from infra.http_routes import PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import connection
from infra.tokens import CallerType

STUDENTS: frozenset[CallerType] = frozenset(("student",))
ADMINS: frozenset[CallerType] = frozenset(("admin", "dev"))


class DeviceApi:
    """Routes about students' devices. origin: the address that devices sign for."""

    def __init__(self, desk: Desk, *, origin: str) -> None:
        self._desk, self._origin = desk, origin

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        path = "/users/{user_id}/device"
        return [
            Route(
                method="POST",
                path=path + "/challenge",
                handler=self.post_challenge,
                who=STUDENTS,
                answer=ChallengeAnswer,
                status=201,
                summary="Ask for what a new device must sign",
            ),
            Route(
                method="PUT",
                path=path,
                handler=self.put_device,
                who=STUDENTS,
                body=DeviceBody,
                answer=DeviceAnswer,
                summary="Bind a device that proves to hold its key",
            ),
            Route(
                method="GET",
                path=path,
                handler=self.get_device,
                who=PEOPLE,
                answer=DeviceAnswer,
                summary="Show the bound device",
            ),
            Route(
                method="DELETE",
                path=path,
                handler=self.delete_device,
                who=ADMINS,
                body=ReasonBody,
                status=204,
                summary="Unbind a student's device, so that another may be bound at once",
            ),
        ]

    async def post_challenge(self, call: Call[NoBody, NoQuery]) -> Reply:
        """201; 403 for anybody else's."""
        actor = await self._desk.actor(call)
        user_id, now = UserId(call.ids["user_id"]), self._desk.now()
        async with self._desk.books(actor) as books:
            made = await issue_challenge(user_id, device_id=DeviceId(new_id()), actor=actor, books=books, now=now)
        answer = ChallengeAnswer(
            challenge=to_base64url(made.nonce), device_identifier=made.device_id, expires_at=made.expires_at
        )
        return Reply(status=201, body=answer, headers={"Cache-Control": "no-store"})

    async def put_device(self, call: Call[DeviceBody, NoQuery]) -> Reply:
        """200; 403 for a wrong signature or anybody else's; 409 `device_cooldown`, `device_taken`; 422."""
        actor, body = await self._desk.actor(call), call.body
        registration = Registration(
            device_id=DeviceId(body.device_identifier) if body.device_identifier else None,
            public_key=body.public_key,
            signature=body.signature,
        )
        async with self._desk.books(actor) as books:
            device = await bind_device(
                UserId(call.ids["user_id"]),
                registration,
                origin=self._origin,
                actor=actor,
                books=books,
                now=self._desk.now(),
            )
        return Reply(body=DeviceAnswer.of(device))

    async def get_device(self, call: Call[NoBody, NoQuery]) -> Reply:
        """200; 403 for anybody else's; 404 without one."""
        actor = await self._desk.actor(call)
        async with connection(self._desk.pool) as lent:
            account = check_reach(actor, await find_account(lent, call.ids["user_id"]))
            check_may_read(actor, account)
            device = await find_device(lent, account.id)
        if device is None:
            raise NotFoundError("not_found")
        return Reply(body=DeviceAnswer.of(device))

    async def delete_device(self, call: Call[ReasonBody, NoQuery]) -> Reply:
        """204; 403, 404."""
        actor = await self._desk.actor(call)
        user_id = UserId(call.ids["user_id"])
        async with self._desk.books(actor) as books:
            await reset_device(user_id, reason=call.body.reason, actor=actor, books=books, now=self._desk.now())
        return Reply(status=204)
