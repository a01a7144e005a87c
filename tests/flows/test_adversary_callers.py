"""Who may do what, and that another school's things look like things that are not there."""

import json
from uuid import uuid4

import pytest

from tests.flows.arena import OPERATIONS

ANYONE, PEOPLE, ADMINS = "", "admin dev student teacher", "admin dev"
# The kinds of callers that a door lets in at all; what each of them may do behind it is in FORBIDDEN below.
MATRIX = {
    ANYONE: (
        "POST /auth/login",
        "POST /auth/refresh",
        "POST /auth/password-reset",
        "GET /auth/jwks.json",
        "GET /.well-known/jwks.json",
        "POST /beacon/auth/token",
        "GET /beacon/jwks.json",
        "GET /beacon/time",
        "GET /courses/calendar.ics",
        "GET /q/{payload}",
        "GET /Q/{dense_payload}",
        "GET /n/{serial}",
    ),
    PEOPLE: (
        "POST /auth/logout",
        "POST /auth/password",
        "GET /auth/me",
        "GET /auth/sessions",
        "DELETE /auth/sessions/{session_id}",
        "GET /users/batch",
        "GET /users/{user_id}",
        "GET /users/{user_id}/device",
        "GET /schools/{school_id}",
        "GET /schools/{school_id}/preferences",
        "GET /classrooms/{classroom_id}",
        "GET /courses",
        "GET /courses/{course_id}",
        "GET /signatures",
        "GET /signatures/{signature_id}",
        "GET /signatures/{signature_id}/transitions",
    ),
    ADMINS: (
        "GET /users",
        "POST /users",
        "POST /users/import",
        "PATCH /users/{user_id}",
        "DELETE /users/{user_id}",
        "DELETE /users/{user_id}/device",
        "DELETE /users/{user_id}/sessions",
        "POST /users/{user_id}/password-reset",
        "PATCH /schools/{school_id}",
        "PATCH /schools/{school_id}/preferences",
        "POST /classrooms",
        "PATCH /classrooms/{classroom_id}",
        "DELETE /classrooms/{classroom_id}",
        "GET /groups",
        "POST /groups",
        "PATCH /groups/{group_id}",
        "DELETE /groups/{group_id}",
        "POST /groups/{group_id}/members/batch",
        "PUT /groups/{group_id}/members/{student_id}",
        "DELETE /groups/{group_id}/members/{student_id}",
        "POST /courses",
        "POST /courses/import",
        "DELETE /courses/{course_id}",
        *(
            f"{method} /courses/{{course_id}}/{part}s/{{{part}_id}}"
            for method in ("PUT", "DELETE")
            for part in ("teacher", "group", "classroom")
        ),
        "GET /dev/beacons",
        "GET /dev/beacons/{beacon_id}",
        "DELETE /dev/beacons/{beacon_id}",
        "PUT /dev/beacons/{beacon_id}/classroom",
        "DELETE /dev/beacons/{beacon_id}/classroom",
    ),
    "admin dev teacher": (
        "GET /classrooms",
        "GET /groups/{group_id}",
        "GET /groups/{group_id}/members",
        "PATCH /courses/{course_id}",
        "GET /signatures/sheet",
        "GET /signatures/live",
        "GET /signatures/report",
    ),
    "admin student teacher": ("POST /signatures",),
    "student teacher": ("GET /courses/calendar", "DELETE /courses/calendar"),
    "admin teacher": (
        "POST /courses/{course_id}/signing",
        "PATCH /signatures/{signature_id}",
        "POST /signatures/qr",
        "GET /signatures/qr/{qr_session_id}",
        "GET /signatures/qr/{qr_session_id}/codes",
        "DELETE /signatures/qr/{qr_session_id}",
    ),
    "admin": ("DELETE /signatures/{signature_id}",),
    "dev": (
        "GET /schools",
        "POST /schools",
        "DELETE /schools/{school_id}",
        "POST /dev/beacons",
        "PATCH /dev/beacons/{beacon_id}",
        "POST /dev/beacons/{beacon_id}/keys",
    ),
    "student": (
        "POST /users/{user_id}/device/challenge",
        "PUT /users/{user_id}/device",
        "POST /beacon/flash-codes",
        "POST /signatures/qr/scan",
    ),
    "beacon": ("POST /beacon/proofs", "POST /beacon/buzzLightyear", "POST /beacon/telemetry"),
}

