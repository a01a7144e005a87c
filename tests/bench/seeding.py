"""Put the schools of the load into the databases, with the events by which academics would have told of them."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg

from academics_svc.commands.news import CREATED, news_of_course, news_of_part, news_of_preferences, news_of_school
from academics_svc.domain import Course, Part, Preferences, School
from beacon_svc.store.beacons import totp_owner
from contracts.events.academics import CourseCreated, GroupMembershipChanged, SchoolCreated
from contracts.events.envelope import Aggregate, Cause, Envelope, Event, wrap
from contracts.ids import CourseId, SchoolId, new_id
from infra.canon import kid_of, to_spki
from infra.local.databases import with_database
from infra.local.stack import Stack
from infra.local.variables import SHARD_COUNT
from infra.secret_box import SecretBox
from streams.outbox import Outbox
from tests.bench.schools import LENGTH, SINCE, STARTED, Room, Schools
from tests.waiting import until

ADD_COURSE_VERSIONS = """
INSERT INTO course_version (course_id, version, name, start_at, end_at, is_online, cancelled, recorded_from)
SELECT id, version, name, start_at, end_at, is_online, cancelled, recorded_at FROM course
ON CONFLICT DO NOTHING
"""
ADD_PREFERENCES = """
INSERT INTO school_preferences (
    id, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
    students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
    early_open_minutes, late_grace_minutes, recorded_at)
VALUES ($1, $2, $3, true, true, true, true, true, false, 0, 0, $4)
"""
ADD_PREFERENCES_VERSIONS = """
INSERT INTO school_preferences_version (
    preferences_id, version, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
    students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
    early_open_minutes, late_grace_minutes, recorded_from)
SELECT id, version, school_id, default_signature_closing_delay_minutes, teacher_can_modify_closing_delay,
    students_can_sign_before_teacher, enable_flash, enable_nfc, enable_qr, disable_course_modification_from_ui,
    early_open_minutes, late_grace_minutes, recorded_at
