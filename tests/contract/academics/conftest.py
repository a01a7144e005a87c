"""academics_svc's view of other services: over gRPC, and as the fakes have it."""

from dataclasses import dataclass
from uuid import uuid4

import grpc.aio
import pytest

from academics_svc.clients import GrpcBeaconDirectory, GrpcPeople
from contracts.rpc.beacon.api.v1 import beacon_pb2, beacon_pb2_grpc
from contracts.rpc.identity.api.v1 import identity_pb2, identity_pb2_grpc
from tests.fakes.academics import KnownBeacons, KnownPeople


@dataclass
class Other:
    """Another service: academics' port to it, how to put something there, and how to stop it."""

    port: object
    put: object
    stop: object


class Identity(identity_pb2_grpc.IdentityQueryServiceServicer):
    """Answers as identity.proto says."""

    def __init__(self):
        self.users, self.most_asked = {}, 0

    async def ListUsersLite(self, request, context):  # noqa: N802 -- name fixed by the .proto
        self.most_asked = max(self.most_asked, len(request.user_ids))
        users = [self.users[id_] for id_ in request.user_ids if id_ in self.users]
        return identity_pb2.ListUsersLiteResponse(users=users)


class Beacons(beacon_pb2_grpc.BeaconQueryServiceServicer):
    """Answers as beacon.proto says."""

    def __init__(self):
        self.rooms = {}

    async def ListBeaconsByClassroom(self, request, context):  # noqa: N802 -- name fixed by the .proto
        is_here = self.rooms.get(request.classroom_id) == request.acting_school_id
        return beacon_pb2.ListBeaconsByClassroomResponse(beacons=[beacon_pb2.BeaconLite()] if is_here else [])


@pytest.fixture
async def served():
    """Identity and beacon behind one server, and a channel to it."""
    server, identity, beacons = grpc.aio.server(), Identity(), Beacons()
    identity_pb2_grpc.add_IdentityQueryServiceServicer_to_server(identity, server)
    beacon_pb2_grpc.add_BeaconQueryServiceServicer_to_server(beacons, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield server, identity, beacons, channel
    await server.stop(None)


@pytest.fixture(params=["fake", "grpc"])
def people(request):
    return request.getfixturevalue(f"{request.param}_people")


@pytest.fixture
def fake_people():
    fake = KnownPeople()

    def put(id_, kind, school_id, *, disabled=False):
        fake.known[id_] = (kind, school_id)
        fake.disabled |= {id_} if disabled else set()

    return Other(port=fake, put=put, stop=stopper(fake))


@pytest.fixture
def grpc_people(served):
    server, identity, _, channel = served

    def put(id_, kind, school_id, *, disabled=False):
        facts = {"id": str(id_), "school_id": str(school_id), "user_type": kind, "disabled": disabled}
        identity.users[str(id_)] = identity_pb2.UserLite(**facts)

    return Other(port=GrpcPeople(channel), put=put, stop=lambda: server.stop(None))


@pytest.fixture(params=["fake", "grpc"])
def beacons(request):
    return request.getfixturevalue(f"{request.param}_beacons")


@pytest.fixture
def fake_beacons():
    fake = KnownBeacons()
    return Other(port=fake, put=fake.known.__setitem__, stop=stopper(fake))


@pytest.fixture
def grpc_beacons(served):
    server, _, there, channel = served

    def put(classroom_id, school_id):
        there.rooms[str(classroom_id)] = str(school_id)

    return Other(port=GrpcBeaconDirectory(channel), put=put, stop=lambda: server.stop(None))


def stopper(fake):
    async def stop():
        fake.is_down = True

    return stop


@pytest.fixture
def school_id():
    return uuid4()