SPAN = "from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z"
SPKI = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dF"
    "abmdT9POxg=="
)
# A request that would be right from somebody who may, for the operations that read something.
BODIES = {
    "PATCH /users/{user_id}": {"firstname": "New"},
    "PUT /users/{user_id}/device": {"public_key": SPKI, "signature": "A" * 86},
    "DELETE /users/{user_id}/device": {"reason": "lost"},
    "PATCH /schools/{school_id}": {"name": "New"},
    "PATCH /schools/{school_id}/preferences": {"enable_qr": False},
    "PATCH /classrooms/{classroom_id}": {"name": "New"},
    "PATCH /groups/{group_id}": {"name": "New"},
    "POST /groups/{group_id}/members/batch": {"add": [], "remove": []},
    "PATCH /courses/{course_id}": {"closing_delay_minutes": 20},
    "POST /courses/{course_id}/signing": {"state": "closed"},
    "PATCH /signatures/{signature_id}": {"status": "LATE", "reason": "came late"},
    "PATCH /dev/beacons/{beacon_id}": {"totp_required": True},
    "PUT /dev/beacons/{beacon_id}/classroom": {"classroom_id": str(uuid4())},
    "POST /dev/beacons/{beacon_id}/keys": {"public_key": SPKI},
}
WITH_IDS = [operation for operation in OPERATIONS if "_id}" in operation.path]
# What the caller of the other school says, where X is an id: of this school, or of nothing.
MENTIONS = {
    "a teacher of a course": ("admin", "POST", "/courses", {"teacher_ids": ["X"]}, "teacher_id"),
    "a group of a course": ("admin", "POST", "/courses", {"group_ids": ["X"]}, "group_id"),
    "a classroom of a course": ("admin", "POST", "/courses", {"classroom_ids": ["X"]}, "classroom_id"),
    "another school's course": ("admin", "POST", "/courses", {"school_id": "X"}, "school_id"),
    "another school's room": ("admin", "POST", "/classrooms", {"name": "New", "school_id": "X"}, "school_id"),
    "another school's group": ("admin", "POST", "/groups", {"name": "New", "school_id": "X"}, "school_id"),
    "a member": ("admin", "POST", "/groups/{group_id}/members/batch", {"add": ["X"]}, "student_id"),
    "one member": ("admin", "PUT", "/groups/{group_id}/members/X", None, "student_id"),
    "a group joins": ("admin", "PUT", "/courses/{course_id}/groups/X", None, "group_id"),
    "a room joins": ("admin", "PUT", "/courses/{course_id}/classrooms/X", None, "classroom_id"),
    "a teacher joins": ("admin", "PUT", "/courses/{course_id}/teachers/X", None, "teacher_id"),
    "a room of a beacon": ("admin", "PUT", "/dev/beacons/{beacon_id}/classroom", {"classroom_id": "X"}, "classroom_id"),
    "presence elsewhere": ("teacher", "POST", "/signatures", {"course_id": "X"}, "course_id"),
    "a screen elsewhere": ("teacher", "POST", "/signatures/qr", {"course_id": "X"}, "course_id"),
    "an admin's screen elsewhere": ("admin", "POST", "/signatures/qr", {"course_id": "X"}, "course_id"),
    "the room of a screen": (
        "teacher",
        "POST",
        "/signatures/qr",
        {"course_id": "{course_id}", "classroom_id": "X"},
        "classroom_id",
    ),
    "a mark elsewhere": (
        "teacher",
        "POST",
        "/signatures",
        {"course_id": "X", "student_id": "{student_id}"},
        "course_id",
    ),
    "an admin's mark elsewhere": (
        "admin",
        "POST",
        "/signatures",
        {"course_id": "X", "student_id": "{student_id}"},
        "course_id",
    ),
    "a mark of a stranger": (
        "teacher",
        "POST",
        "/signatures",
        {"course_id": "{course_id}", "student_id": "X"},
        "student_id",
    ),
    "an admin's mark of a stranger": (
        "admin",
        "POST",
        "/signatures",
        {"course_id": "{course_id}", "student_id": "X"},
        "student_id",
    ),
    "a strange teacher's presence": (
        "admin",
        "POST",
        "/signatures",
        {"course_id": "{course_id}", "teacher_id": "X"},
        "teacher_id",
    ),
    "the sheet": ("admin", "GET", "/signatures/sheet?course_id=X", None, "course_id"),
    "the live view": ("admin", "GET", "/signatures/live?course_id=X", None, "course_id"),
    "the live view for a teacher": ("teacher", "GET", "/signatures/live?course_id=X", None, "course_id"),
    "the sheet for a teacher": ("teacher", "GET", "/signatures/sheet?course_id=X", None, "course_id"),
    "a report on a course": ("admin", "GET", f"/signatures/report?{SPAN}&course_id=X", None, "course_id"),
    "a report on a course for a teacher": (
        "teacher",
        "GET",
        f"/signatures/report?{SPAN}&course_id=X",
        None,
        "course_id",
    ),
    "a report on a group": ("admin", "GET", f"/signatures/report?{SPAN}&group_id=X", None, "group_id"),
    "a report on a student": ("teacher", "GET", f"/signatures/report?{SPAN}&student_id=X", None, "student_id"),
    "a report on a school": (
        "admin",
        "GET",
        f"/signatures/report?{SPAN}&student_id={{student_id}}&school_id=X",
        None,
        "school_id",
    ),
    "signatures of a course": ("teacher", "GET", "/signatures?course_id=X", None, "course_id"),
    "signatures of a course for an admin": ("admin", "GET", "/signatures?course_id=X", None, "course_id"),
    "signatures of a student": ("admin", "GET", "/signatures?student_id=X", None, "student_id"),
    "signatures of a school": ("admin", "GET", "/signatures?school_id=X&status=LATE", None, "school_id"),
    "courses of a school": ("admin", "GET", "/courses?school_id=X", None, "school_id"),
    "courses of a student": ("admin", "GET", "/courses?student_id=X", None, "student_id"),
    "courses of a teacher": ("admin", "GET", "/courses?teacher_id=X", None, "teacher_id"),
    "courses of a group": ("admin", "GET", "/courses?group_id=X", None, "group_id"),
    "courses in a room": ("admin", "GET", "/courses?classroom_id=X", None, "classroom_id"),
    "rooms of a school": ("admin", "GET", "/classrooms?school_id=X", None, "school_id"),
    "groups of a school": ("admin", "GET", "/groups?school_id=X", None, "school_id"),
    "accounts of a school": ("admin", "GET", "/users?school_id=X", None, "school_id"),
    "names": ("student", "GET", "/users/batch?id=X", None, "user_id"),
    "an account": ("admin", "POST", "/users", {"user_type": "teacher", "school_id": "X"}, "school_id"),
    "beacons of a school": ("admin", "GET", "/dev/beacons?school_id=X", None, "school_id"),
    "beacons in a room": ("admin", "GET", "/dev/beacons?classroom_id=X", None, "classroom_id"),
}
REST_OF = {
    "/courses": {"name": "New", "start_at": "2026-09-01T08:00:00Z", "end_at": "2026-09-01T09:00:00Z"},
    "/users": {"email": "new@arena.example", "firstname": "New", "lastname": "New"},
    "/signatures": {"status": "ACCEPTED", "reason": "seen"},
}
# Same school, and not theirs.
FORBIDDEN = {
    "a student reads a classmate": ("student", "GET", "/users/{user_id}", None),
    "a student reads a classmate's phone": ("student", "GET", "/users/{user_id}/device", None),
    "a student asks for a classmate's challenge": ("student", "POST", "/users/{user_id}/device/challenge", None),
    "a student reads a classmate's signature": ("student", "GET", "/signatures/{signature_id}", None),
    "a student reads its history": ("student", "GET", "/signatures/{signature_id}/transitions", None),
    "a student ends a classmate's session": ("student", "DELETE", "/auth/sessions/{session_id}", None),
    "an admin ends a student's session as their own": ("admin", "DELETE", "/auth/sessions/{session_id}", None),
    "a teacher reads a student": ("teacher", "GET", "/users/{user_id}", None),
    "a teacher reads a student's phone": ("teacher", "GET", "/users/{user_id}/device", None),
    "a teacher renames a course": ("teacher", "PATCH", "/courses/{course_id}", {"name": "Mine"}),
    "a teacher moves a course": ("teacher", "PATCH", "/courses/{course_id}", {"end_at": "2027-09-01T09:00:00Z"}),
    "a teacher marks a teacher": (
        "teacher",
        "POST",
        "/signatures",
        {"course_id": "{course_id}", "teacher_id": "{teacher_id}"},
    ),
    "an unassigned teacher signs": ("other teacher", "POST", "/signatures", {"course_id": "{course_id}"}),
    "an unassigned teacher marks": (
        "other teacher",
        "POST",
        "/signatures",
        {"course_id": "{course_id}", "student_id": "{student_id}"},
    ),
    "an unassigned teacher shows codes": ("other teacher", "POST", "/signatures/qr", {"course_id": "{course_id}"}),
    "an unassigned teacher looks at a screen": ("other teacher", "GET", "/signatures/qr/{qr_session_id}", None),
    "an unassigned teacher reads the codes": ("other teacher", "GET", "/signatures/qr/{qr_session_id}/codes", None),
    "an unassigned teacher ends a screen": ("other teacher", "DELETE", "/signatures/qr/{qr_session_id}", None),
    "an unassigned teacher corrects": (
        "other teacher",
        "PATCH",
        "/signatures/{signature_id}",
        {"status": "LATE", "reason": "no"},
    ),
    "an unassigned teacher reads a signature": ("other teacher", "GET", "/signatures/{signature_id}", None),
    "an unassigned teacher reads its history": ("other teacher", "GET", "/signatures/{signature_id}/transitions", None),
    "an unassigned teacher reads the sheet": ("other teacher", "GET", "/signatures/sheet?course_id={course_id}", None),
    "an unassigned teacher watches": ("other teacher", "GET", "/signatures/live?course_id={course_id}", None),
    "an unassigned teacher has a course reported": (
        "other teacher",
        "GET",
        f"/signatures/report?{SPAN}&course_id={{course_id}}",
        None,
    ),
    "a student has themselves reported": (
        "student",
        "GET",
        f"/signatures/report?{SPAN}&student_id={{student_id}}",
        None,
    ),
    "an unassigned teacher lists": ("other teacher", "GET", "/signatures?course_id={course_id}", None),
    "an unassigned teacher closes": ("other teacher", "POST", "/courses/{course_id}/signing", {"state": "closed"}),
    "an unassigned teacher delays": ("other teacher", "PATCH", "/courses/{course_id}", {"closing_delay_minutes": 5}),
    "an unassigned teacher reads the course": ("other teacher", "GET", "/courses/{course_id}", None),
    "an unassigned teacher reads the group": ("other teacher", "GET", "/groups/{group_id}/members", None),
    "an uninvited student reads the course": ("uninvited", "GET", "/courses/{course_id}", None),
    "a developer shows codes": ("dev", "POST", "/signatures/qr", {"course_id": "{course_id}"}),
    "a developer signs": ("dev", "POST", "/signatures", {"course_id": "{course_id}"}),
    "a developer takes a signature back": ("dev", "DELETE", "/signatures/{signature_id}?reason=no", None),
}


