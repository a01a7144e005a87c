"""Calendars as other programs read them. Source: RFC 5545; REFRESH-INTERVAL: RFC 7986."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

MAX_LINE_BYTES = 75
# What no text may hold; a line feed is written as a word.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
BEGIN = (
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Rollcall//Courses//EN",
    "CALSCALE:GREGORIAN",
    "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventText:
    """What a calendar says of one event. version: from 1. changed_at: when it was last changed."""

    id: UUID
    version: int
    changed_at: datetime
    starts_at: datetime
    ends_at: datetime
    summary: str
    location: str
    is_cancelled: bool


def calendar_text(events: Sequence[EventText]) -> bytes:
    """Return a calendar of `events`, in their order: the same for the same events."""
    lines = [*BEGIN, *(line for event in events for line in _event_lines(event)), "END:VCALENDAR"]
    return "".join(f"{folded(line)}\r\n" for line in lines).encode()


def _event_lines(event: EventText) -> list[str]:
    # Without METHOD, DTSTAMP says when the event was changed last, too (section 3.8.7.2).
    changed_at = _utc(event.changed_at)
    return [
        "BEGIN:VEVENT",
        f"UID:{event.id}",
        f"DTSTAMP:{changed_at}",
        f"LAST-MODIFIED:{changed_at}",
        f"SEQUENCE:{event.version - 1}",
        f"DTSTART:{_utc(event.starts_at)}",
        f"DTEND:{_utc(event.ends_at)}",
        f"SUMMARY:{escaped(event.summary)}",
        *([f"LOCATION:{escaped(event.location)}"] if event.location else []),
        f"STATUS:{'CANCELLED' if event.is_cancelled else 'CONFIRMED'}",
        "END:VEVENT",
    ]


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def escaped(text: str) -> str:
    """Return `text` as a value of type TEXT; characters that none may hold become blanks."""
    for plain, spelled in (("\\", r"\\"), (";", r"\;"), (",", r"\,"), ("\r\n", r"\n"), ("\n", r"\n")):
        text = text.replace(plain, spelled)
    return CONTROL.sub(" ", text)


def folded(line: str) -> str:
    """Return `line` in pieces of at most 75 bytes, broken between characters only."""
    pieces, length = [""], 0
    for char in line:
        size = len(char.encode())
        if length + size > MAX_LINE_BYTES:
            # The blank that begins the next piece counts.
            pieces, length = [*pieces, ""], 1
        pieces[-1] += char
        length += size
    return "\r\n ".join(pieces)
