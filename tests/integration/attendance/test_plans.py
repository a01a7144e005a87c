"""What every attempt asks of the database is found by index, however old the plans are."""

from uuid import UUID

import asyncpg
import pytest

from attendance_svc.queries import SignatureFilter, list_signatures
from attendance_svc.store import academics_copy, signatures
from infra.postgres import create_pool
from tests.plans import scans_of
from tests.waiting import until

GROWING = ("signature", "student_signature", "course_settled", "copy_course", "copy_preferences", "copy_membership")
FOR_EVERY_ATTEMPT = [
    signatures.FIND_REPEATS,
    signatures.GET_SITUATIONS,
    signatures.CHANGE,
    academics_copy.FACTS,
    academics_copy.IN_ROOM,
]


@pytest.mark.parametrize("sql", FOR_EVERY_ATTEMPT)
async def test_a_plan_that_was_made_for_empty_tables_still_serves_full_ones(databases, sql):
    urls = await databases("attendance")
    owner = await asyncpg.connect(urls.admin_url)
    await owner.execute("ANALYZE")
    await owner.close()

    async with create_pool(urls.app_url, name="test", by_index=True) as pool, pool.acquire() as lent:
        by_index, whole = await scans_of(lent, sql, GROWING)

    assert by_index
    assert not whole


# Of 50 schools, each student in one course.
MANY = """
INSERT INTO signature (id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at, rule_version,
                       version, announced)
SELECT uuidv7(), lpad(to_hex(n % 50), 32, '0')::uuid, lpad(to_hex(n % 500), 32, '0')::uuid, 'student',
       lpad(to_hex(n), 32, '0')::uuid, 'ACCEPTED', 'on_time', 'QR', now(), now(), 1, 1, 1
FROM generate_series(1, 5000) AS n
"""
FLUSH = "SELECT pg_stat_force_next_flush()"
READ_BY = "SELECT indexrelname FROM pg_stat_user_indexes WHERE relname = 'signature' AND idx_scan > 0"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (SignatureFilter(school_id=UUID(int=7), subject_id=UUID(int=57)), "signature_of_person"),
        (SignatureFilter(school_id=UUID(int=7), course_id=UUID(int=57)), "signature_subject"),
        (SignatureFilter(school_id=UUID(int=7), status="ACCEPTED"), "signature_school"),
    ],
)
async def test_a_list_is_found_by_what_is_asked_for(databases, wanted, index):
    urls = await databases("attendance")
    owner = await asyncpg.connect(urls.admin_url)
    await owner.execute(MANY)
    await owner.execute("ANALYZE; SELECT pg_stat_reset()")

    async with create_pool(urls.app_url, name="test", by_index=True) as pool, pool.acquire() as lent:
        found = await list_signatures(lent, wanted, after=None, limit=51)
        await lent.execute(FLUSH)

    read_by = {row["indexrelname"] for row in await until(lambda: owner.fetch(READ_BY))}
    assert found
    assert index in read_by
    assert "signature_pkey" not in read_by, "every signature was looked at"
    await owner.close()