def test_every_door_lets_in_whom_the_matrix_names():
    named = {operation: who for who, operations in MATRIX.items() for operation in operations}

    assert {str(operation): " ".join(sorted(operation.who)) for operation in OPERATIONS} == named


async def ask(doors, method, path, body=None):
    """An answer, without what differs by request."""
    heard = await doors.call(method, path, body, headers={"If-Match": '"1"'} if method == "PATCH" else {})
    return heard.status, {name: value for name, value in heard.body.items() if name != "request_id"}


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("operation", WITH_IDS, ids=str)
async def test_another_schools_thing_answers_like_one_that_is_not_there(operation, arena):
    body, found = BODIES.get(str(operation)), {}
    query = "?reason=no" if str(operation) == "DELETE /signatures/{signature_id}" else ""
    for name, doors in arena.other.callers.items():
        foreign = await ask(doors, operation.method, operation.path.format(**arena.own.ids) + query, body)
        nothing = {each: str(uuid4()) for each in arena.own.ids}
        missing = await ask(doors, operation.method, operation.path.format(**nothing) + query, body)
        assert foreign == missing, name
        found[name] = foreign[0]

    assert found == {name: 404 if name in operation.who else 403 for name in found}


def filled(value, ids, mentioned):
    """A path or body with the ids in their places."""
    text = json.dumps(value)
    for name, id_ in ids.items():
        text = text.replace("{" + name + "}", id_)
    return json.loads(
        text.replace("=X", "=" + mentioned).replace("/X", "/" + mentioned).replace('"X"', f'"{mentioned}"')
    )


