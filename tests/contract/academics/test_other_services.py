"""What academics asks other services keeps its promises, real or fake."""

from uuid import uuid4

import pytest

from academics_svc.clients import GrpcPeople
from contracts.problems import UnavailableError


async def test_people_of_the_school_are_found_with_their_type(people, school_id):
    student, teacher = uuid4(), uuid4()
    people.put(student, "student", school_id)
    people.put(teacher, "teacher", school_id)

    kinds = await people.port.find_kinds([student, teacher, uuid4()], school_id=school_id)

    assert kinds == {student: "student", teacher: "teacher"}


async def test_people_of_another_school_are_left_out(people, school_id):
    foreign = uuid4()
    people.put(foreign, "student", uuid4())

    assert await people.port.find_kinds([foreign], school_id=school_id) == {}


async def test_whoever_is_somebody_else_or_is_shut_out_may_not_enter(people, school_id):
    here, disabled, foreign, teacher = (uuid4() for _ in range(4))
    people.put(here, "student", school_id)
    people.put(disabled, "student", school_id, disabled=True)
    people.put(foreign, "student", uuid4())
    people.put(teacher, "teacher", school_id)

    asked = [here, disabled, foreign, teacher, uuid4()]
    found = [await people.port.may_enter(who, "student", school_id=school_id) for who in asked]

    assert found == [True, False, False, False, False]


async def test_more_people_are_found_than_fit_into_one_question(people, school_id):
    students = [uuid4() for _ in range(1001)]
    for student in students:
        people.put(student, "student", school_id)

    assert len(await people.port.find_kinds(students, school_id=school_id)) == 1001


async def test_no_question_is_longer_than_identity_takes(served, school_id):
    _, identity, _, channel = served

    await GrpcPeople(channel).find_kinds([uuid4() for _ in range(501)], school_id=school_id)

    assert identity.most_asked == 500


async def test_an_outage_of_identity_is_said(people, school_id):
    await people.stop()

    with pytest.raises(UnavailableError) as down:
        await people.port.find_kinds([uuid4()], school_id=school_id)
    with pytest.raises(UnavailableError):
        await people.port.may_enter(uuid4(), "student", school_id=school_id)

    assert down.value.code == "identity_down"


async def test_beacons_of_the_schools_room_are_found(beacons, school_id):
    room, foreign = uuid4(), uuid4()
    beacons.put(room, school_id)
    beacons.put(foreign, uuid4())

    found = [await beacons.port.has_beacons(which, school_id=school_id) for which in (room, foreign, uuid4())]

    assert found == [True, False, False]


async def test_an_outage_of_beacon_is_said(beacons, school_id):
    await beacons.stop()

    with pytest.raises(UnavailableError) as down:
        await beacons.port.has_beacons(uuid4(), school_id=school_id)

    assert down.value.code == "beacon_down"
