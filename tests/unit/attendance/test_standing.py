"""Which signature counts when a student has more than one."""

from dataclasses import replace

import pytest

from attendance_svc.domain.signatures import Signature
from attendance_svc.domain.standing import decide_standing
from contracts.ids import CourseId, SchoolId, SignatureId, new_id
from tests.fakes.attendance import MS, NINE


def a_signature(status, t=NINE, **changes):
    usual = {
        "id": SignatureId(new_id()),
        "school_id": SchoolId(new_id()),
        "course_id": CourseId(new_id()),
        "kind": "student",
        "subject_id": new_id(),
        "status": status,
        "reason": "on_time",
        "method": "NFC",
        "t": t,
        "received_at": t,
        "rule_version": 1,
    }
    return Signature(**(usual | changes))


@pytest.mark.parametrize("status", ["ACCEPTED", "LATE", "PENDING", "REFUSED"])
def test_the_first_judgement_is_what_it_is(status):
    assert decide_standing(a_signature(status), None) == "beside"


@pytest.mark.parametrize(
    ("new", "earlier_by", "standing", "expected"),
    [
        ("ACCEPTED", MS, "LATE", "instead"),
        ("ACCEPTED", 0 * MS, "LATE", "behind"),
        ("ACCEPTED", -MS, "LATE", "behind"),
        ("ACCEPTED", MS, "ACCEPTED", "behind"),
        ("LATE", MS, "LATE", "behind"),
        ("LATE", MS, "ACCEPTED", "behind"),
        ("REFUSED", MS, "LATE", "behind"),
        ("PENDING", MS, "LATE", "beside"),
        ("PENDING", 0 * MS, "LATE", "behind"),
        ("PENDING", MS, "ACCEPTED", "behind"),
    ],
)
def test_the_earliest_time_with_the_best_status_wins(new, earlier_by, standing, expected):
    assert decide_standing(a_signature(new, NINE - earlier_by), a_signature(standing)) == expected


@pytest.mark.parametrize("new", ["ACCEPTED", "PENDING"])
def test_what_a_human_touched_stands(new):
    standing = replace(a_signature("LATE"), judged_by="teacher")

    assert decide_standing(a_signature(new, NINE - MS), standing) == "behind"


@pytest.mark.parametrize("status", ["ACCEPTED", "LATE", "PENDING", "REFUSED"])
@pytest.mark.parametrize("gone", [{}, {"voided_at": NINE}, {"superseded_by": SignatureId(new_id())}])
def test_presence_stands_unless_taken_back_or_replaced(status, gone):
    signature = a_signature(status, **gone)

    assert signature.stands == (status in ("ACCEPTED", "LATE") and not gone)
