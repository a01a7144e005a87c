"""Calendars for other programs: short lines, escaped texts, and what we write is what we read."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from infra.icalendar import calendar_rows
from infra.icalendar_text import EventText, calendar_text, escaped, folded

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def an_event(**changes):
    usual = {
        "id": UUID(int=7),
        "version": 3,
        "changed_at": NINE - timedelta(days=1, microseconds=-5),
        "starts_at": NINE,
        "ends_at": NINE + timedelta(hours=1),
        "summary": "Algebra",
        "location": "B12",
        "is_cancelled": False,
    }
    return EventText(**(usual | changes))


def test_an_event_has_the_lines_that_other_programs_want():
    lines = calendar_text([an_event()]).decode().split("\r\n")

    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-3:] == ["END:VEVENT", "END:VCALENDAR", ""]
    assert lines[lines.index("BEGIN:VEVENT") :][1:10] == [
        "UID:00000000-0000-0000-0000-000000000007",
        "DTSTAMP:20260301T090000Z",
        "LAST-MODIFIED:20260301T090000Z",
        "SEQUENCE:2",
        "DTSTART:20260302T090000Z",
        "DTEND:20260302T100000Z",
        "SUMMARY:Algebra",
        "LOCATION:B12",
        "STATUS:CONFIRMED",
    ]


def test_a_calendar_without_events_is_one_too():
    assert calendar_rows(calendar_text([])) == []


@pytest.mark.parametrize("bytes_", [74, 75, 76, 149, 150, 400])
@pytest.mark.parametrize("char", ["x", "é", "€", "🧑"])
def test_no_line_is_longer_than_75_bytes_and_no_character_is_broken(bytes_, char):
    line = (char * 400).encode()[:bytes_].decode(errors="ignore")

    pieces = folded(line).split("\r\n")

    assert max(len(piece.encode()) for piece in pieces) <= 75
    assert pieces[0] + "".join(piece[1:] for piece in pieces[1:]) == line
    assert all(piece[0] == " " for piece in pieces[1:])


def test_75_bytes_are_one_line_and_76_are_two():
    assert [folded("x" * count).count("\r\n") for count in (75, 76, 149, 150)] == [0, 1, 1, 2]


def test_what_would_end_a_value_or_a_line_is_escaped():
    assert escaped("a;b,c\\d\r\ne\nf\rg\x00h") == r"a\;b\,c\\d\ne\nf g h"


@pytest.mark.parametrize("summary", ["Caf\u00e9; B,\\n\\", "x" * 200, "\u20ac" * 200, "a\nEND:VEVENT\nBEGIN:VEVENT"])
def test_what_is_written_is_read_as_it_was(summary):
    raw = calendar_text([an_event(summary=summary, is_cancelled=True)])

    [row] = calendar_rows(raw)

    event = row.value
    assert (event.summary, event.uid, event.is_cancelled) == (summary, str(UUID(int=7)), True)
    assert (event.starts_at, event.ends_at) == (NINE, NINE + timedelta(hours=1))