FROM school_preferences
ON CONFLICT DO NOTHING
"""
COUNT_COPIED = "SELECT (SELECT count(*) FROM copy_course), (SELECT count(*) FROM copy_membership)"
# Nobody is late: the whole length of a course.
CLOSING_DELAY = LENGTH
EVENTS_AT_ONCE = 1_000
COPY_TIMEOUT_S = 60.0


async def seed(schools: Schools, stack: Stack) -> None:
    """Put these schools into the three databases, beside what is there, and wait until attendance has its copy."""
    admin_url = stack.postgres.admin_url
    courses = sum(len(room.course_ids) for room in schools.everywhere)
    members = sum(len(room.student_ids) for room in schools.everywhere)
    attendance = await asyncpg.connect(with_database(admin_url, "attendance"))
    try:
        courses_before, members_before = await attendance.fetchrow(COUNT_COPIED)
        await in_database(admin_url, "identity", schools, seed_identity)
        box = SecretBox.from_file(stack.place.keys / "beacon")
        await in_database(admin_url, "beacon", schools, lambda to, plan: seed_beacon(to, plan, box))
        await in_database(admin_url, "academics", schools, seed_academics)

        async def is_copied() -> bool:
            return tuple(await attendance.fetchrow(COUNT_COPIED)) == (
                courses_before + courses,
                members_before + members,
            )

        await until(is_copied, COPY_TIMEOUT_S)
    finally:
        await attendance.close()


async def in_database(admin_url: str, name: str, schools: Schools, fill) -> None:
    """Call `fill(connection, schools)` in one transaction as superuser, then bring the statistics up to date."""
    connection = await asyncpg.connect(with_database(admin_url, name))
    try:
        async with connection.transaction():
            await fill(connection, schools)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def put(connection, table: str, columns: str, rows: Iterable[tuple]) -> None:
    await connection.copy_records_to_table(table, columns=columns.split(), records=list(rows))


async def seed_identity(connection, schools: Schools) -> None:
    """Accounts of all students without a password, and the phones of those who need one."""
    since = schools.now - SINCE
    people = [(student, room.school_id) for room in schools.everywhere for student in room.student_ids]
    users = ((i, "student", school, f"{i}@bench.example", "Ada", "Student", since) for i, school in people)
    await put(connection, "app_user", "id user_type school_id email firstname lastname created_at", users)
    await put(connection, "student", "user_id school_id student_number", ((i, s, f"S-{i}") for i, s in people))
    phones = [phone for hall in schools.halls for phone in hall.phones]
    rows = ((p.device_id, p.student_id, kid_of(p.key.public_key()), p.spki, since) for p in phones)
    await put(connection, "device", "id student_id kid public_key bound_at", rows)


async def seed_beacon(connection, schools: Schools, box: SecretBox) -> None:
    """Beacons in their rooms, and codes that live as long as the run."""
    since, now = schools.now - SINCE, schools.now
    rooms = schools.everywhere
    beacons = (
        (b.id, room.school_id, b.serial, room.id, "totp-v1", box.seal(b.totp_key, about=totp_owner(b.id)), False, since)
        for room in rooms
        for b in [room.beacon]
    )
    columns = "id school_id serial classroom_id nfc_profile totp_key_sealed totp_required created_at"
    await put(connection, "beacon", columns, beacons)
    keys = ((room.beacon.id, room.beacon.kid, to_spki(room.beacon.key.public_key()), since) for room in rooms)
    await put(connection, "beacon_key", "beacon_id kid spki not_before", keys)
    stays = ((room.beacon.id, room.id, since) for room in rooms)
    await put(connection, "beacon_assignment", "beacon_id classroom_id assigned_from", stays)
    school_of = {course: room.school_id for room in rooms for course in room.course_ids}
    codes = (
        (new_id(), c.number, school_of[c.course_id], c.student_id, uuid4(), c.course_id, now, now + LENGTH)
        for c in schools.issued
    )
    columns = "id code school_id student_id device_id course_id issued_at expires_at free_at"
    await put(connection, "flash_code", columns, ((*row, now + LENGTH) for row in codes))


async def seed_academics(connection, schools: Schools) -> None:
    """Schools, rooms, groups and courses, as if planned an hour ago."""
    since, rooms = schools.now - SINCE, schools.everywhere
    ids = schools.school_ids
    await put(connection, "school", "id name request_digest recorded_at", ((i, f"School {i}", b"", since) for i in ids))
    minutes = CLOSING_DELAY // timedelta(minutes=1)
    preferences = [Preferences(id=new_id(), school_id=SchoolId(i)) for i in ids]
    await connection.executemany(ADD_PREFERENCES, [(p.id, p.school_id, minutes, since) for p in preferences])
    parts = "id school_id name request_digest version recorded_at"
    await put(connection, "classroom", parts, ((r.id, r.school_id, f"Room {r.id}", b"", 1, since) for r in rooms))
    groups = ((r.group_id, r.school_id, f"Group {r.group_id}", b"", 2, since) for r in rooms)
    await put(connection, "student_group", parts, groups)
    members = ((r.group_id, student, since) for r in rooms for student in r.student_ids)
    await put(connection, "students_groups", "group_id student_id recorded_from", members)
    courses = [(r, course) for r in rooms for course in courses_of(r, schools)]
    plans = ((c.id, c.school_id, c.name, c.start_at, c.end_at, False, b"", since) for _, c in courses)
    await put(connection, "course", "id school_id name start_at end_at is_online request_digest recorded_at", plans)
    held_by = ((c.id, r.group_id, since) for r, c in courses)
    await put(connection, "courses_student_groups", "course_id group_id recorded_from", held_by)
    held_in = ((c.id, r.id, since) for r, c in courses)
    await put(connection, "courses_classrooms", "course_id classroom_id recorded_from", held_in)
    await connection.execute(ADD_COURSE_VERSIONS)
    await connection.execute(ADD_PREFERENCES_VERSIONS)
    await announce(connection, schools, news(schools, preferences))


def courses_of(room: Room, schools: Schools) -> Iterator[Course]:
    start_at = schools.now - STARTED
    for course_id in room.course_ids:
        yield Course(
            id=CourseId(course_id),
            school_id=SchoolId(room.school_id),
            name=f"Course {course_id}",
            start_at=start_at,
            end_at=start_at + LENGTH,
            group_ids=frozenset([room.group_id]),
            classroom_ids=frozenset([room.id]),
        )


News = tuple[str, UUID, UUID, int, Event]


def news(schools: Schools, preferences: Iterable[Preferences]) -> Iterator[News]:
    """Yield what academics says: kind, id, school, version and the event, causes before effects."""
    minutes = CLOSING_DELAY // timedelta(minutes=1)
    for rules in preferences:
        school = School(id=rules.school_id, name="")
        yield "school", school.id, school.id, 1, news_of_school(school, SchoolCreated)
        said = news_of_preferences(rules).model_copy(update={"default_signature_closing_delay_minutes": minutes})
        yield "preferences", rules.id, rules.school_id, 1, said
    for room in schools.everywhere:
        yield from news_of_room(room, schools)


def news_of_room(room: Room, schools: Schools) -> Iterator[News]:
    school_id = SchoolId(room.school_id)
    for part in (
        Part(kind="classroom", id=room.id, school_id=school_id, name=""),
        Part(kind="group", id=room.group_id, school_id=school_id, name=""),
    ):
        yield part.kind, part.id, school_id, 1, news_of_part(part, CREATED)
    joined = GroupMembershipChanged(group_id=room.group_id, school_id=school_id, added=room.student_ids, removed=[])
    yield "group", room.group_id, school_id, 2, joined
    for course in courses_of(room, schools):
        yield "course", course.id, school_id, 1, news_of_course(course, CourseCreated)


async def announce(connection, schools: Schools, said: Iterable[News]) -> None:
    since, outbox = schools.now - SINCE, Outbox(SHARD_COUNT)
    cause = Cause(at=since, actor_type="admin")

    def envelope(kind: str, id_: UUID, school_id: UUID, version: int, event: Event) -> Envelope:
        of = Aggregate(type=kind, id=id_, version=version, school_id=school_id, recorded_at=since)
        return wrap(event, id=new_id(), of=of, cause=cause)

    envelopes = [envelope(*one) for one in said]
    for start in range(0, len(envelopes), EVENTS_AT_ONCE):
        await outbox.add(connection, *envelopes[start : start + EVENTS_AT_ONCE])
