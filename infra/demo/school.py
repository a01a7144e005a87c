"""The demo's schools, made through the public doors: people, phones, rooms, groups, courses and beacons."""

import asyncio
import base64
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp

from infra.canon import canonical, kid_of, sign
from infra.clock import utc_now
from infra.demo.devices import Beacon, Phone, public_pem
from infra.demo.doors import Doors, UnexpectedAnswerError
from infra.local.services import ROOT, Services

CREATED, OK, NO_CONTENT = 201, 200, 204
MINUTE = timedelta(minutes=1)


@dataclass
class Stage:
    """Where the story plays: the running services and their doors as nobody in particular."""

    services: Services
    doors: Doors

    @property
    def base_url(self) -> str:
        """The address of the edge; also what devices sign for."""
        return self.doors.base_url

    @classmethod
    @asynccontextmanager
    async def opened(cls, services: Services) -> AsyncIterator["Stage"]:
        """Open the doors of these services."""
        place = services.stack.place
        if place.origin is None:
            raise UnexpectedAnswerError("the demo needs the edge, and there is no Envoy for this machine")
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield cls(services, Doors(session, place.origin))


@dataclass(kw_only=True)
class Person:
    """Somebody with an account. doors: as this person. phone: students only."""

    id: UUID
    type: str
    email: str
    doors: Doors
    phone: Phone | None = None

    def phone_in_hand(self) -> Phone:
        """Return the phone. Raises: UnexpectedAnswerError without one."""
        if self.phone is None:
            raise UnexpectedAnswerError(f"{self.email} has no phone")
        return self.phone


@dataclass(kw_only=True)
class School:
    """One school and everything in it, by name."""

    id: UUID
    admin: Person
    teacher: Person
    other_teacher: Person
    students: list[Person]
    rooms: dict[str, UUID] = field(default_factory=dict)
    groups: dict[str, UUID] = field(default_factory=dict)
    beacons: dict[str, Beacon] = field(default_factory=dict)

    async def plan(self, name: str, *, starts_in: timedelta = -2 * MINUTE, **more: Any) -> str:  # noqa: ANN401 -- fields of a body
        """Plan a course of this school's teacher, main group and main room; return its id.

        more: `length` (1 h), `group`, `room` by name, and any field of the body.
        """
        start_at = utc_now() + starts_in
        end_at = start_at + more.pop("length", timedelta(hours=1))
        body = {
            "name": name,
            "start_at": wire_time(start_at),
            "end_at": wire_time(end_at),
            "teacher_ids": [str(self.teacher.id)],
            "group_ids": [str(self.groups[more.pop("group", "main")])],
            "classroom_ids": [str(self.rooms[more.pop("room", "main")])],
        }
        made = (await self.admin.doors.post("/courses", body | more)).expect(CREATED)
        return str(made["id"])


@dataclass(kw_only=True)
class Cast:
    """Everybody in the demo. password: of every account."""

    password: str
    dev: Person
    day: School
    evening: School

    def logins(self) -> list[Person]:
        """Return one account per role to try the doors with."""
        return [self.dev, self.day.admin, self.day.teacher, self.day.students[0]]


