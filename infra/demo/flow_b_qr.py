"""Flow B, with a screen: a teacher shows codes, students scan them with their phones and sign."""

import asyncio
from datetime import datetime
from typing import Any

from infra.clock import utc_now
from infra.demo.doors import Heard
from infra.demo.school import NO_CONTENT, OK, Person
from infra.demo.world import PATIENCE_S, Scene, World, judged

FLOW = "B QR"
SESSIONS = "/signatures/qr"
CREATED = 201
# A code lives ten seconds, and this machine may be busy: a phone that is told so scans the next one.
MOST_SCANS = 3


async def plan(world: World) -> None:
    """Plan what the flow needs."""
    world.courses["qr"] = await world.day.plan("QR")


async def read_screen(world: World) -> dict[str, Any]:
    """Return what the screen shows now: the first that its stream tells."""
    async with world.day.teacher.doors.listen(f"{SESSIONS}/{world.kept['screen']}/codes") as stream:
        return (await stream.next(PATIENCE_S)).data


async def scan(world: World, student: Person) -> Heard:
    """Have the student's phone scan the screen, and scan again when it was too slow."""
    for _ in range(MOST_SCANS):
        heard = await post_scan(student, (await read_screen(world))["payload"])
        if heard.word != "qr_code_expired":
            break
    return heard


async def post_scan(student: Person, payload: str) -> Heard:
    """Hand in what a phone read."""
    return await student.phone_in_hand().post(student.doors, f"{SESSIONS}/scan", {"payload": payload})


async def sign(world: World, student: Person, ticket: str) -> Heard:
    """Sign with the ticket of a scan."""
    body = {"course_id": world.courses["qr"], "method": "qr", "ticket": ticket}
    heard = await student.phone_in_hand().post(student.doors, "/signatures", body)
    if heard.status in (OK, CREATED):
        world.acknowledged[heard.body["id"]] = heard.body["status"]
    return heard


async def open_screen(world: World) -> object:
    """The teacher lets a screen in the room show codes; a photo is taken of the first."""
    body = {"course_id": world.courses["qr"], "classroom_id": str(world.day.rooms["main"])}
    heard = await world.day.teacher.doors.post(SESSIONS, body)
    world.kept["screen"] = heard.expect(CREATED)["id"]
    world.kept["photo"] = await read_screen(world)
    return heard.word


async def elsewhere(world: World) -> object:
    """A screen in a room that is not the course's."""
    body = {"course_id": world.courses["qr"], "classroom_id": str(world.day.rooms["other"])}
    return (await world.day.teacher.doors.post(SESSIONS, body)).word


async def scan_and_sign(world: World) -> object:
    """A student scans and signs."""
    student = world.day.students[10]
    world.kept["ticket"] = (await scan(world, student)).expect(CREATED)["ticket"]
    return judged(await sign(world, student, world.kept["ticket"]))


async def classmate(world: World) -> object:
    """A classmate scans the same screen and signs."""
    student = world.day.students[11]
    ticket = (await scan(world, student)).expect(CREATED)["ticket"]
    return judged(await sign(world, student, ticket))


async def lend(world: World) -> object:
    """A classmate signs with somebody else's ticket."""
    return judged(await sign(world, world.day.students[11], world.kept["ticket"]))


async def photo(world: World) -> object:
    """Somebody who is not there scans a photo of the screen."""
    left = datetime.fromisoformat(world.kept["photo"]["valid_until"]) - utc_now()
    await asyncio.sleep(max(0.0, left.total_seconds()))
    return judged(await post_scan(world.day.students[9], world.kept["photo"]["payload"]))


async def close_screen(world: World) -> object:
    """The teacher closes the screen just before somebody scans it."""
    shown = await read_screen(world)
    path = f"{SESSIONS}/{world.kept['screen']}"
    (await world.day.teacher.doors.call("DELETE", path)).expect(NO_CONTENT)
    return judged(await post_scan(world.day.students[9], shown["payload"]))


SCENES = [
    Scene(FLOW, "a teacher lets a screen show codes", "201", open_screen),
    Scene(FLOW, "in a room that is not the course's", "wrong_classroom", elsewhere),
    Scene(FLOW, "a student scans the screen and signs", "ACCEPTED on_time", scan_and_sign),
    Scene(FLOW, "a classmate does the same", "ACCEPTED on_time", classmate),
    Scene(FLOW, "with the ticket of a classmate", "qr_ticket_invalid", lend),
]
# Long after the first code was shown, so that nobody has to wait for its end.
LATER = [
    Scene(FLOW, "a photo of the screen", "qr_code_expired", photo),
    Scene(FLOW, "a code of a screen that was just closed", "qr_session_closed", close_screen),
]
