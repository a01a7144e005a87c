"""Flow D: signing closes by itself, at its nominal time."""

from datetime import datetime, timedelta

from infra.demo.world import Scene, World, until

FLOW = "D closing"


async def closes(world: World) -> object:
    """The job closes the course whose grace is over."""

    async def look() -> str:
        course = (await world.day.admin.doors.get(f"/courses/{world.courses['closed']}")).expect(200)
        return "closed" if course["signature_closed"] else "open"

    return await until(look, "closed")


async def nominal(world: World) -> object:
    """The time it was closed at is the one that was due, not the one when the job came by."""
    course = (await world.day.admin.doors.get(f"/courses/{world.courses['closed']}")).expect(200)
    start_at, closed_at = (datetime.fromisoformat(course[name]) for name in ("start_at", "signature_closed_at"))
    return f"start + {(closed_at - start_at) // timedelta(minutes=1)} min"


async def reopened(world: World) -> object:
    """The teacher opens it again, for a while; the job leaves that alone."""
    path = f"/courses/{world.courses['closed']}"
    seen = (await world.day.admin.doors.get(path)).expect(200)
    body = {"state": "open", "until": seen["end_at"]}
    return (await world.day.teacher.doors.post(f"{path}/signing", body)).word


SCENES = [
    Scene(FLOW, "signing of a course that is due", "closed", closes),
    Scene(FLOW, "closed at the nominal time", "start + 45 min", nominal),
    Scene(FLOW, "the teacher opens it again", "200", reopened),
]