def wire_time(at: datetime) -> str:
    """Return `at` in RFC 3339, UTC."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def build_cast(stage: Stage, *, students: int) -> Cast:
    """Make the first developer and two schools. Raises: UnexpectedAnswerError.

    day: grace after the delay, everything allowed. evening: no flash, and its teacher signs first.
    """
    password = secrets.token_urlsafe(18)
    dev_email = f"dev-{secrets.token_hex(3)}@rollcall.example"
    await bootstrap(stage, dev_email, password)
    dev = await log_in(stage.doors, dev_email, password)
    builder = Builder(stage, dev, password)
    day = await builder.school("Day School", students=students, preferences={"late_grace_minutes": 30})
    evening = await builder.school(
        "Evening School",
        students=2,
        preferences={"enable_flash": False, "students_can_sign_before_teacher": False},
    )
    return Cast(password=password, dev=dev, day=day, evening=evening)


async def bootstrap(stage: Stage, email: str, password: str) -> None:
    """Make the first developer, as an operator does: by the service's own command."""
    command = ["bootstrap", "--email", email, "--firstname", "Dana", "--lastname", "Developer", "--another"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "identity_svc",
        *command,
        cwd=ROOT,
        env=stage.services.stack.variables("identity"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate(f"{password}\n".encode())
    if process.returncode != 0:
        raise UnexpectedAnswerError(f"bootstrap: {complaint.decode()[-400:]}")


async def log_in(doors: Doors, email: str, password: str) -> Person:
    """Log in through the public door."""
    heard = (await doors.post("/auth/login", {"email": email, "password": password})).expect(OK)
    user = heard["user"]
    return Person(id=UUID(user["id"]), type=user["user_type"], email=email, doors=doors.as_(heard["access_token"]))


class Builder:
    """Makes schools through the public doors."""

    def __init__(self, stage: Stage, dev: Person, password: str) -> None:
        self._stage, self._dev, self._password = stage, dev, password

    async def school(self, name: str, *, students: int, preferences: dict[str, object]) -> School:
        """Make a school with its people, two rooms with a beacon each, and two groups."""
        made = (await self._dev.doors.post("/schools", {"name": name})).expect(CREATED)
        school_id = UUID(made["id"])
        admin = await self._person(self._dev, "admin", f"admin@{domain_of(name)}", school_id=str(school_id))
        school = School(
            id=school_id,
            admin=admin,
            teacher=await self._person(admin, "teacher", f"teacher@{domain_of(name)}"),
            other_teacher=await self._person(admin, "teacher", f"other@{domain_of(name)}"),
            students=[await self._student(admin, number, name) for number in range(students)],
        )
        await self._set_preferences(admin, school_id, preferences)
        await self._furnish(school)
        return school

    async def _person(self, maker: Person, kind: str, email: str, **more: str) -> Person:
        body = {"user_type": kind, "email": email, "firstname": "Sam", "lastname": kind.title()}
        body |= {"password": self._password} | more
        (await maker.doors.post("/users", body)).expect(CREATED)
        return await log_in(self._stage.doors, email, self._password)

    async def _student(self, admin: Person, number: int, school: str) -> Person:
        email = f"student{number}@{domain_of(school)}"
        person = await self._person(admin, "student", email, student_number=f"S{number:04}")
        person.phone = Phone(student_id=person.id, origin=self._stage.base_url)
        await bind(person.phone, person.doors, origin=self._stage.base_url)
        return person

    async def _set_preferences(self, admin: Person, school_id: UUID, wanted: dict[str, object]) -> None:
        path = f"/schools/{school_id}/preferences"
        seen = (await admin.doors.get(path)).expect(OK)
        (await admin.doors.patch(path, wanted, version=seen["version"])).expect(OK)

    async def _furnish(self, school: School) -> None:
        doors = school.admin.doors
        for name in ("main", "other"):
            room = (await doors.post("/classrooms", {"name": f"Room {name}"})).expect(CREATED)
            group = (await doors.post("/groups", {"name": f"Group {name}"})).expect(CREATED)
            school.rooms[name], school.groups[name] = UUID(room["id"]), UUID(group["id"])
            school.beacons[name] = await self._beacon(school, name)
        # The last student is in the other group only.
        everybody = [str(student.id) for student in school.students]
        for name, members in (("main", everybody[:-1]), ("other", everybody[-1:])):
            path = f"/groups/{school.groups[name]}/members/batch"
            (await doors.post(path, {"add": members, "remove": []})).expect(OK)

    async def _beacon(self, school: School, room: str) -> Beacon:
        beacon = Beacon(id=school.id, serial=f"DEMO-{secrets.token_hex(4).upper()}", origin=self._stage.base_url)
        body = {
            "school_id": str(school.id),
            "serial": beacon.serial,
            "public_key": public_pem(beacon.key),
            "nfc_profile": "totp-v1",
        }
        made = (await self._dev.doors.post("/dev/beacons", body)).expect(CREATED)
        beacon.id = UUID(made["id"])
        beacon.take_key(beacon.key)
        beacon.totp_key = base64.b32decode(made["totp_key"] + "=" * (-len(made["totp_key"]) % 8))
        path = f"/dev/beacons/{beacon.id}/classroom"
        (await school.admin.doors.put(path, {"classroom_id": str(school.rooms[room])})).expect(OK, NO_CONTENT)
        return beacon


def domain_of(school: str) -> str:
    """Return the mail domain of a demo school."""
    return school.lower().replace(" ", "-") + ".example"


async def bind(phone: Phone, doors: Doors, *, origin: str) -> None:
    """Register the phone as its student's device: it signs a challenge with its new key."""
    path = f"/users/{phone.student_id}/device"
    challenge = (await doors.post(f"{path}/challenge")).expect(OK, CREATED)["challenge"]
    kid = kid_of(phone.key.public_key())
    text = canonical("att.device-reg.v1", origin, str(phone.student_id), str(phone.device_id), kid, challenge)
    body = {
        "device_identifier": str(phone.device_id),
        "public_key": base64.b64encode(phone.spki).decode(),
        "signature": sign(text, phone.key),
    }
    (await doors.put(path, body)).expect(OK, CREATED)
