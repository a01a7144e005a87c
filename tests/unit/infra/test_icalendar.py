"""Calendar files: events with a start and an end in a zone that everybody knows; what else there is, is told."""

import pytest

from contracts.problems import MalformedError, ProblemError
from infra.icalendar import calendar_rows

USUAL = {"UID": "a@school", "SUMMARY": "Algebra", "DTSTART": "20260302T090000Z", "DTEND": "20260302T110000Z"}


def an_event(*more, **changes):
    fields = [f"{name}:{value}" for name, value in (USUAL | changes).items() if value is not None]
    return "\r\n".join(["BEGIN:VEVENT", *fields, *more, "END:VEVENT"])


def a_calendar(*parts):
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y", *parts, "END:VCALENDAR", ""]).encode()


def codes(raw):
    return [row.value.code if isinstance(row.value, ProblemError) else "event" for row in calendar_rows(raw)]


def one(*more, **changes):
    [row] = calendar_rows(a_calendar(an_event(*more, **changes)))
    return row.value


def test_an_event_is_read_with_its_times_as_they_are():
    event = one()

    assert (event.uid, event.summary, event.is_cancelled) == ("a@school", "Algebra", False)
    assert (event.starts_at.isoformat(), event.ends_at.isoformat()) == (
        "2026-03-02T09:00:00+00:00",
        "2026-03-02T11:00:00+00:00",
    )


ZONED = [
    ("DTSTART;TZID=Europe/Paris:20260302T090000", "2026-03-02T09:00:00+01:00"),
    (
        'DTSTART;VALUE=DATE-TIME;X-A=b,"c;TZID=Asia/Tokyo";tzid="Europe/Paris":20260702T090000',
        "2026-07-02T09:00:00+02:00",
    ),
    # A time that the clocks leave out counts from before they change, one that comes twice is the first of both.
    ("DTSTART;TZID=Europe/Paris:20260329T023000", "2026-03-29T02:30:00+01:00"),
    ("DTSTART;TZID=Europe/Paris:20261025T023000", "2026-10-25T02:30:00+02:00"),
]


@pytest.mark.parametrize(("line", "at"), ZONED)
def test_a_time_counts_in_the_zone_that_it_names(line, at):
    assert one(line, DTSTART=None).starts_at.isoformat() == at


def test_lines_are_unfolded_even_within_a_character_and_texts_unescaped():
    raw = a_calendar(an_event(SUMMARY=r"Caf\, b\;c\\d\ne")).replace(b"Caf", "Café".encode())
    raw = raw.replace(b"\xc3\xa9", b"\xc3\r\n \xa9").replace(b"DTSTART", b"DTS\n\tTART")

    [row] = calendar_rows(raw)

    assert row.value.summary == "Café, b;c\\d\ne"


def test_what_is_no_event_is_passed_over():
    alarm = "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nDTSTART:nonsense\r\nnonsense\r\nEND:VALARM"
    zone = "BEGIN:VTIMEZONE\r\nTZID:X\r\nBEGIN:STANDARD\r\nRRULE:FREQ=YEARLY\r\nEND:STANDARD\r\nEND:VTIMEZONE"

    assert codes(a_calendar(zone, an_event(alarm), "BEGIN:VTODO\r\nUID:t\r\nEND:VTODO") + a_calendar(an_event())) == [
        "event",
        "event",
    ]


REFUSED = [
    (an_event("RRULE:FREQ=WEEKLY"), "event_recurs"),
    (an_event("RECURRENCE-ID:20260302T090000Z"), "event_recurs"),
    (an_event(DTEND=None), "malformed_row"),
    (an_event(UID=None), "malformed_row"),
    (an_event("SUMMARY:Another"), "malformed_row"),
    (an_event("no colon"), "malformed_row"),
    (an_event('X;A="open:1'), "malformed_row"),
    (an_event(SUMMARY=r"a\x"), "malformed_row"),
    (an_event(SUMMARY="a\\"), "malformed_row"),
    (an_event("DTSTART;VALUE=DATE:20260302", DTSTART=None), "malformed_row"),
    (an_event("DTSTART;TZID=Europe/Paris:20260302T090000Z", DTSTART=None), "malformed_row"),
    (an_event(DTSTART="20260230T090000Z"), "malformed_row"),
    (an_event(DTSTART="20260302T090060Z"), "malformed_row"),
    (an_event(DTSTART="\u0662\u0660260302T090000Z"), "malformed_row"),
    (an_event(DTSTART="20260302T090000"), "time_zone_unknown"),
    *(
        (an_event(f"DTSTART;TZID={zone}:20260302T090000", DTSTART=None), "time_zone_unknown")
        for zone in (
            "W. Europe Standard Time",
            "/usr/Europe/Paris",
            "../../etc/passwd",
            "Europe",
            "zone.tab",
            "localtime",
            "x" * 999,
        )
    ),
]


@pytest.mark.parametrize(("event", "code"), REFUSED)
def test_an_event_that_is_not_read_is_told_by_itself(event, code):
    assert codes(a_calendar(an_event(), event, an_event())) == ["event", code, "event"]


BROKEN = [
    b"",
    b"hello",
    b"name,start_at\n",
    a_calendar()[:-16],
    a_calendar(an_event()).replace(b"END:VEVENT\r\n", b""),
    a_calendar("END:VEVENT"),
    an_event().encode(),
    a_calendar("BEGIN:A\r\n" * 3 + "BEGIN:A\r\nEND:A" + "\r\nEND:A" * 3),
    a_calendar(an_event(SUMMARY="a\0b")),
    a_calendar(an_event(SUMMARY="caf")).replace(b"caf", b"caf\xe9"),
    a_calendar() + b"more",
]


@pytest.mark.parametrize("raw", BROKEN)
def test_a_file_whose_parts_do_not_nest_is_none(raw):
    with pytest.raises(MalformedError, match="malformed_file"):
        calendar_rows(raw)


def test_a_long_line_of_parameters_is_read_in_no_time():
    assert one("X" + ";A=b" * 200_000 + '"').code == "malformed_row"
