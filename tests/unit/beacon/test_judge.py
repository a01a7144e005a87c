"""What a signed proof shows, probed at every boundary."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from beacon_svc.domain.beacons import BeaconKey, Stay, room_at
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.clock_model import EffectiveTime
from beacon_svc.domain.proofs import Evidence, FlashCode, Held, Rejected, Verified, judge

NINE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
ROOM, OTHER_ROOM = uuid4(), uuid4()
WHEN = EffectiveTime(at=NINE, uncertainty=SECOND)
UNKNOWN = EffectiveTime(at=datetime(1990, 1, 1, tzinfo=UTC), uncertainty=None)
KEY = BeaconKey(kid="0" * 16, spki=b"", not_before=NINE - DAY)
CODE = FlashCode(
    id=uuid4(),
    code=7,
    school_id=uuid4(),
    student_id=uuid4(),
    device_id=uuid4(),
    course_id=uuid4(),
    issued_at=NINE - SECOND,
    expires_at=NINE + 19 * SECOND,
)
CLAIM = Claim(
    beacon_id=uuid4(), kid=KEY.kid, boot=1, seq=2, code=7, observed_ms=0, uptime_ms=0, sync_age_ms=0, prev="before"
)
EVIDENCE = Evidence(
    key=KEY,
    when=WHEN,
    received_at=NINE + SECOND,
    previous="before",
    gap_given_up=False,
    codes=[CODE],
    stays=[Stay(classroom_id=ROOM, since=NINE - DAY, until=None)],
)


def judged(**changes):
    return judge(CLAIM, replace(EVIDENCE, **changes))


def rejected_for(**changes):
    verdict = judged(**changes)
    return verdict.reason if isinstance(verdict, Rejected) else None


def flags(**changes):
    return judged(**changes).flags


def test_a_code_seen_in_its_life_shows_who_was_where():
    assert judged() == Verified(code=CODE, classroom_id=ROOM, when=WHEN, flags=(), alerts=())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"revoked_at": NINE}, "key_revoked"),
        ({"revoked_at": NINE - DAY}, "key_revoked"),
        ({"not_after": NINE - SECOND}, "key_not_valid"),
        ({"not_after": NINE - SECOND + MS}, None),
        ({"not_before": NINE + SECOND}, None),
        ({"not_before": NINE + SECOND + MS}, "key_not_valid"),
    ],
)
def test_a_key_must_have_been_valid_when_it_signed(change, expected):
    assert rejected_for(key=replace(KEY, **change)) == expected


def test_a_key_that_was_revoked_later_raises_a_flag():
    assert flags(key=replace(KEY, revoked_at=NINE + MS)) == ("key_revoked_later",)


def test_when_nobody_knows_the_time_a_revoked_key_is_flagged_and_not_rejected():
    verdict = judged(key=replace(KEY, revoked_at=NINE - DAY), when=UNKNOWN)

    assert verdict.flags == ("key_revoked_later", "clock_unknown")


def test_a_missing_predecessor_is_waited_for_and_then_flagged():
    assert judged(previous=None) == Held("chain_gap")
    assert flags(previous=None, gap_given_up=True) == ("chain_gap",)


def test_a_wrong_predecessor_is_flagged_and_looked_at():
    verdict = judged(previous="other")

    assert (verdict.flags, verdict.alerts) == (("chain_break",), ("chain_break",))


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-6 * SECOND - MS, "future_proof"),
        (-6 * SECOND, None),
        (timedelta(0), None),
        (DAY, None),
        (DAY + MS, None),
        (7 * DAY, None),
        (7 * DAY + MS, "stale_proof"),
    ],
)
def test_the_age_of_a_proof(age, expected):
    assert rejected_for(received_at=NINE + age) == expected


def test_a_proof_from_the_future_is_looked_at_and_a_stale_one_is_not():
    assert judged(received_at=NINE - DAY).alerts == ("future_proof",)
    assert judged(received_at=NINE + 8 * DAY).alerts == ()


@pytest.mark.parametrize(
    ("issued_at", "expires_at", "expected"),
    [
        (NINE + 3 * SECOND, NINE + DAY, None),
        (NINE + 3 * SECOND + MS, NINE + DAY, "code_unknown"),
        (NINE - DAY, NINE - 3 * SECOND, None),
        (NINE - DAY, NINE - 3 * SECOND - MS, "code_unknown"),
    ],
)
def test_a_code_counts_when_its_life_meets_the_time_of_the_proof(issued_at, expires_at, expected):
    assert rejected_for(codes=[replace(CODE, issued_at=issued_at, expires_at=expires_at)]) == expected


def test_no_code_is_an_unknown_code_and_two_are_for_a_human():
    assert rejected_for(codes=[]) == "code_unknown"
    assert judged(codes=[CODE, replace(CODE, id=uuid4())]) == Held("code_ambiguous")


def test_without_a_known_time_the_life_of_the_code_tells_it():
    early, late = judged(when=UNKNOWN), judged(when=replace(UNKNOWN, at=NINE + DAY))

    assert (early.when.at, early.when.uncertainty, early.flags) == (CODE.issued_at, None, ("clock_unknown",))
    assert late.when.at == CODE.expires_at


def test_without_a_known_time_two_issues_of_a_number_are_for_a_human():
    older = replace(CODE, id=uuid4(), issued_at=NINE - 7 * DAY, expires_at=NINE - 6 * DAY)

    assert judged(codes=[CODE, older], when=UNKNOWN).reason == "code_ambiguous"


def test_the_room_is_the_one_at_that_time():
    stays = [
        Stay(classroom_id=OTHER_ROOM, since=NINE - DAY, until=NINE),
        Stay(classroom_id=ROOM, since=NINE, until=NINE + MS),
    ]

    assert [room_at(stays, NINE + shift) for shift in (-DAY - MS, -DAY, -MS, timedelta(0), MS)] == [
        None,
        OTHER_ROOM,
        OTHER_ROOM,
        ROOM,
        None,
    ]
    assert rejected_for(stays=[]) == "beacon_not_assigned"


def test_a_code_that_was_used_in_another_room_is_flagged_and_looked_at():
    assert flags(codes=[replace(CODE, redeemed_by=uuid4(), redeemed_room=ROOM)]) == ()
    verdict = judged(codes=[replace(CODE, redeemed_by=uuid4(), redeemed_room=OTHER_ROOM)])
    assert (verdict.flags, verdict.alerts) == (("two_rooms",), ("two_rooms",))


def test_a_wrong_totp_code_rejects_and_an_unasked_one_does_not_count():
    assert rejected_for(totp_fits=False) == "totp_invalid"
    assert rejected_for(totp_fits=True) is None


def test_the_first_check_that_fails_decides():
    everything = {
        "key": replace(KEY, revoked_at=NINE - DAY),
        "totp_fits": False,
        "previous": None,
        "received_at": NINE + 8 * DAY,
        "codes": [],
        "stays": [],
    }
    order = []
    for name in list(everything):
        order.append(judged(**everything).reason)
        del everything[name]

    assert order == ["key_revoked", "totp_invalid", "chain_gap", "stale_proof", "code_unknown", "beacon_not_assigned"]
