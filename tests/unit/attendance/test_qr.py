"""Rotating codes: the published vector, which steps count, and that nothing but what was shown passes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from attendance_svc.domain.qr import (
    TICKET_LIFE,
    QrScan,
    QrSession,
    code_at,
    expires_at,
    is_current,
    is_ticket_of,
    read_code,
    read_ticket,
    starts_at,
    step_of,
    ticket_of,
    to_dense_text,
    to_text,
)
from contracts.ids import CourseId, DeviceId, SchoolId, StudentId, new_id
from infra.canon import to_base64url
from tests.fakes.attendance import HOUR, MINUTE, MS, NINE, a_course

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SESSION = QrSession(
    id=new_id(),
    sid=bytes.fromhex("a1b2c3d4e5f60718"),
    school_id=SchoolId(new_id()),
    course_id=CourseId(UUID("11111111-1111-1111-1111-111111111114")),
    classroom_id=None,
    opened_by=uuid4(),
    opened_at=NEW_YEAR,
    expires_at=NEW_YEAR + HOUR,
    key=bytes(range(32)),
)
SHOWN = code_at(SESSION, 353445120)
SCAN = QrScan(
    session_id=SESSION.id,
    step=SHOWN.step,
    student_id=StudentId(uuid4()),
    device_id=DeviceId(new_id()),
    raw=SHOWN.raw,
    at=NEW_YEAR,
)


def flipped(raw):
    """Every `raw` with one bit changed."""
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def is_shown(text, session=SESSION):
    try:
        return read_code(text).is_genuine(session)
    except ValueError:
        return False


def test_the_code_of_the_published_vector():
    assert step_of(NEW_YEAR) == SHOWN.step
    assert SHOWN.tag.hex() == "4ea16c49c0ae8734c40a99d6"
    assert to_text(SHOWN) == "AaGyw9Tl9gcYFRElAABOoWxJwK6HNMQKmdY"


@pytest.mark.parametrize("spell", [to_text, to_dense_text])
def test_a_code_is_read_in_either_spelling(spell):
    assert read_code(spell(SHOWN)) == SHOWN
    assert is_shown(spell(SHOWN))


def test_a_code_with_any_bit_changed_is_not_the_sessions():
    passed = [raw for raw in flipped(SHOWN.raw) if is_shown(to_base64url(raw))]

    assert passed == []


@pytest.mark.parametrize(
    "text",
    [
        to_text(SHOWN) + "=",
        to_text(SHOWN)[:-1] + "Z",  # the same bytes, had the spare bits no meaning
        to_text(SHOWN)[:-1],
        to_text(SHOWN) + "A",
        " " + to_text(SHOWN),
        to_text(SHOWN)[:-1] + "\n",
        to_dense_text(SHOWN).lower(),
        to_dense_text(SHOWN)[:-1] + "7",
        "é" * 35,
        "é" * 42,
        "",
    ],
)
def test_a_code_has_one_spelling_of_each_kind(text):
    with pytest.raises(ValueError):
        read_code(text)


@pytest.mark.parametrize("other", [{"key": bytes(32)}, {"course_id": CourseId(new_id())}])
def test_a_code_belongs_to_one_session_and_its_course(other):
    assert not is_shown(to_text(SHOWN), replace(SESSION, **other))


@pytest.mark.parametrize(
    ("away", "counts"), [(-2, False), (-1, True), (0, True), (1, False), (2, False)]
)  # by steps, at the beginning of one
def test_the_code_of_now_and_of_the_step_before_count(away, counts):
    at = starts_at(SHOWN.step)

    assert is_current(SHOWN.step + away, at) == counts


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (-2 * SECOND - MS, False),
        (-2 * SECOND, True),
        (-2 * SECOND + MS, True),
        (10 * SECOND - MS, True),
        (10 * SECOND, False),
        (10 * SECOND + MS, False),
    ],
)
def test_a_code_counts_for_ten_seconds_and_two_before_it_is_shown(at, counts):
    assert is_current(SHOWN.step, starts_at(SHOWN.step) + at) == counts


@pytest.mark.parametrize(("at", "is_open"), [(HOUR - MS, True), (HOUR, True), (HOUR + MS, False)])
def test_a_session_ends_by_itself(at, is_open):
    assert SESSION.is_open(NEW_YEAR + at) == is_open


def test_a_session_that_was_closed_is_closed_at_any_time():
    closed = replace(SESSION, closed_at=NEW_YEAR + MINUTE)

    assert not any(closed.is_open(NEW_YEAR + at) for at in (0 * MINUTE, MINUTE, HOUR))


def test_a_session_lasts_as_long_as_its_course_and_four_hours_at_most():
    course = a_course(end_at=NINE + 5 * HOUR)

    assert expires_at(course, NINE) == NINE + 4 * HOUR
    assert expires_at(course, NINE + 2 * HOUR) == NINE + 5 * HOUR


def test_a_ticket_is_the_same_whenever_it_is_made_and_read_as_it_was_written():
    ticket = ticket_of(SCAN, SESSION)

    assert ticket == ticket_of(replace(SCAN, at=SCAN.at + SECOND), SESSION)
    assert read_ticket(ticket.text()) == ticket
    assert is_ticket_of(ticket, SCAN, SESSION)


@pytest.mark.parametrize(
    "other", [{"student_id": StudentId(uuid4())}, {"device_id": DeviceId(new_id())}, {"step": SCAN.step + 1}]
)
def test_a_ticket_fits_one_student_one_phone_and_one_step(other):
    assert not is_ticket_of(ticket_of(SCAN, SESSION), replace(SCAN, **other), SESSION)


def test_a_ticket_fits_one_session():
    other = replace(SESSION, id=new_id())

    assert not is_ticket_of(ticket_of(SCAN, SESSION), SCAN, other)


def test_a_ticket_with_any_bit_of_its_proof_changed_fits_nothing():
    ticket = ticket_of(SCAN, SESSION)

    assert not any(is_ticket_of(replace(ticket, mac=mac), SCAN, SESSION) for mac in flipped(ticket.mac))


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "A", lambda t: t + "=", lambda t: t[:-1] + "_"])
def test_a_ticket_has_one_spelling(change):
    with pytest.raises(ValueError):
        read_ticket(change(ticket_of(SCAN, SESSION).text()))


@pytest.mark.parametrize(("after", "is_good"), [(-MS, True), (0 * MS, True), (MS, False)])
def test_a_ticket_is_good_for_two_minutes(after, is_good):
    assert SCAN.is_ticket_good(NEW_YEAR + TICKET_LIFE + after) == is_good
