"""The doors through which developers and admins manage beacons."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from beacon_svc.commands.beacons import (
    Change,
    NewKey,
    assign_room,
    provision_beacon,
    retire_beacon,
    rotate_key,
    update_beacon,
)
from beacon_svc.domain.beacons import Beacon, BeaconKey
from beacon_svc.http_api.acting import cause_of, scope_of
from beacon_svc.http_api.beacon_bodies import (
    BeaconAnswer,
    BeaconBody,
    BeaconPatch,
    BeaconsQuery,
    KeyBody,
    ProvisionedAnswer,
    RoomBody,
    fields_of,
    from_base32,
    to_base32,
)
from beacon_svc.ports import OpenRegistry, PlaceKind, Places
from beacon_svc.queries.beacons import BeaconFilter, get_beacon, list_beacons
from contracts.ids import BeaconId, ClassroomId, SchoolId
from contracts.problems import InvalidInputError, NotFoundError
from infra.canon import kid_of, load_public_key, to_spki
from infra.clock import Clock
from infra.http_bodies import NoBody, NoQuery, Page, page_after, page_of
from infra.http_routes import AnyRoute, Call, Reply, Route
from infra.postgres import Connection
from infra.tokens import CallerType

TOTP_KEY_BYTES = 32
DEVS: frozenset[CallerType] = frozenset(("dev",))
STAFF: frozenset[CallerType] = frozenset(("admin", "dev"))

OpenReading = Callable[[], AbstractAsyncContextManager[Connection]]


class BeaconsApi:
    """Routes under `/dev/beacons`: developers make and change beacons; admins see, place and retire their school's."""

    def __init__(self, *, open_registry: OpenRegistry, open_reading: OpenReading, places: Places, now: Clock) -> None:
        self._open_registry, self._open_reading, self._places, self._now = open_registry, open_reading, places, now

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        one = "/dev/beacons/{beacon_id}"
        return [
            Route(
                method="GET", path="/dev/beacons", handler=self.list_beacons, who=STAFF, query=BeaconsQuery,
                answer=Page[BeaconAnswer], summary="List the beacons one may see",
            ),
            Route(
                method="POST", path="/dev/beacons", handler=self.post_beacon, who=DEVS, body=BeaconBody,
                answer=ProvisionedAnswer, status=201, summary="Make a beacon known",
            ),
            Route(method="GET", path=one, handler=self.get_beacon, who=STAFF, answer=BeaconAnswer, summary="A beacon"),
            Route(
                method="PATCH", path=one, handler=self.patch_beacon, who=DEVS, body=BeaconPatch, answer=BeaconAnswer,
                summary="Change a beacon's settings",
            ),
            Route(
                method="DELETE", path=one, handler=self.delete_beacon, who=STAFF, status=204,
                summary="Take a beacon out of service and revoke its keys",
            ),
            Route(
                method="PUT", path=f"{one}/classroom", handler=self.put_classroom, who=STAFF, body=RoomBody,
                answer=BeaconAnswer, summary="Put a beacon into a room",
            ),
            Route(
                method="DELETE", path=f"{one}/classroom", handler=self.delete_classroom, who=STAFF, status=204,
                summary="Take a beacon out of its room",
            ),
            Route(
                method="POST", path=f"{one}/keys", handler=self.post_key, who=DEVS, body=KeyBody, answer=BeaconAnswer,
                status=201, summary="Give a beacon a new key",
            ),
        ]  # fmt: skip

    async def list_beacons(self, call: Call[NoBody, BeaconsQuery]) -> Reply:
        query, scope = call.query, scope_of(call.caller)
        wanted = BeaconFilter(
            school_id=scope or (SchoolId(query.school_id) if query.school_id else None),
            classroom_id=ClassroomId(query.classroom_id) if query.classroom_id else None,
            serial=query.serial,
        )
        if query.school_id is not None and query.school_id != wanted.school_id:
            return Reply(body=page_of([], query, id_of=lambda beacon: beacon))
        async with self._open_reading() as connection:
            rows = await list_beacons(connection, wanted, after=page_after(query), limit=query.limit + 1)
        answers = [BeaconAnswer.model_validate(fields_of(row)) for row in rows]
        return Reply(body=page_of(answers, query, id_of=lambda answer: answer.id))

    async def get_beacon(self, call: Call[NoBody, NoQuery]) -> Reply:
        async with self._open_reading() as connection:
            return shown(await get_beacon(connection, _id_in(call.ids), within=scope_of(call.caller)))

    async def post_beacon(self, call: Call[BeaconBody, NoQuery]) -> Reply:
        body, now = call.body, self._now()
        await self._require("school", body.school_id, school_id=SchoolId(body.school_id))
        given = from_base32(body.totp_key) if body.totp_key else None
        beacon = Beacon(
            id=BeaconId(call.fresh_id()),
            school_id=SchoolId(body.school_id),
            serial=body.serial,
            classroom_id=None,
            nfc_profile=body.nfc_profile,
            totp_required=body.totp_required,
            version=1,
            created_at=now,
            retired_at=None,
            keys=(key_of(body.public_key, now=now),),
        )
        async with self._open_registry() as registry:
            beacon, totp_key = await provision_beacon(
                beacon,
                totp_key=given or secrets.token_bytes(TOTP_KEY_BYTES),
                is_given=given is not None,
                registry=registry,
                cause=cause_of(call.caller, now=now),
            )
        answer = ProvisionedAnswer.model_validate(fields_of(beacon) | {"totp_key": to_base32(totp_key)})
        return Reply(status=201, body=answer, version=beacon.version, location=f"/dev/beacons/{beacon.id}")

    async def patch_beacon(self, call: Call[BeaconPatch, NoQuery]) -> Reply:
        body = call.body
        change = Change(
            nfc_profile=body.nfc_profile,
            totp_required=body.totp_required,
            totp_key=from_base32(body.totp_key) if body.totp_key else None,
        )
        async with self._open_registry() as registry:
            beacon = await update_beacon(
                _id_in(call.ids),
                change,
                version_seen=call.version_seen(),
                within=scope_of(call.caller),
                registry=registry,
                cause=cause_of(call.caller, now=self._now()),
            )
        return shown(beacon)

    async def delete_beacon(self, call: Call[NoBody, NoQuery]) -> Reply:
        cause = cause_of(call.caller, now=self._now())
        async with self._open_registry() as registry:
            await retire_beacon(_id_in(call.ids), within=scope_of(call.caller), registry=registry, cause=cause)
        return Reply(status=204)

    async def put_classroom(self, call: Call[RoomBody, NoQuery]) -> Reply:
        async with self._open_reading() as connection:
            beacon = await get_beacon(connection, _id_in(call.ids), within=scope_of(call.caller))
        room = ClassroomId(call.body.classroom_id)
        await self._require("classroom", room, school_id=beacon.school_id)
        return shown(await self._assign(call, room))

    async def delete_classroom(self, call: Call[NoBody, NoQuery]) -> Reply:
        await self._assign(call, None)
        return Reply(status=204)

    async def _assign(
        self, call: Call[RoomBody, NoQuery] | Call[NoBody, NoQuery], classroom_id: ClassroomId | None
    ) -> Beacon:
        cause = cause_of(call.caller, now=self._now())
        async with self._open_registry() as registry:
            return await assign_room(
                _id_in(call.ids), classroom_id, within=scope_of(call.caller), registry=registry, cause=cause
            )

    async def _require(self, kind: PlaceKind, id: UUID, *, school_id: SchoolId) -> None:
        # Another school's room is, to this one, no room.
        if not await self._places.has(kind, id, school_id=school_id):
            raise NotFoundError("not_found")

    async def post_key(self, call: Call[KeyBody, NoQuery]) -> Reply:
        now = self._now()
        made = key_of(call.body.public_key, now=now)
        new = NewKey(kid=made.kid, spki=made.spki, revoked_kids=frozenset(call.body.revoke))
        async with self._open_registry() as registry:
            beacon = await rotate_key(
                _id_in(call.ids),
                new,
                within=scope_of(call.caller),
                registry=registry,
                cause=cause_of(call.caller, now=now),
            )
        reply = shown(beacon)
        return Reply(status=201, body=reply.body, version=reply.version, location=f"/dev/beacons/{beacon.id}")


def shown(beacon: Beacon) -> Reply:
    """Return a beacon as people see it."""
    return Reply(body=BeaconAnswer.model_validate(fields_of(beacon)), version=beacon.version)


def key_of(text: str, *, now: datetime) -> BeaconKey:
    """Return the key in `text`, valid from now on. Raises: InvalidInputError("key_malformed")."""
    try:
        key = load_public_key(text)
    except ValueError as error:
        raise InvalidInputError("key_malformed", fields=["public_key"]) from error
    return BeaconKey(kid=kid_of(key), spki=to_spki(key), not_before=now)


def _id_in(ids: Mapping[str, UUID]) -> BeaconId:
    return BeaconId(ids["beacon_id"])
