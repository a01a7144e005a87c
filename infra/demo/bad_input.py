"""Bad input at the public doors: a clear word, and nothing stored."""

from uuid import uuid4

from infra.demo.world import Scene, World

FLOW = "bad input"


async def wrong_password(world: World) -> object:
    """A guess."""
    body = {"email": world.day.admin.email, "password": "correct horse battery"}
    return (await world.stage.doors.post("/auth/login", body)).word


async def without_token(world: World) -> object:
    """Nobody in particular."""
    return (await world.stage.doors.get("/courses")).status


async def forged_token(world: World) -> object:
    """A token whose signature was altered."""
    token = world.day.admin.doors.token or ""
    forged = token[:-8] + ("A" * 8 if not token.endswith("A" * 8) else "B" * 8)
    return (await world.stage.doors.as_(forged).get("/courses")).status


async def beacon_token(world: World) -> object:
    """A beacon's token at a door for people."""
    token = world.day.beacons["main"].token or ""
    return (await world.stage.doors.as_(token).get("/courses")).status


async def malformed(world: World) -> object:
    """Not JSON."""
    return (await world.day.admin.doors.call("POST", "/courses", b'{"name": "x", "name": "y"}')).word


async def unknown_field(world: World) -> object:
    """A field that no door knows."""
    body = {"course_id": world.courses["now"], "status_wanted": "ACCEPTED"}
    return (await world.day.teacher.doors.post("/signatures", body)).word


async def method_chosen(world: World) -> object:
    """A student who claims to be the teacher's mark."""
    student = world.day.students[9]
    body = {"course_id": world.courses["now"], "student_id": str(student.id), "status": "ACCEPTED", "reason": "please"}
    return (await student.doors.post("/signatures", body)).word


async def wrong_uuid(world: World) -> object:
    """An id in another spelling."""
    return (await world.day.admin.doors.get(f"/courses/{world.courses['now'].upper()}")).word


async def random_id(world: World) -> object:
    """An id of nothing."""
    return (await world.day.admin.doors.get(f"/courses/{uuid4()}")).word


async def nothing_there(world: World) -> object:
    """A path that no service has."""
    return (await world.day.admin.doors.get("/authx")).status


SCENES = [
    Scene(FLOW, "a wrong password", "login_failed", wrong_password),
    Scene(FLOW, "no token", "401", without_token),
    Scene(FLOW, "a forged token", "401", forged_token),
    Scene(FLOW, "a beacon's token at a door for people", "401", beacon_token),
    Scene(FLOW, "JSON with a key twice", "malformed_json", malformed),
    Scene(FLOW, "an unknown field", "malformed_body", unknown_field),
    Scene(FLOW, "a student who marks themselves", "malformed_body", method_chosen),
    Scene(FLOW, "an id in capital letters", "malformed_path", wrong_uuid),
    Scene(FLOW, "an id of nothing", "not_found", random_id),
    Scene(FLOW, "a path of no service", "404", nothing_there),
]
