"""Flow A: students sign with a phone's torch, and each refusal of the decision table."""

import asyncio
from collections.abc import Awaitable, Callable

from infra.demo.school import Person
from infra.demo.world import Scene, World, last_result, minutes, torch, words

FLOW = "A torch"
# A beacon's clock is known to a second, and attendance hears of the closing within another.
CERTAIN_AFTER_S = 2.0


async def plan(world: World) -> None:
    """Plan a course for each row of the table. Delay 15 minutes, grace 30."""
    day, evening = world.day, world.evening
    world.courses |= {
        "now": await day.plan("Now"),
        "late": await day.plan("Begun 20 minutes ago", starts_in=minutes(-20)),
        "closed": await day.plan("Begun 50 minutes ago", starts_in=minutes(-50), length=minutes(120)),
        "early": await day.plan("In an hour", starts_in=minutes(60)),
        "ended": await day.plan("Over", starts_in=minutes(-120)),
        "cancelled": await day.plan("Cancelled"),
        "by hand": await day.plan("Closed by hand"),
        "evening": await evening.plan("Evening"),
    }
    path = f"/courses/{world.courses['cancelled']}"
    (await day.admin.doors.call("DELETE", path)).expect(200, 204)


async def log_in(world: World) -> object:
    """A beacon proves who it is."""
    heard = await world.day.beacons["main"].log_in(world.stage.doors)
    return heard.word


async def send_first(world: World) -> object:
    """A student signs in time; what the beacon sends is kept for the replay."""
    student, beacon = world.day.students[0], world.day.beacons["main"]
    heard = await student.phone_in_hand().ask_code(student.doors, world.courses["now"])
    world.kept["sent"] = beacon.read(heard.expect(200, 201)["symbols"])
    world.kept["first"] = last_result(world, await beacon.push(world.stage.doors))
    return words(world.kept["first"])


async def replay(world: World) -> object:
    """The beacon pushes the same proof again, as after a lost answer."""
    beacon = world.day.beacons["main"]
    beacon.queue.append(world.kept["sent"])
    result = last_result(world, await beacon.push(world.stage.doors))
    return "same signature" if result["signature_id"] == world.kept["first"]["signature_id"] else words(result)


async def alter(world: World) -> object:
    """A clone of the beacon signs another code under a number that was used."""
    beacon = world.day.beacons["main"]
    kept = (beacon.seq, beacon.prev)
    beacon.seq, beacon.prev = world.kept["sent"]["seq"] - 1, world.kept["sent"]["prev"]
    beacon.observe((world.kept["sent"]["code"] + 1) % 2**27)
    heard = await beacon.push(world.stage.doors)
    beacon.queue.clear()
    beacon.seq, beacon.prev = kept
    return heard.word


async def again(world: World) -> object:
    """The student blinks once more: the first signature stands."""
    result = await torch(world, world.day.students[0], "now")
    same = result["signature_id"] == world.kept["first"]["signature_id"]
    return f"{words(result)}, {'the first one' if same else 'another one'}"


async def guess(world: World) -> object:
    """The beacon sees a code that was given to nobody."""
    beacon = world.day.beacons["main"]
    beacon.observe(77)
    return words(last_result(world, await beacon.push(world.stage.doors)))


async def foreign(world: World) -> object:
    """A student of another school blinks there for a course of this one."""
    return words(await torch(world, world.evening.students[0], "now", school=world.evening))


async def visitor(world: World) -> object:
    """A student of another school blinks at a beacon of this one."""
    return words(await torch(world, world.evening.students[0], "now"))


async def without_flash(world: World) -> object:
    """A school that allows no flash."""
    school = world.evening
    return words(await torch(world, school.students[0], "evening", school=school))


async def closed_by_hand(world: World) -> object:
    """The teacher closes signing; a student comes when no uncertainty of a beacon's clock reaches back to that."""
    path = f"/courses/{world.courses['by hand']}/signing"
    (await world.day.teacher.doors.post(path, {"state": "closed"})).expect(200, 201)
    await asyncio.sleep(CERTAIN_AFTER_S)
    return words(await torch(world, world.day.students[5], "by hand"))


def signs(student: int, course: str, *, room: str = "main") -> Callable[[World], Awaitable[object]]:
    """Return the scene in which that student of the day school signs for that course in that room."""

    async def act(world: World) -> object:
        who: Person = world.day.students[student]
        return words(await torch(world, who, course, room=room))

    return act


SCENES = [
    Scene(FLOW, "a beacon logs in by a signed timestamp", "200", log_in),
    Scene(FLOW, "a student signs in time", "ACCEPTED on_time", send_first),
    Scene(FLOW, "the beacon sends the same proof again", "same signature", replay),
    Scene(FLOW, "a clone signs another code under a used number", "seq_conflict", alter),
    Scene(FLOW, "the student signs once more", "ACCEPTED already_signed, the first one", again),
    Scene(FLOW, "after the closing delay, within the school's grace", "LATE after_closing_delay", signs(1, "late")),
    Scene(FLOW, "after the grace", "REFUSED signing_closed", signs(1, "closed")),
    Scene(FLOW, "before the start", "REFUSED too_early", signs(1, "early")),
    Scene(FLOW, "after the end", "REFUSED course_ended", signs(2, "ended")),
    Scene(FLOW, "the course was cancelled", "REFUSED course_cancelled", signs(2, "cancelled")),
    Scene(FLOW, "in none of the course's groups", "REFUSED not_enrolled", signs(-1, "now")),
    Scene(FLOW, "in the wrong room", "REFUSED wrong_classroom", signs(3, "now", room="other")),
    Scene(FLOW, "then in the right room", "ACCEPTED on_time", signs(3, "now")),
    Scene(FLOW, "a student of another school", "REFUSED course_unknown", foreign),
    Scene(FLOW, "the same at a beacon of this school", "rejected code_unknown", visitor),
    Scene(FLOW, "a school that allows no flash", "REFUSED method_disabled", without_flash),
    Scene(FLOW, "after the teacher closed signing", "REFUSED signing_closed", closed_by_hand),
    Scene(FLOW, "a code that was given to nobody", "rejected code_unknown", guess),
]
