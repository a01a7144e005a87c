"""Who has just seen academics write is not judged by a copy that has not heard of it."""

import asyncio
from uuid import UUID, uuid4

import pytest

from attendance_svc.domain.freshness import SeenVersion
from attendance_svc.ports import NfcReading
from attendance_svc.store import copied_courses
from attendance_svc.store.copied_courses import CopiedCourses
from tests.integration.attendance.academics_feed import Feed
from tests.integration.attendance.test_freshness import Copied
from tests.integration.attendance.test_grpc_attempts import Answering, Beacon, beacon  # noqa: F401 -- a fixture

HEADER = "x-consistency-token"


@pytest.fixture
async def copied(school):
    """The school's course in version 2, as fresh as can be."""
    made = Copied(school)
    await made.plan()
    await made.is_sure_of(school.now)
    return made


@pytest.fixture
async def teacher(school, copied, door):
    """A teacher of the course, which is then in version 3."""
    teacher = door.a_teacher()
    await copied.feed.course(school.course.id, school=copied.tenant, teacher_ids=[teacher.id])
    return teacher


def token(school, version, kind="course"):
    return {HEADER: f"academics/3/{kind}:{school.course.id}@{version}"}


async def sign(teacher, school, headers):
    answer = await teacher.post(course_id=school.course.id, headers=headers)
    assert answer.status in (200, 201), answer.body


@pytest.mark.parametrize("version", [1, 3])
async def test_a_copy_that_has_it_decides(school, copied, teacher, version):
    await sign(teacher, school, token(school, version))

    assert copied.asked == 0


async def test_a_copy_that_does_not_get_it_in_time_decides_nothing(school, copied, teacher):
    await sign(teacher, school, token(school, 4))

    assert copied.asked == 2


async def test_a_copy_that_gets_it_in_time_decides(school, copied, teacher, monkeypatch):
    monkeypatch.setattr(copied_courses, "PATIENCE_S", 10)
    signing = asyncio.create_task(sign(teacher, school, token(school, 4)))

    await copied.feed.course(school.course.id, school=copied.tenant)
    await signing

    assert copied.asked == 0


@pytest.mark.parametrize(
    "text",
    [
        "course",
        "academics/3/course:x@9",
        "academics/3/course:{id}@9x",
        "attendance/3/course:{id}@9",
        "academics/3/x:{id}@9",
    ],
)
async def test_a_malformed_token_is_ignored(school, copied, teacher, text):
    await sign(teacher, school, {HEADER: text.format(id=school.course.id)})

    assert copied.asked == 0


async def test_a_sheet_is_not_shown_by_a_copy_that_lacks_it(school, copied, teacher):
    path = f"/signatures/sheet?course_id={school.course.id}"

    await teacher.door.call("GET", path, teacher, headers=token(school, 4))

    assert copied.asked == 2


@pytest.mark.parametrize(("version", "asked"), [(2, 0), (9, 1)])
async def test_students_may_say_it_too(school, copied, door, version, asked):
    student = door.someone("student")
    student.id = copied.member
    school.codes.reading = NfcReading(beacon_id=uuid4(), classroom_id=None, step=1)

    answer = await student.tap(headers=token(school, version))

    assert (answer.status, copied.asked) == (201, asked)


@pytest.mark.parametrize(("version", "asked"), [(2, 0), (9, 1)])
async def test_beacons_may_say_it_too(school, copied, beacon, version, asked):  # noqa: F811
    request = beacon.request(student_id=str(copied.member))

    metadata = [(HEADER, token(school, version)[HEADER])]
    answer = await beacon._stub.CreateSignatureAttempt(request, timeout=5, metadata=metadata)

    assert (answer.reason, copied.asked) == ("on_time", asked)


async def test_every_kind_that_is_copied_is_waited_for(school, monkeypatch):
    monkeypatch.setattr(copied_courses, "PATIENCE_S", 0)
    feed, copy = Feed(school.pool), CopiedCourses(school.pool, shard_count=4)
    preferences = (await feed.preferences()).data["preferences_id"]
    ids = {"course": await feed.course(), "group": await feed.group(uuid4()), "preferences": UUID(preferences)}
    versions = {"course": 1, "group": 2, "preferences": 1}

    for kind, id_ in ids.items():
        has = [await copy.has(SeenVersion(kind=kind, id=id_, version=versions[kind] + more)) for more in (0, 1)]
        assert (kind, has) == (kind, [True, False])
