"""Two schools of their own in the running system, for tests that do harm: nobody of the story lives there."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from infra.demo.doors import Doors
from infra.demo.school import Builder, Person, School, bootstrap, log_in
from infra.envoy.routes import SERVICES

OPENAPI = Path(__file__).parents[2] / "contracts/schemas/openapi"
DOCUMENTS = {service: json.loads((OPENAPI / f"{service}.json").read_text()) for service in SERVICES}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One documented operation. description: of the operation, as the document has it."""

    service: str
    method: str
    path: str
    described: dict

    def __str__(self):
        return f"{self.method} {self.path}"

    @property
    def who(self):
        """The kinds of callers that the document names, none when anyone may call."""
        kinds = self.described["description"].removeprefix("For: ").rstrip(".")
        return () if kinds == "For anyone" else kinds.split(", ")


OPERATIONS = [
    Operation(service=service, method=method.upper(), path=path, described=described)
    for service, document in DOCUMENTS.items()
    for path, methods in document["paths"].items()
    for method, described in methods.items()
]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A school and one thing of each kind in it, by the name of its path parameter. victim: nobody else needs them."""

    school: School
    victim: Person
    ids: dict[str, str]

    @property
    def callers(self):
        """The doors as each kind of person of the school."""
        school = self.school
        people = {"student": school.students[0], "teacher": school.teacher, "admin": school.admin}
        return {name: person.doors for name, person in people.items()}


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Both schools, the developer who made them, and a beacon's doors."""

    stage: object
    own: Ground
    other: Ground
    dev: Person

    @property
    def callers(self):
        """The doors as every kind of caller, by a name for each."""
        beacon = self.own.school.beacons["main"]
        return {
            "nobody": self.stage.doors,
            **self.own.callers,
            "other admin": self.other.school.admin.doors,
            "dev": self.dev.doors,
            "beacon": self.stage.doors.as_(beacon.token),
        }

    def direct(self, doors, service):
        """The service's own door, past the edge."""
        return Doors(doors.session, self.stage.services.stack.place.http_url(service), doors.token)


async def build_arena(stage):
    """Make the schools through the public doors."""
    password, email = secrets.token_urlsafe(18), f"dev-{secrets.token_hex(4)}@arena.example"
    await bootstrap(stage, email, password)
    dev = await log_in(stage.doors, email, password)
    builder = Builder(stage, dev, password)
    own, other = [await furnish(await builder.school(name, students=3, preferences={})) for name in ("Own", "Other")]
    (await own.school.beacons["main"].log_in(stage.doors)).expect(200)
    return Arena(stage=stage, own=own, other=other, dev=dev)


async def furnish(school):
    """Plan a course that is on, and sign in it: the teacher for themselves and for a student."""
    course = await school.plan("Arena")
    victim = school.students[1]
    await school.teacher.doors.post("/signatures", {"course_id": course})
    mark = {"course_id": course, "student_id": str(victim.id), "status": "ACCEPTED", "reason": "here"}
    signature = (await school.teacher.doors.post("/signatures", mark)).expect(201)
    screen = (await school.teacher.doors.post("/signatures/qr", {"course_id": course})).expect(201)
    sessions = (await victim.doors.get("/auth/sessions")).expect(200)
    ids = {
        "school_id": school.id,
        "user_id": victim.id,
        "student_id": victim.id,
        "teacher_id": school.other_teacher.id,
        "classroom_id": school.rooms["main"],
        "group_id": school.groups["main"],
        "course_id": UUID(course),
        "signature_id": UUID(signature["id"]),
        "qr_session_id": UUID(screen["id"]),
        "beacon_id": school.beacons["other"].id,
        "session_id": UUID(sessions["items"][0]["id"]),
    }
    words = {"payload": "A" * 35, "dense_payload": "A" * 42, "serial": school.beacons["main"].serial}
    return Ground(school=school, victim=victim, ids={name: str(value) for name, value in (ids | words).items()})
