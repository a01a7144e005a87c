"""Whom an administrator shuts out is out everywhere at once; a phone that was reset, too."""

import asyncio
import secrets
import time

import pytest

from infra.demo.devices import Phone
from infra.demo.school import bind, log_in
from tests.waiting import until

BOUND_S = 5.0
# One door of each service that a student finds, whatever it answers.
DOORS = {"identity": "/auth/me", "academics": "/courses", "attendance": "/signatures", "beacon": "/dev/beacons"}


async def enrol(world):
    """Make a student with a phone who takes no part in the story."""
    school, email = world.day, f"guest-{secrets.token_hex(4)}@day-school.example"
    names = {"firstname": "Gus", "lastname": "Guest", "student_number": secrets.token_hex(4).upper()}
    body = {"user_type": "student", "email": email, "password": world.cast.password} | names
    (await school.admin.doors.post("/users", body)).expect(201)
    student = await log_in(world.stage.doors, email, world.cast.password)
    student.phone = Phone(student_id=student.id, origin=world.stage.base_url)
    await bind(student.phone, student.doors, origin=world.stage.base_url)
    return student


async def word_of(student, service):
    return (await student.doors.get(DOORS[service])).word


async def time_out(student, service):
    """Wait until the service refuses the student's token; return how long that took."""
    started = time.monotonic()

    async def refuses():
        return await word_of(student, service) == "token_revoked"

    await until(refuses, BOUND_S)
    return time.monotonic() - started


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_disabled_students_token_is_refused_by_every_service_within_seconds(world):
    student, admin = await enrol(world), world.day.admin.doors
    before = {service: (await student.doors.get(DOORS[service])).status for service in DOORS}
    assert 401 not in before.values()
    seen = (await admin.get(f"/users/{student.id}")).expect(200)

    (await admin.patch(f"/users/{student.id}", {"disabled": True}, version=seen["version"])).expect(200)
    took_s = await asyncio.gather(*(time_out(student, service) for service in DOORS))

    assert max(took_s) < BOUND_S
    assert await word_of(world.day.students[0], "academics") == "200"


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_a_phone_that_an_administrator_resets_signs_nothing_within_seconds(world):
    student = await enrol(world)
    course = await world.day.plan("For a phone that is reset")
    (await student.phone.ask_code(student.doors, course)).expect(201)

    reason = b'{"reason": "lost"}'
    (await world.day.admin.doors.call("DELETE", f"/users/{student.id}/device", reason)).expect(200, 204)

    # The reset ended the student's sessions; whoever has the phone may know the password, too.
    student.doors = (await log_in(world.stage.doors, student.email, world.cast.password)).doors

    async def refuses():
        return (await student.phone.ask_code(student.doors, course)).word == "device_not_bound"

    await until(refuses, BOUND_S)
