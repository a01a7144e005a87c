"""What the other services are told, over gRPC."""

from uuid import uuid4

import pytest

from contracts.problems import InvalidInputError, NotFoundError
from contracts.rpc.identity.api.v1 import identity_pb2 as pb
from identity_svc.grpc_api import IdentityApi
from infra.canon import to_spki
from tests.integration.identity.test_devices import Phone


class CallOf:
    """The context of a call by one service."""

    def __init__(self, peer):
        self._name = f"spiffe://rollcall.dev/svc/{peer}".encode()

    def auth_context(self):
        return {"peer_spiffe_id": [self._name]}


@pytest.fixture
def api(world):
    return IdentityApi(world.pool)


async def test_operators_are_told_everything_and_services_no_address(world, api):
    person = await world.add("teacher", firstname="Mary")
    request = pb.GetUserLiteRequest(user_id=str(person.id))
    told = pb.UserLite(
        id=str(person.id),
        school_id=str(world.school_id),
        firstname="Mary",
        lastname="Lovelace",
        user_type="teacher",
    )

    to_service = (await api.GetUserLite(request, CallOf("academics"))).user
    to_operator = (await api.GetUserLite(request, CallOf("ops"))).user

    assert to_service == told
    told.email = person.email
    assert to_operator == told


async def test_a_developer_has_no_school(world, api):
    person = await world.add("dev")
    request = pb.GetUserLiteRequest(user_id=str(person.id))

    assert (await api.GetUserLite(request, CallOf("ops"))).user.school_id == ""


async def test_who_exists(world, api):
    person, retired, shut = await world.add("student"), await world.add("student"), await world.add("student")
    await world.database.execute("UPDATE app_user SET retired_at = created_at WHERE id = $1", retired.id)
    await world.database.execute("UPDATE app_user SET disabled_at = created_at WHERE id = $1", shut.id)

    found = [
        (await api.Exists(pb.ExistsRequest(user_id=str(id)), None)).exists
        for id in (person.id, shut.id, retired.id, uuid4())
    ]

    requests = [pb.GetUserLiteRequest(user_id=str(id)) for id in (person.id, shut.id)]
    disabled = [(await api.GetUserLite(request, CallOf("academics"))).user.disabled for request in requests]

    assert found == [True, True, False, False]
    assert disabled == [False, True]
    with pytest.raises(NotFoundError):
        await api.GetUserLite(pb.GetUserLiteRequest(user_id=str(retired.id)), CallOf("ops"))


async def test_a_bound_device_is_valid_and_comes_with_its_key(world, api):
    person, token = await world.enter("student")
    phone = Phone()
    _, bound = await phone.bind(world, person, token)
    request = pb.ValidateStudentDeviceRequest(student_id=str(person.id), device_identifier=bound["device_identifier"])

    answer = await api.ValidateStudentDevice(request, None)

    assert answer.is_valid
    assert answer.device_id == bound["device_identifier"]
    assert answer.public_key == to_spki(phone.key.public_key())


async def test_no_other_device_is_valid(world, api):
    person, token = await world.enter("student")
    _, bound = await Phone().bind(world, person, token)
    other = await world.add("student")
    device_id = bound["device_identifier"]
    asked = [(person.id, ""), (person.id, "x"), (person.id, uuid4()), (other.id, device_id), (uuid4(), device_id)]

    async def validate(student_id, identifier):
        request = pb.ValidateStudentDeviceRequest(student_id=str(student_id), device_identifier=str(identifier))
        return await api.ValidateStudentDevice(request, None)

    assert [await validate(*pair) for pair in asked] == [pb.ValidateStudentDeviceResponse()] * 5
    await world.database.execute("UPDATE app_user SET disabled_at = created_at WHERE id = $1", person.id)
    assert not (await validate(person.id, device_id)).is_valid


async def test_many_devices_are_answered_in_the_order_of_the_question(world, api):
    phones = []
    for _ in range(3):
        person, token = await world.enter("student")
        phone = Phone()
        _, bound = await phone.bind(world, person, token)
        phones.append((person, bound["device_identifier"], to_spki(phone.key.public_key())))
    (first, first_id, first_key), (_, second_id, _), (third, third_id, third_key) = phones
    asked = [(third.id, third_id), (first.id, second_id), (first.id, "x"), (first.id, first_id), (third.id, third_id)]
    devices = [
        pb.ValidateStudentDeviceRequest(student_id=str(student_id), device_identifier=identifier)
        for student_id, identifier in asked
    ]

    answer = await api.ValidateStudentDevices(pb.ValidateStudentDevicesRequest(devices=devices), None)

    assert [device.public_key for device in answer.devices] == [third_key, b"", b"", first_key, third_key]
    assert [device.is_valid for device in answer.devices] == [True, False, False, True, True]


async def test_a_list_leaves_out_strangers_other_schools_and_addresses(world, api):
    here, there = await world.add("student"), await world.add("student", school_id=uuid4())
    ids = [str(id) for id in (here.id, there.id, uuid4())]

    everybody = await api.ListUsersLite(pb.ListUsersLiteRequest(user_ids=ids), None)
    of_school = await api.ListUsersLite(
        pb.ListUsersLiteRequest(user_ids=ids, acting_school_id=str(world.school_id)), None
    )

    assert {user.id for user in everybody.users} == {str(here.id), str(there.id)}
    assert [user.id for user in of_school.users] == [str(here.id)]
    assert {user.email for user in everybody.users} == {""}


async def test_a_malformed_message_names_its_fault(api):
    known = str(uuid4())
    calls = [
        (api.GetUserLite, pb.GetUserLiteRequest(user_id="")),
        (api.Exists, pb.ExistsRequest(user_id=known.upper())),
        (api.ValidateStudentDevice, pb.ValidateStudentDeviceRequest(student_id="x", device_identifier=known)),
        (
            api.ValidateStudentDevices,
            pb.ValidateStudentDevicesRequest(devices=[pb.ValidateStudentDeviceRequest(student_id="x")]),
        ),
        (
            api.ValidateStudentDevices,
            pb.ValidateStudentDevicesRequest(devices=[pb.ValidateStudentDeviceRequest(student_id=known)] * 501),
        ),
        (api.ListUsersLite, pb.ListUsersLiteRequest(user_ids=["x"])),
        (api.ListUsersLite, pb.ListUsersLiteRequest(user_ids=[known] * 501)),
        (api.ListUsersLite, pb.ListUsersLiteRequest(user_ids=[known], acting_school_id="x")),
    ]

    for method, request in calls:
        with pytest.raises(InvalidInputError, match=r"user_id|student_id|school_id|devices") as caught:
            await method(request, None)
        assert caught.value.code == "malformed_field"
