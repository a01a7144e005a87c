"""gRPC clients of academics_svc."""

from collections.abc import Collection, Mapping
from uuid import UUID

import grpc.aio

from academics_svc.ports import UserKind
from contracts.ids import SchoolId
from contracts.rpc.beacon.api.v1 import beacon_pb2, beacon_pb2_grpc
from contracts.rpc.identity.api.v1 import identity_pb2, identity_pb2_grpc
from infra.grpc_client import Peer

MAX_USERS_COUNT = 500  # identity.proto, ListUsersLiteRequest


class GrpcPeople:
    """Satisfies ports.People."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub, self._peer = identity_pb2_grpc.IdentityQueryServiceStub(channel), Peer("identity")

    async def find_kinds(self, user_ids: Collection[UUID], *, school_id: SchoolId) -> Mapping[UUID, str]:
        texts = [str(user_id) for user_id in user_ids]
        kinds: dict[UUID, str] = {}
        for begin in range(0, len(texts), MAX_USERS_COUNT):
            request = identity_pb2.ListUsersLiteRequest(
                user_ids=texts[begin : begin + MAX_USERS_COUNT], acting_school_id=str(school_id)
            )
            answer = await self._peer.ask(self._stub.ListUsersLite, request)
            kinds |= {UUID(user.id): user.user_type for user in answer.users if user.school_id == str(school_id)}
        return kinds

    async def may_enter(self, user_id: UUID, kind: UserKind, *, school_id: SchoolId) -> bool:
        request = identity_pb2.ListUsersLiteRequest(user_ids=[str(user_id)], acting_school_id=str(school_id))
        answer = await self._peer.ask(self._stub.ListUsersLite, request)
        found = [user for user in answer.users if user.school_id == str(school_id)]
        return any(user.user_type == kind and not user.disabled for user in found)


class GrpcBeaconDirectory:
    """Satisfies ports.BeaconDirectory."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub, self._peer = beacon_pb2_grpc.BeaconQueryServiceStub(channel), Peer("beacon")

    async def has_beacons(self, classroom_id: UUID, *, school_id: SchoolId) -> bool:
        request = beacon_pb2.ListBeaconsByClassroomRequest(
            classroom_id=str(classroom_id), acting_school_id=str(school_id)
        )
        answer = await self._peer.ask(self._stub.ListBeaconsByClassroom, request)
        return bool(answer.beacons)
