"""Flow B: students sign by NFC, their phones sign the request."""

from infra.demo.devices import Phone
from infra.demo.world import Scene, World, judged, tap

FLOW = "B NFC"


async def plan(world: World) -> None:
    """Plan what the flow needs."""
    world.courses["nfc"] = await world.day.plan("NFC")


async def in_time(world: World) -> object:
    """A student holds the phone to the beacon."""
    return judged(await tap(world, world.day.students[5], "nfc"))


async def wrong_code(world: World) -> object:
    """A code that the beacon never showed."""
    return judged(await tap(world, world.day.students[6], "nfc", code="00000000"))


async def borrowed(world: World) -> object:
    """A student signs with somebody's phone that is not bound to them."""
    student = world.day.students[6]
    own, student.phone = student.phone, Phone(student_id=student.id, origin=world.stage.base_url)
    heard = await tap(world, student, "nfc")
    student.phone = own
    return judged(heard)


async def before_teacher(world: World) -> object:
    """In a school that wants the teacher first."""
    heard = await tap(world, world.evening.students[0], "evening", school=world.evening)
    world.kept["waiting"] = heard.body.get("id")
    return judged(heard)


SCENES = [
    Scene(FLOW, "a student holds the phone to the beacon", "ACCEPTED on_time", in_time),
    Scene(FLOW, "a code that the beacon never showed", "nfc_code_invalid", wrong_code),
    Scene(FLOW, "with a phone that is not bound to the student", "device_not_bound", borrowed),
    Scene(
        FLOW, "before the teacher, where the school wants the teacher first", "PENDING awaiting_teacher", before_teacher
    ),
]
