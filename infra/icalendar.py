"""Calendar files, read strictly: single events with a start and an end. Source: RFC 5545."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from contracts.problems import InvalidInputError, MalformedError, ProblemError
from infra.import_files import FileRow, Rows, text_of

VALUE = r'(?:"[^"]*"|[^";:,]*)'
PARAMETER = re.compile(rf";([A-Za-z0-9-]+)=({VALUE}(?:,{VALUE})*)")
LINE = re.compile(rf"([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+={VALUE}(?:,{VALUE})*)*):(.*)", re.DOTALL)
# Folded lines may be broken within a character, so they are joined before they are text.
FOLD = re.compile(rb"\r?\n[ \t]")
LOCAL_TIME = re.compile(r"[0-9]{8}T[0-9]{6}")
ESCAPED = re.compile(r"\\(.?)", re.DOTALL)
PLAIN = {"\\": "\\", ";": ";", ",": ",", "n": "\n", "N": "\n"}
ONCE = frozenset(("UID", "SUMMARY", "DTSTART", "DTEND", "STATUS"))
EVENT = ["VCALENDAR", "VEVENT"]
MAX_NESTED = 4  # a calendar's event's alarm, and one to spare
OF_THIS_MACHINE = frozenset(("localtime", "posixrules"))
RECURRING = frozenset(("RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEvent:
    """One event of a file."""

    uid: str
    summary: str
    starts_at: datetime
    ends_at: datetime
    is_cancelled: bool


@dataclass(frozen=True, slots=True)
class Property:
    """One line of an event: its value as written, and its parameters by their names in capitals."""

    value: str
    parameters: dict[str, str]


@dataclass(slots=True)
class Draft:
    """An event while its lines come in."""

    properties: dict[str, Property] = field(default_factory=dict)
    fault: ProblemError | None = None

    def take(self, line: str) -> None:
        """Note the property of a line, or what is wrong with it."""
        parts = LINE.fullmatch(line)
        if parts is None:
            self.fault = MalformedError("malformed_row")
            return
        name = parts[1].upper()
        if name in RECURRING:
            self.fault = InvalidInputError("event_recurs")
        elif name in ONCE and name in self.properties:
            self.fault = MalformedError("malformed_row", fields=[name])
        parameters = {key.upper(): value.strip('"') for key, value in PARAMETER.findall(parts[2])}
        self.properties[name] = Property(parts[3], parameters)

    def finished(self) -> CalendarEvent | ProblemError:
        """Return the event, or why it is none that is read here."""
        try:
            return self.fault or self._event()
        except ProblemError as problem:
            return problem

    def _event(self) -> CalendarEvent:
        missing = [name for name in ("UID", "SUMMARY", "DTSTART", "DTEND") if name not in self.properties]
        if missing:
            raise MalformedError("malformed_row", fields=missing)
        status = self.properties.get("STATUS")
        return CalendarEvent(
            uid=_text(self.properties["UID"].value),
            summary=_text(self.properties["SUMMARY"].value),
            starts_at=_moment("DTSTART", self.properties["DTSTART"]),
            ends_at=_moment("DTEND", self.properties["DTEND"]),
            is_cancelled=status is not None and status.value.strip().upper() == "CANCELLED",
        )


def calendar_rows(raw: bytes) -> Rows[CalendarEvent]:
    """Return the events of a calendar file, in order; alarms, time zones and whatever else it holds are passed over.

    Zones are known by their names, not by the file's own rules: two programs that disagree about a zone's rules would
    else disagree about a course. Raises: MalformedError("malformed_file") unless its parts nest and end.
    """
    reader = Reader()
    for line in text_of(FOLD.sub(b"", raw)).replace("\r\n", "\n").split("\n"):
        if line:
            reader.take(line)
    if reader.parts or not reader.has_begun:
        raise MalformedError("malformed_file")
    return [FileRow(number, event) for number, event in enumerate(reader.events, 1)]


@dataclass(slots=True)
class Reader:
    """What was read so far. parts: the names of the parts that have begun and not ended, the outermost first."""

    events: list[CalendarEvent | ProblemError] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    has_begun: bool = False
    _draft: Draft = field(default_factory=Draft)

    def take(self, line: str) -> None:
        """Read one line. Raises: MalformedError("malformed_file")."""
        word, _, name = line.partition(":")
        if word.upper() == "BEGIN":
            self._begin(name.strip().upper())
        elif word.upper() == "END":
            self._end(name.strip().upper())
        elif not self.parts:
            raise MalformedError("malformed_file")
        elif self.parts == EVENT:
            self._draft.take(line)

    def _begin(self, name: str) -> None:
        self.parts.append(name)
        self.has_begun = True
        if self.parts[0] != EVENT[0] or len(self.parts) > MAX_NESTED:
            raise MalformedError("malformed_file")
        if self.parts == EVENT:
            self._draft = Draft()

    def _end(self, name: str) -> None:
        if not self.parts or self.parts[-1] != name:
            raise MalformedError("malformed_file")
        if self.parts == EVENT:
            self.events.append(self._draft.finished())
        self.parts.pop()


def _text(value: str) -> str:
    found = ESCAPED.findall(value)
    if not set(found) <= PLAIN.keys():
        raise MalformedError("malformed_row")
    return ESCAPED.sub(lambda match: PLAIN[match[1]], value)


def _moment(name: str, of: Property) -> datetime:
    value, zone = of.value.strip(), of.parameters.get("TZID")
    local = value.removesuffix("Z")
    if not LOCAL_TIME.fullmatch(local) or (local != value and zone is not None):
        raise MalformedError("malformed_row", fields=[name])
    try:
        at = datetime.strptime(local, "%Y%m%dT%H%M%S")  # noqa: DTZ007 -- the zone follows
    except ValueError as error:
        raise MalformedError("malformed_row", fields=[name]) from error
    return at.replace(tzinfo=UTC if local != value else _zone(name, zone))


def _zone(name: str, zone: str | None) -> ZoneInfo:
    """A time without a zone is whoever's who reads it: no time that a server could judge by. Nor is a machine's own."""
    try:
        return ZoneInfo("" if zone is None or zone in OF_THIS_MACHINE else zone)
    # An unknown name, one that is no name, and the name of a folder of zones.
    except (LookupError, ValueError, OSError) as error:
        raise InvalidInputError("time_zone_unknown", fields=[name]) from error
