"""A teacher watches who signs, as it happens."""

import time

from infra.demo.doors import Told
from infra.demo.world import Scene, World, tap

FLOW = "C live"
SOON_S = 1.0
PATIENCE_S = 10.0


def _path(world: World) -> str:
    return f"/signatures/live?course_id={world.courses['nfc']}"


async def watch(world: World) -> object:
    """The teacher watches; a student signs."""
    student = world.day.students[2]
    async with world.day.teacher.doors.listen(_path(world)) as listener:
        first = await listener.next(PATIENCE_S)
        await tap(world, student, "nfc")
        answered_at_s = time.monotonic()
        told = await listener.next(PATIENCE_S)
        late_s = time.monotonic() - answered_at_s
    world.kept["heard last"] = listener.last_id
    said = f"{first.name} of {len(first.data['expected_ids'])}, then {_said(told, str(student.id))}"
    return said if late_s < SOON_S else f"{said}, after {late_s:.1f} s"


async def come_back(world: World) -> object:
    """The teacher was away while two students signed, and watches while another one does."""
    for number in (3, 4):
        await tap(world, world.day.students[number], "nfc")
    async with world.day.teacher.doors.listen(_path(world), world.kept["heard last"]) as listener:
        told = [await listener.next(PATIENCE_S) for _ in range(3)]
        await tap(world, world.day.students[7], "nfc")
        told.append(await listener.next(PATIENCE_S))
    wanted = [str(world.day.students[number].id) for number in (3, 4, 7)]
    heard = [each.data.get("student_id") for each in told[1:]]
    return f"{told[0].name}, {'each once' if heard == wanted else heard}"


def _said(told: Told, student_id: str) -> str:
    whose = "the student" if told.data["student_id"] == student_id else "somebody"
    return f"{whose} {told.data['status']}"


async def abroad(world: World) -> object:
    """A teacher of another school wants to watch."""
    return (await world.evening.teacher.doors.get(_path(world))).word


async def student_looks(world: World) -> object:
    """A student wants to watch."""
    return (await world.day.students[2].doors.get(_path(world))).word


SCENES = [
    Scene(FLOW, "a teacher watches while a student signs", "sheet of 12, then the student ACCEPTED", watch),
    Scene(FLOW, "who comes back hears what was missed", "resumed, each once", come_back),
    Scene(FLOW, "a teacher of another school", "not_found", abroad),
    Scene(FLOW, "a student", "forbidden", student_looks),
]
