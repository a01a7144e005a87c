"""Flow E: services are killed while students sign; nothing is lost, nothing doubled, nobody refused for it."""

import asyncio
import re
from collections.abc import Sequence
from signal import SIGKILL
from typing import Any

from infra.demo.school import Person
from infra.demo.world import Scene, World, ask_symbols, judged, last_result, tap, torch, until, words

FLOW = "E outage"
RUSH = ("rush 1", "rush 2", "rush 3")
RECENT_S = 5.0  # as in the product: a yes may rest on what was known so long before
COPY_AGE = re.compile(r'^streams_as_of_age_seconds\{consumer="attendance.copy".*\} (\S+)$', re.MULTILINE)


async def plan(world: World) -> None:
    """Plan what the flow needs."""
    for name in (*RUSH, "outage"):
        world.courses[name] = await world.day.plan(name)


async def rush(world: World) -> object:
    """A class signs three courses; attendance is killed in the middle and started again."""
    beacon = world.day.beacons["main"]
    for symbols in await _all_symbols(world, world.day.students[:-1]):
        beacon.read(symbols)
    count = len(beacon.queue)
    results: list[dict[str, Any]] = []
    for number in range(count):
        if number == count // 3:
            world.stage.services.kill("attendance", SIGKILL)
        if number == count * 2 // 3:
            world.stage.services.start("attendance")
        results.append(last_result(world, await beacon.push(world.stage.doors, most=1)))
    return "none refused" if all(r["status"] != "rejected" for r in results) else "some rejected"


async def _all_symbols(world: World, students: Sequence[Person]) -> list[str]:
    asks = (ask_symbols(world, student, course) for course in RUSH for student in students)
    return list(await asyncio.gather(*asks))


async def all_there(world: World) -> object:
    """Afterwards every student of the class has signed each course, once."""
    await world.stage.services.wait_until_ready("attendance")
    expected = len(world.day.students) - 1
    wanted = " ".join([f"{expected}/{expected}"] * len(RUSH))

    async def look() -> str:
        sheets = [
            (await world.day.teacher.doors.get(f"/signatures/sheet?course_id={world.courses[name]}")).expect(200)
            for name in RUSH
        ]
        return " ".join(f"{sheet['accepted']}/{sheet['expected']}" for sheet in sheets)

    return "everybody, once" if await until(look, wanted) == wanted else await look()


async def academics_away(world: World) -> object:
    """A student signs as soon as academics is down: what attendance heard seconds before says yes."""
    world.stage.services.kill("academics", SIGKILL)
    return words(await torch(world, world.day.students[8], "outage"))


async def copy_too_old(world: World) -> object:
    """Another one signs once attendance has heard nothing for longer than a yes may rest on."""
    seen = await until(lambda: _copy_age(world), "old")
    if seen != "old":
        return f"the copy of academics is {seen}"
    result = await torch(world, world.day.students[7], "outage")
    world.kept["undecided"] = result["signature_id"]
    return words(result)


async def _copy_age(world: World) -> str:
    """Return whether attendance's copy of academics is too old to say yes, by attendance's own measure."""
    url = world.stage.services.stack.place.http_url("attendance")
    async with world.stage.doors.session.get(f"{url}/metrics") as answer:
        page = await answer.text()
    ages = [float(age) for age in COPY_AGE.findall(page)]
    return "old" if ages and min(ages) > RECENT_S else "fresh"


async def stranger_meanwhile(world: World) -> object:
    """Somebody who is not in the course signs meanwhile: a no is not believed that may be outdated."""
    result = await torch(world, world.day.students[-1], "outage")
    world.kept["stranger"] = result["signature_id"]
    return words(result)


async def academics_back(world: World) -> object:
    """Academics comes back."""
    world.stage.services.start("academics")
    await world.stage.services.wait_until_ready("academics")
    return await _final(world, world.day.students[7], "undecided", "ACCEPTED on_time")


async def stranger_known(world: World) -> object:
    """Now it is known who is in the course."""
    return await _final(world, world.day.students[-1], "stranger", "REFUSED not_enrolled")


async def _final(world: World, student: Person, name: str, wanted: str) -> str:
    async def look() -> str:
        return judged(await student.doors.get(f"/signatures/{world.kept[name]}"))

    seen = await until(look, wanted)
    world.acknowledged[world.kept[name]] = seen.split()[0]
    return seen


async def identity_away(world: World) -> object:
    """Nobody can say whose phone it is while identity is away: the signed request is kept."""
    world.stage.services.kill("identity", SIGKILL)
    heard = await tap(world, world.day.students[5], "outage")
    world.kept["unknown phone"] = heard.body.get("id")
    return judged(heard)


async def identity_back(world: World) -> object:
    """Identity comes back."""
    world.stage.services.start("identity")
    await world.stage.services.wait_until_ready("identity")
    return await _final(world, world.day.students[5], "unknown phone", "ACCEPTED on_time")


SCENES = [
    Scene(FLOW, "36 proofs while attendance is killed and started again", "none refused", rush),
    Scene(FLOW, "afterwards the class has signed", "everybody, once", all_there),
    Scene(FLOW, "academics is killed; a student signs at once", "ACCEPTED on_time", academics_away),
    Scene(FLOW, "a stranger signs meanwhile", "PENDING awaiting_validation", stranger_meanwhile),
    Scene(FLOW, "a student signs seconds later", "PENDING awaiting_validation", copy_too_old),
    Scene(FLOW, "academics is back: the student", "ACCEPTED on_time", academics_back),
    Scene(FLOW, "academics is back: the stranger", "REFUSED not_enrolled", stranger_known),
    Scene(FLOW, "a student signs by NFC while identity is away", "PENDING awaiting_validation", identity_away),
    Scene(FLOW, "identity is back: the student", "ACCEPTED on_time", identity_back),
]
