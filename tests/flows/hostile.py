"""What a stranger may send: values near a schema, and values far from it. Same seed, same values."""

import copy
import json
from urllib.parse import quote
from uuid import UUID

CANARY = "canary7f3a"
IDS = ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
TIMES = (
    "1999-12-31T23:59:59Z",
    "2101-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T00:00:00Z",
    "2026-06-01T10:00:60Z",
    "2026-06-01 10:00:00",
    "2026-06-01T10:00:00.123456789Z",
)
WORDS = (
    "",
    " ",
    "\u00a0",
    "\0",
    "a\0b",
    "🧑‍🎓" * 40,
    CANARY * 30,
    "x" * 70_000,
    "\ud800",
    "\u202e\u200b",
    "ﬁ",
    "'; SELECT pg_sleep(9)--",
    "%s%n{0}",
    "../../etc/passwd",
    "\r\nX-Evil: 1",
    "٣",
    "null",
    "1e400",
    "-1",
    "١٢٣٤٥٦",
    "A" * 43,
    "A" * 86,
    "A" * 22,
)
NUMBERS = (0, -1, 1440, 1441, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 10**18, 10**400, -(10**18), 0.5, 1e308)
ODD = (None, True, False, [], {}, [[]], {"a": 1}, [None] * 600)
RAW = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"0",
    b'""',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": 1, "a": 2}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\u0000"}',
    b"[" * 40 + b"]" * 40,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"1" * 6000,
    b'{"a": "' + b"x" * 70_000 + b'"}',
    b" " * 70_000,
)
# Files to import, as far as they are right.
FILES = {
    "application/x-ndjson": (
        b'{"user_type": "student", "email": "a@b.eu", "firstname": "A", "lastname": "B"}\n{}\n',
        b'{"user_type": "admin", "admin_role": "manager", "email": "c@b.eu", "firstname": "A", "lastname": "B"}',
    ),
    "text/csv": (
        b'user_type,email,firstname,lastname\r\nstudent,a@b.example,"A",B\r\nteacher,c@d.example,"C\n",\r\n',
        b"name,start_at,end_at,groups\nA,2026-09-01T08:00:00Z,2026-09-01T09:00:00Z,\nB,2026-09-01T08:00:00Z,x,x\n",
    ),
    "text/calendar": (
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\nSUMMARY:A\\, B\r\nDTSTART;TZID=Europe/Paris:20260901T080000\r\n"
        b"DTEND:20260901T090000Z\r\n\tX:1\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    ),
}
NAMES = ("surprise", "school_id", "user_type", "id", "\ud800", "", "x" * 500)
HEADERS = (
    {"If-Match": "*"},
    {"If-Match": '"99999999999999999999"'},
    {"If-Match": 'W/"1"'},
    {"If-Match": '"999999999999999999"'},
    {"Idempotency-Key": "x" * 129},
    {"Idempotency-Key": CANARY},
    {"Content-Type": "text/xml"},
    {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Encoding": "gzip"},
    {"X-Request-Id": "x" * 300},
    {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-00"},
    {"X-Device-Id": IDS[0], "X-Device-Kid": "0" * 16, "X-Device-Timestamp": "9" * 13}
    | {"X-Device-Nonce": "A" * 22, "X-Device-Signature": "A" * 86},
    {
        "X-Device-Id": "x",
        "X-Device-Kid": "",
        "X-Device-Timestamp": "-1",
        "X-Device-Nonce": "=",
        "X-Device-Signature": "",
    },
    {"X-User-Id": IDS[0], "X-Forwarded-For": "1.1.1.1"},
)


class Hostile:
    """Draws requests. draw: a seeded `random.Random`. ids: things that exist, by the names of their parameters."""

    def __init__(self, draw, ids):
        self._draw, self._ids = draw, ids

    def any_id(self, name=""):
        """An id: mostly of something that exists."""
        draw = self._draw
        known = [value for key, values in self._ids.items() for value in values if key in name or draw.random() < 0.1]
        return draw.choice([*known, *known, draw.choice(IDS), str(UUID(int=draw.getrandbits(128)))])

    def word(self):
        return self._draw.choice(WORDS)

    def junk(self):
        """Anything that JSON can spell, and a little more."""
        return copy.deepcopy(self._draw.choice((*WORDS, *NUMBERS, *TIMES, *ODD, *IDS)))

    def like(self, schema, definitions, name=""):
        """A value that the schema mostly allows."""
        while "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema:
            return self.like(self._draw.choice(schema["anyOf"]), definitions, name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._draw.choice(schema["enum"])
        makers = {"object": self._object, "array": self._array, "string": self._string, "integer": self._integer}
        maker = makers.get(schema.get("type"))
        return maker(schema, definitions, name) if maker else self._draw.choice((True, False, None))

    def _object(self, schema, definitions, _name):
        required = schema.get("required", ())
        return {
            name: self.like(part, definitions, name)
            for name, part in schema.get("properties", {}).items()
            if name in required or self._draw.random() < 0.6
        }

    def _array(self, schema, definitions, name):
        return [self.like(schema["items"], definitions, name) for _ in range(self._draw.choice((1, 1, 2, 3)))]

    def _string(self, schema, _definitions, name):
        draw = self._draw
        if schema.get("format") == "uuid":
            return self.any_id(name)
        if schema.get("format") == "date-time":
            return f"2026-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}T{draw.randint(0, 23):02}:00:00Z"
        if "mail" in name:
            return f"{draw.getrandbits(40):x}@{CANARY}.example"
        if "pattern" in schema:
            return "".join(draw.choices("0123456789", k={"^[0-9a-f]{16}$": 16}.get(schema["pattern"], 8)))
        least, most = schema.get("minLength", 0), schema.get("maxLength", 40)
        length = least if least == most else draw.randint(max(least, 1), max(least, min(most, 24)))
        return "".join(draw.choices("abcdefgAB-_ é", k=length))

    def _integer(self, schema, _definitions, _name):
        least, most = schema.get("minimum", 0), schema.get("maximum", schema.get("exclusiveMaximum", 2_000) - 1)
        return self._draw.choice((least, most, self._draw.randint(least, most)))

    def body(self, schema, definitions):
        """Bytes to send: mostly JSON like the schema, with up to three faults."""
        if self._draw.random() < 0.15:
            return self._draw.choice(RAW)
        value = self.like(schema, definitions)
        for _ in range(self._draw.choice((0, 0, 1, 1, 1, 2, 3))):
            value = self._spoilt(value)
        return json.dumps(value).encode()

    def kind(self, kinds):
        """One of these kinds of content."""
        return self._draw.choice(sorted(kinds))

    def file(self, kind):
        """Bytes to send as a file of that kind: the right one, with up to nine words or bytes amiss."""
        if self._draw.random() < 0.15:
            return self._draw.choice(RAW)
        raw = bytearray(self._draw.choice(FILES[kind]))
        for _ in range(self._draw.choice((0, 1, 1, 3, 9))):
            begin = self._draw.randrange(len(raw) + 1)
            word = self.word().encode("utf-8", "replace")
            odd = self._draw.choice((word, b"\xff", b'"', b",", b"\n", b"\r\n", b":", b";", b""))
            raw[begin : begin + self._draw.choice((0, 1, 5))] = odd
        return bytes(raw)

    def _spoilt(self, value):
        places = [] if not isinstance(value, dict | list) or not value else list(walk(value))
        if not places or self._draw.random() < 0.05:
            return self.junk()
        holder, key = self._draw.choice(places)
        kind = self._draw.random()
        if kind < 0.15 and isinstance(holder, dict):
            del holder[key]
        elif kind < 0.25 and isinstance(holder, dict):
            holder[self._draw.choice(("surprise", "school_id", "user_type", "id", "\ud800", "", "x" * 500))] = (
                self.junk()
            )
        elif kind < 0.45 and isinstance(holder[key], str):
            holder[key] += self.word()
        else:
            holder[key] = self.junk()
        return value

    def path(self, template):
        """The template filled in: mostly with ids that exist."""
        parts = template.split("/")
        for place, part in enumerate(parts):
            if part.startswith("{"):
                odd = self._draw.random() < 0.1
                text = self.word()[:200].encode("utf-8", "replace") if odd else self.any_id(part[1:-1])
                parts[place] = quote(text, safe="")
        return "/".join(parts)

    def query(self, parameters):
        """A query string: some of the parameters, some faults, percent-encoded bytes that are no UTF-8 among them."""
        pairs = []
        for parameter in parameters:
            if parameter["in"] == "query" and (parameter["required"] or self._draw.random() < 0.4):
                value = self.like(parameter["schema"], {}, parameter["name"])
                value = self.junk() if self._draw.random() < 0.3 else value
                text = str(value)[:2000].encode("utf-8", "replace")
                text = b"\xff\xc0" if self._draw.random() < 0.03 else text
                pairs.append(f"{parameter['name']}={quote(text, safe='')}")
        if pairs and self._draw.random() < 0.05:
            pairs.append(self._draw.choice((pairs[0], "x=1", "%ff=1", "%00=1", "=")))
        return "?" + "&".join(pairs) if pairs else ""

    def headers(self, method):
        """Headers besides the token's."""
        found = {"Content-Type": "application/json"}
        if method == "PATCH":
            found["If-Match"] = self._draw.choice(('"1"', '"1"', '"2"', '"3"', '"0"'))
        if self._draw.random() < 0.15:
            found |= self._draw.choice(HEADERS)
        return found


def walk(value):
    """Every place in a JSON value: its holder and its key."""
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(part, dict | list):
            yield from walk(part)
