"""Flow D: signing closes by itself, at its nominal time; then the school takes away who was there."""

import csv
import io
from collections import Counter
from datetime import datetime, timedelta

from infra.clock import utc_now
from infra.demo.school import wire_time
from infra.demo.world import Scene, World, until

FLOW = "D closing"
HALF_A_DAY = timedelta(hours=12)
COUNTED = ("expected", "accepted", "late", "refused")


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


async def taken_away(world: World) -> object:
    """An admin takes the sheet away as a file: nobody signed before it was too late."""
    path = f"/signatures/sheet?course_id={world.courses['closed']}"
    heard = await world.day.admin.doors.call("GET", path, headers={"Accept": "text/csv"})
    heard.expect(200)
    counted = Counter(row["status"] for row in csv.DictReader(io.StringIO(heard.text, newline="")))
    return ", ".join(f"{count} {status}" for status, count in counted.items())


async def reported(world: World) -> object:
    """A report over the day says of the class what the sheets of its courses say."""
    group = world.day.groups["main"]
    span = f"from={wire_time(utc_now() - HALF_A_DAY)}&to={wire_time(utc_now() + HALF_A_DAY)}&group_id={group}&limit=200"

    async def look() -> str:
        doors = world.day.admin.doors
        lines = (await doors.get(f"/signatures/report?{span}")).expect(200)["items"]
        courses = (await doors.get(f"/courses?{span}")).expect(200)["items"]
        sheets = [(await doors.get(f"/signatures/sheet?course_id={course['id']}")).expect(200) for course in courses]
        odd = {name: (sum(line[name] for line in lines), sum(sheet[name] for sheet in sheets)) for name in COUNTED}
        return "as the sheets" if all(one == other > 0 for one, other in odd.values()) else str(odd)

    return await until(look, "as the sheets")


async def reopened(world: World) -> object:
    """The teacher opens it again, for a while; the job leaves that alone."""
    path = f"/courses/{world.courses['closed']}"
    seen = (await world.day.admin.doors.get(path)).expect(200)
    body = {"state": "open", "until": seen["end_at"]}
    return (await world.day.teacher.doors.post(f"{path}/signing", body)).word


SCENES = [
    Scene(FLOW, "signing of a course that is due", "closed", closes),
    Scene(FLOW, "closed at the nominal time", "start + 45 min", nominal),
    Scene(FLOW, "an admin takes its sheet away as CSV", "12 ABSENT", taken_away),
    Scene(FLOW, "a report over the day", "as the sheets", reported),
    Scene(FLOW, "the teacher opens it again", "200", reopened),
]
