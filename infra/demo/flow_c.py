"""Flow C: a teacher signs, marks and corrects; an admin overrides."""

from infra.demo.world import Scene, World, judged, until

FLOW = "C people"
PATH = "/signatures"


async def teacher_signs(world: World) -> object:
    """The evening teacher signs: who waited for that is settled."""
    heard = await world.evening.teacher.doors.post(PATH, {"course_id": world.courses["evening"]})
    return judged(heard)


async def waiting_settled(world: World) -> object:
    """The student who waited."""

    async def look() -> str:
        return judged(await world.evening.students[0].doors.get(f"{PATH}/{world.kept['waiting']}"))

    return await until(look, "ACCEPTED on_time", patience_s=5)


async def mark(world: World) -> object:
    """The teacher marks a student by hand."""
    body = {
        "course_id": world.courses["now"],
        "student_id": str(world.day.students[7].id),
        "status": "LATE",
        "reason": "missed the bus",
    }
    heard = await world.day.teacher.doors.post(PATH, body)
    world.kept["marked"] = heard.body
    return f"{heard.body.get('status')} {heard.body.get('method')}" if heard.status == 201 else heard.word  # noqa: PLR2004 -- created


async def correct(world: World) -> object:
    """The teacher corrects the mark."""
    marked = world.kept["marked"]
    patch = {"status": "ACCEPTED", "reason": "was in the room, said a colleague"}
    heard = await world.day.teacher.doors.patch(f"{PATH}/{marked['id']}", patch, version=marked["version"])
    return heard.body["status"] if heard.status == 200 else heard.word  # noqa: PLR2004 -- OK


async def correct_blindly(world: World) -> object:
    """A correction by somebody who saw an older version."""
    marked = world.kept["marked"]
    patch = {"status": "REFUSED", "reason": "blind"}
    return (await world.day.teacher.doors.patch(f"{PATH}/{marked['id']}", patch, version=marked["version"])).word


async def stranger_corrects(world: World) -> object:
    """A teacher who is not assigned to the course."""
    marked = world.kept["marked"]
    patch = {"status": "REFUSED", "reason": "not my course"}
    return (await world.day.other_teacher.doors.patch(f"{PATH}/{marked['id']}", patch, version=2)).word


async def override(world: World) -> object:
    """An admin overrides."""
    patch = {"status": "REFUSED", "reason": "was seen elsewhere"}
    heard = await world.day.admin.doors.patch(f"{PATH}/{world.kept['marked']['id']}", patch, version=2)
    return heard.body["status"] if heard.status == 200 else heard.word  # noqa: PLR2004 -- OK


async def undo(world: World) -> object:
    """The teacher tries to undo that."""
    patch = {"status": "ACCEPTED", "reason": "I disagree"}
    heard = await world.day.teacher.doors.patch(f"{PATH}/{world.kept['marked']['id']}", patch, version=3)
    return heard.word


async def history(world: World) -> object:
    """Every step is kept: who, when, from what, to what, why."""
    path = f"{PATH}/{world.kept['marked']['id']}/transitions"
    rows = (await world.day.admin.doors.get(path)).expect(200)["items"]
    return " > ".join(row["to_status"] for row in rows)


async def read_abroad(world: World) -> object:
    """An admin of another school looks for the signature."""
    return (await world.evening.admin.doors.get(f"{PATH}/{world.kept['marked']['id']}")).word


async def sheet(world: World) -> object:
    """The sheet of the course: everybody expected, each with their state."""
    shown = (await world.day.teacher.doors.get(f"{PATH}/sheet?course_id={world.courses['now']}")).expect(200)
    return f"{shown['expected']} expected, {shown['accepted']} accepted"


SCENES = [
    Scene(FLOW, "the teacher signs", "ACCEPTED teacher_present", teacher_signs),
    Scene(FLOW, "the student who waited for the teacher", "ACCEPTED on_time", waiting_settled),
    Scene(FLOW, "the teacher marks a student", "LATE TEACHER", mark),
    Scene(FLOW, "and corrects the mark", "ACCEPTED", correct),
    Scene(FLOW, "a correction of an older version", "version_stale", correct_blindly),
    Scene(FLOW, "a teacher of other courses", "forbidden", stranger_corrects),
    Scene(FLOW, "an admin overrides", "REFUSED", override),
    Scene(FLOW, "the teacher may not undo an admin", "decided_by_admin", undo),
    Scene(FLOW, "every step is kept", "LATE > ACCEPTED > REFUSED", history),
    Scene(FLOW, "an admin of another school sees nothing", "not_found", read_abroad),
    Scene(FLOW, "the sheet shows the whole course", "12 expected, 2 accepted", sheet),
]
