"""A list is found by what is asked for, without looking at everybody's."""

from functools import partial
from uuid import UUID

import asyncpg
import pytest

from academics_svc.queries.courses import CourseFilter, list_courses
from academics_svc.queries.parts import list_parts
from attendance_svc.queries import SignatureFilter, list_signatures
from beacon_svc.queries.beacons import BeaconFilter, list_beacons
from identity_svc.queries import AccountFilter, list_accounts
from infra.postgres import create_pool
from tests.waiting import until

# 5,000 of 50 schools: number n is of school n % 50 and has to do with n % 500.
FILL = {
    "academics": """
        INSERT INTO school (id, name, request_digest)
        SELECT pg_temp.id(n), 'S', '' FROM generate_series(0, 49) AS n;
        INSERT INTO school_preferences SELECT pg_temp.id(n), pg_temp.id(n), 15, true, true, true, true, true, true, 5, 5
        FROM generate_series(0, 49) AS n;
        INSERT INTO course (id, school_id, name, start_at, end_at, is_online, request_digest)
        SELECT pg_temp.id(n), pg_temp.id(n % 50), 'C', now(), now() + interval '1 hour', false, ''
        FROM generate_series(1, 5000) AS n;
        INSERT INTO teachers_courses (course_id, teacher_id, recorded_from)
        SELECT pg_temp.id(n), pg_temp.id(n % 500), now() FROM generate_series(1, 5000) AS n;
        INSERT INTO classroom (id, school_id, name, request_digest)
        SELECT pg_temp.id(n), pg_temp.id(n % 50), n::text, '' FROM generate_series(1, 5000) AS n
    """,
    "attendance": """
        INSERT INTO signature (id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at,
                               rule_version, version, announced)
        SELECT uuidv7(), pg_temp.id(n % 50), pg_temp.id(n % 500), 'student', pg_temp.id(n), 'ACCEPTED', 'on_time',
               'QR', now(), now(), 1, 1, 1
        FROM generate_series(1, 5000) AS n
    """,
    "beacon": """
        INSERT INTO beacon (id, school_id, serial, classroom_id, nfc_profile, totp_key_sealed, totp_required,
                            created_at)
        SELECT pg_temp.id(n), pg_temp.id(n % 50), 'serial-' || n, pg_temp.id(n % 500), 'none', '', false, now()
        FROM generate_series(1, 5000) AS n
    """,
    "identity": """
        INSERT INTO app_user (id, user_type, school_id, email, firstname, lastname, created_at)
        SELECT pg_temp.id(n), 'student', pg_temp.id(n % 50), n || '@school.example', 'A', 'B', now()
        FROM generate_series(1, 5000) AS n
    """,
}
ID = "CREATE FUNCTION pg_temp.id(n int) RETURNS uuid RETURN lpad(to_hex(n), 32, '0')::uuid"
FLUSH = "SELECT pg_stat_force_next_flush()"
READ = """
SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = $1) + seq_tup_read
FROM pg_stat_user_tables WHERE relname = $1
"""
SEVEN, LATER = UUID(int=7), UUID(int=57)


LISTS = [
    ("course", partial(list_courses, wanted=CourseFilter(school_id=SEVEN))),
    ("course", partial(list_courses, wanted=CourseFilter(teacher_id=LATER))),
    ("classroom", partial(list_parts, kind="classroom", school_id=SEVEN)),
    ("signature", partial(list_signatures, wanted=SignatureFilter(school_id=SEVEN))),
    ("signature", partial(list_signatures, wanted=SignatureFilter(school_id=SEVEN, subject_id=LATER))),
    ("signature", partial(list_signatures, wanted=SignatureFilter(school_id=SEVEN, course_id=LATER))),
    ("signature", partial(list_signatures, wanted=SignatureFilter(school_id=SEVEN, status="ACCEPTED"))),
    ("beacon", partial(list_beacons, wanted=BeaconFilter(school_id=SEVEN))),
    ("beacon", partial(list_beacons, wanted=BeaconFilter(classroom_id=LATER))),
    ("app_user", partial(list_accounts, wanted=AccountFilter(school_id=SEVEN))),
]
SERVICE_OF = {"course": "academics", "classroom": "academics", "signature": "attendance", "beacon": "beacon"}


@pytest.mark.parametrize(("table", "list_"), LISTS)
async def test_a_list_is_found_by_what_is_asked_for(databases, table, list_):
    service = SERVICE_OF.get(table, "identity")
    urls = await databases(service)
    owner = await asyncpg.connect(urls.admin_url)
    await owner.execute(f"{ID};{FILL[service]}")
    await owner.execute("ANALYZE")
    # Else what filling has read is counted at some later moment.
    await owner.execute(FLUSH)
    await owner.execute("SELECT pg_stat_reset()")

    async with create_pool(urls.app_url, name="test") as pool, pool.acquire() as lent:
        found = await list_(lent, after=None, limit=51)
        await lent.execute(FLUSH)

    assert found
    assert await until(lambda: owner.fetchval(READ, table)) < 250
    await owner.close()
