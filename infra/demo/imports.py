"""Imports: a school brings its people and its timetable as files, with a mistake in each."""

from collections import Counter
from datetime import timedelta

from infra.clock import utc_now
from infra.demo.doors import Heard
from infra.demo.school import CREATED, NO_CONTENT, OK, domain_of, wire_time
from infra.demo.world import Scene, World

FLOW = "imports"
CSV, CALENDAR = "text/csv", "text/calendar"
MEBIBYTE = 1 << 20
ROWS = range(1, 32)
BAD_STUDENT, BAD_COURSE = 17, 9


async def students(world: World) -> object:
    """31 students, one of whom has an address that is none."""
    addresses = ["nobody" if n == BAD_STUDENT else address(n) for n in ROWS]
    rows = [f'student,{each},Nadia,"Newcomer, {n}",N{n:04}' for n, each in zip(ROWS, addresses, strict=True)]
    file = "\r\n".join(["user_type,email,firstname,lastname,student_number", *rows])
    heard = await world.day.admin.doors.send_file("/users/import", file.encode(), CSV)
    world.kept["imported"] = heard.lines[0].get("id")
    return counted(heard)


async def comes_in(world: World) -> object:
    """An imported student chooses a password by a reset token, and logs in."""
    path = f"/users/{world.kept['imported']}/password-reset"
    token = (await world.day.admin.doors.post(path)).expect(CREATED)["reset_token"]
    body = {"reset_token": token, "new_password": world.cast.password}
    (await world.stage.doors.post("/auth/password-reset", body)).expect(NO_CONTENT)
    login = {"email": address(1), "password": world.cast.password}
    return (await world.stage.doors.post("/auth/login", login)).word


async def timetable(world: World) -> object:
    """31 courses, one of which ends before it starts; with their teacher, group and room."""
    day = world.day
    links = f"{day.teacher.id},{day.groups['other']},{day.rooms['other']}"
    begins = utc_now() + timedelta(days=7)
    rows = []
    for n in ROWS:
        start_at = begins + timedelta(days=n)
        end_at = start_at + timedelta(hours=-1 if n == BAD_COURSE else 1)
        rows.append(f"week-{n},Physics {n},{wire_time(start_at)},{wire_time(end_at)},{links}")
    file = "\n".join(["external_id,name,start_at,end_at,teachers,groups,classrooms", *rows])
    return counted(await day.admin.doors.send_file("/courses/import", file.encode(), CSV))


async def calendar(world: World) -> object:
    """A calendar of another program: one event, and one that recurs."""
    times = "DTSTART;TZID=Europe/Paris:20300304T090000\r\nDTEND;TZID=Europe/Paris:20300304T110000\r\n"
    events = [f"BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:Chess\r\n{times}" for uid in ("chess-1", "chess-2")]
    file = (
        f"BEGIN:VCALENDAR\r\n{events[0]}END:VEVENT\r\n{events[1]}RRULE:FREQ=WEEKLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    return counted(await world.day.admin.doors.send_file("/courses/import", file.encode(), CALENDAR))


async def subscribed(world: World) -> object:
    """The teacher's calendar program fetches the URL that the teacher was given; it sends no token."""
    url = (await world.day.teacher.doors.get("/courses/calendar")).expect(OK)["url"]
    world.kept["calendar"] = url.removeprefix(world.stage.base_url)
    heard = await world.stage.doors.get(world.kept["calendar"])
    return f"{heard.status}, {heard.text.count('SUMMARY:Physics ')} of the timetable"


async def unsubscribed(world: World) -> object:
    """The teacher makes every URL so far void."""
    (await world.day.teacher.doors.call("DELETE", "/courses/calendar")).expect(NO_CONTENT)
    return (await world.stage.doors.get(world.kept["calendar"])).word


async def other_encoding(world: World) -> object:
    """A file as an old spreadsheet writes it: nothing of it is kept."""
    file = f"user_type,email,firstname,lastname\nstudent,{address(0)},André,Dupont".encode("latin-1")
    return (await world.day.admin.doors.send_file("/users/import", file, CSV)).word


async def too_large(world: World) -> object:
    """A byte more than a mebibyte."""
    return (await world.day.admin.doors.send_file("/users/import", b"\n" * (MEBIBYTE + 1), CSV)).word


def address(number: int) -> str:
    """Return the address of an imported student."""
    return f"newcomer{number}@{domain_of('Day School')}"


def counted(heard: Heard) -> str:
    """Say what became of the rows: how many, or which one and why."""
    if not heard.lines:
        return heard.word
    counts = Counter(line["status"] for line in heard.lines if "id" in line)
    refused = [f"row {line['row']} {line['code']}" for line in heard.lines if "code" in line]
    return ", ".join([*(f"{count} {status}" for status, count in sorted(counts.items())), *refused])


SCENES = [
    Scene(FLOW, "31 students by a file, one address is none", "30 created, row 17 email_malformed", students),
    Scene(FLOW, "the same file again", "30 exists, row 17 email_malformed", students),
    Scene(FLOW, "an imported student chooses a password and logs in", "200", comes_in),
    Scene(FLOW, "a timetable by a file, one course backwards", "30 created, row 9 end_not_after_start", timetable),
    Scene(FLOW, "a calendar with an event that recurs", "1 created, row 2 event_recurs", calendar),
    Scene(FLOW, "the teacher's calendar program, without a token", "200, 30 of the timetable", subscribed),
    Scene(FLOW, "the same URL after the teacher made it void", "not_found", unsubscribed),
    Scene(FLOW, "a file in another encoding", "malformed_file", other_encoding),
    Scene(FLOW, "a file over a mebibyte", "body_too_large", too_large),
]
