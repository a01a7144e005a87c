"""What every attempt asks of the database is found by index, however old the plans are."""

import pytest

from attendance_svc.store import academics_copy, signatures
from tests.plans import counted_empty, scans_of

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
    async with counted_empty(await databases("attendance")) as lent:
        by_index, whole = await scans_of(lent, sql, GROWING)

    assert by_index
    assert not whole
