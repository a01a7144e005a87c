"""What the flows of the demo share: the world they play in, and how a student signs in it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from infra.demo.doors import Heard
from infra.demo.school import OK, Cast, Person, School, Stage

HELD = 202
REFUSED = 409
BUSY = 503
PATIENCE_S = 15.0
POLL_S = 0.1


@dataclass
class World:
    """courses: ids by name. kept: what one scene leaves for another. acknowledged: signature ids and their statuses."""

    stage: Stage
    cast: Cast
    courses: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)

    @property
    def day(self) -> School:
        """The school that allows everything."""
        return self.cast.day

    @property
    def evening(self) -> School:
        """The school without flash, whose teacher signs first."""
        return self.cast.evening

    def remember(self, answer: dict[str, Any], status: str) -> None:
        """Note that a door acknowledged a signature."""
        if answer.get("signature_id"):
            self.acknowledged[answer["signature_id"]] = status

    async def show(self, person: Person, signature_id: str) -> dict[str, Any]:
        """Return a signature as this person sees it."""
        return (await person.doors.get(f"/signatures/{signature_id}")).expect(OK)


@dataclass(frozen=True)
class Scene:
    """One step of the story: `act` does it and says what came out, which should be `expected`."""

    flow: str
    what: str
    expected: str
    act: Callable[[World], Awaitable[object]]


async def torch(
    world: World, student: Person, course: str, *, room: str = "main", school: School | None = None
) -> dict[str, Any]:
    """Have the student blink a code at the room's beacon, which pushes the proof; return the result of the proof."""
    symbols = await ask_symbols(world, student, course)
    beacon = (school or world.day).beacons[room]
    beacon.read(symbols)
    return last_result(world, await beacon.push(world.stage.doors))


async def ask_symbols(world: World, student: Person, course: str) -> str:
    """Return what the student's lamp shows for the course; a phone that is told to come back does."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        heard = await student.phone_in_hand().ask_code(student.doors, world.courses[course])
        if heard.status != BUSY or time.monotonic() > ends_at:
            return str(heard.expect(OK, 201)["symbols"])
        await asyncio.sleep(POLL_S)


def last_result(world: World, heard: Heard) -> dict[str, Any]:
    """Return the result of the newest proof in the answer to a push."""
    result: dict[str, Any] = heard.expect(OK, HELD)["results"][-1]
    world.remember(result, result.get("signature_status") or "")
    return result


def words(result: dict[str, Any]) -> str:
    """Say what became of a proof, or of a signature, in two words."""
    status = result.get("signature_status") or result.get("status")
    return f"{status} {result.get('reason') or ''}".strip()


async def tap(world: World, student: Person, course: str, *, school: School | None = None, code: str = "") -> Heard:
    """Have the student hold the phone to the main room's beacon (NFC) and post what it read."""
    beacon = (school or world.day).beacons["main"]
    body = {
        "course_id": world.courses[course],
        "method": "nfc",
        "serial": beacon.serial,
        "code": code or beacon.nfc_code(),
    }
    heard = await student.phone_in_hand().post(student.doors, "/signatures", body)
    if heard.status in (OK, 201):
        world.acknowledged[heard.body["id"]] = heard.body["status"]
    return heard


def judged(heard: Heard) -> str:
    """Say what a signature door answered: status and reason, or the problem's code."""
    return f"{heard.body['status']} {heard.body['reason']}" if heard.status in (OK, 201) else heard.word


async def until(look: Callable[[], Awaitable[str]], wanted: str, *, patience_s: float = PATIENCE_S) -> str:
    """Look again until it is `wanted` or patience ends; return what was seen last."""
    ends_at = time.monotonic() + patience_s
    # A door outside this process cannot wake us.
    while (seen := await look()) != wanted and time.monotonic() < ends_at:  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)
    return seen


def minutes(count: float) -> timedelta:
    """Return so many minutes."""
    return timedelta(minutes=count)