def completed(method, path, body):
    """A body with the other fields that its door wants."""
    if method != "POST" or body is None or body.keys() == {"course_id"}:
        return body
    return REST_OF.get(path, {}) | body


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("caller", "method", "path", "body", "kind"), MENTIONS.values(), ids=MENTIONS)
async def test_naming_another_schools_thing_is_like_naming_nothing(caller, method, path, body, kind, arena):
    doors, answers = arena.other.callers[caller], []
    for mentioned in (arena.own.ids[kind], str(uuid4())):
        target = filled(path, arena.other.ids, mentioned)
        answers.append(
            await ask(doors, method, target, completed(method, path, filled(body, arena.other.ids, mentioned)))
        )

    assert answers[0] == answers[1]
    status, shown = answers[0]
    assert status in (404, 409) or (status, shown.get("items")) == (200, [])


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("caller", "method", "path", "body"), FORBIDDEN.values(), ids=FORBIDDEN)
async def test_what_the_matrix_does_not_grant_is_refused(caller, method, path, body, arena):
    school = arena.own.school
    doors = {
        **arena.own.callers,
        "other teacher": school.other_teacher.doors,
        "uninvited": school.students[-1].doors,
        "dev": arena.dev.doors,
    }[caller]

    status, shown = await ask(
        doors, method, filled(path, arena.own.ids, ""), completed(method, path, filled(body, arena.own.ids, ""))
    )

    assert status in (403, 404), shown
