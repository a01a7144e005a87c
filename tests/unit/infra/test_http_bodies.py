"""Fields of bodies and queries take one spelling each."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from contracts.problems import MalformedError
from infra.http_bodies import Body, Id, Moment, Name, PageQuery, Query, page_after, page_of

ID = "0198f3b2-7c1d-7d7e-9a52-3f2f0c9d8e11"


class Visit(Body):
    who: Id
    at: Moment
    name: Name
    count: int
    sure: bool = True


class Period(Query):
    since: Moment


VISIT = {"who": ID, "at": "2026-09-01T08:00:00Z", "name": "Ada", "count": 1}

REFUSED = {
    "who": [
        ID.upper(),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID.replace("-", ""),
        ID[:-1] + "\uff11",
        ID + "\n",
        5,
        None,
        "",
        [ID],
    ],
    "at": [
        "2026-09-01T08:00:00",
        "2026-09-01 08:00:00Z",
        "2026-09-01T08:00Z",
        "2026-09-01",
        "2026-13-01T08:00:00Z",
        "2026-02-30T08:00:00Z",
        "2026-09-01T24:00:00Z",
        "2026-09-01T08:00:60Z",
        "2026-09-01T08:00:00.1234567890Z",
        "2026-09-01T08:00:00+25:00",
        "\uff12026-09-01T08:00:00Z",
        "1999-12-31T23:59:59Z",
        "2100-01-02T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "1767225600",
        1767225600,
        1e10,
        "now",
        "",
        None,
    ],
    "name": ["", "   ", "x" * 201, 5, None, ["x"]],
    "count": ["1", 1.5, True, None, "٣"],
    "sure": ["true", 1, None, "yes"],
    "surprise": [1, None],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in REFUSED.items() for v in values])
def test_another_spelling_is_refused(field, value):
    with pytest.raises(ValidationError):
        Visit.model_validate(VISIT | {field: value})


def test_every_field_is_read_in_its_one_spelling():
    visit = Visit.model_validate(VISIT | {"name": " Ada ", "at": "2026-09-01T10:00:00.25+02:00"})

    assert visit.who == UUID(ID)
    assert visit.at == datetime(2026, 9, 1, 8, 0, 0, 250_000, UTC)
    assert visit.at.tzinfo is UTC
    assert visit.name == "Ada"


@pytest.mark.parametrize("text", ["1767225600", "1e9", "2026-09-01", "2026-09-01T08:00:00", "2026-09-01 08:00:00Z"])
def test_a_moment_in_a_query_is_as_strict_as_in_a_body(text):
    with pytest.raises(ValidationError):
        Period.model_validate({"since": text})


@pytest.mark.parametrize("text", ["0", "-1", "201", "1e2", "٣", "1.0", " 1", "+1", "", "0x10", "9" * 30, "1_0"])
def test_a_limit_is_1_to_200_in_plain_digits(text):
    with pytest.raises(ValidationError):
        PageQuery.model_validate({"limit": text})


def test_a_page_tells_where_the_next_begins():
    rows = [UUID(int=n) for n in range(1, 7)]

    first = page_of(rows[:3], PageQuery(limit=2), id_of=lambda row: row)
    last = page_of(rows[4:], PageQuery(limit=2), id_of=lambda row: row)

    assert (first.items, last.items) == (rows[:2], rows[4:])
    assert page_after(PageQuery(cursor=first.next_cursor)) == rows[1]
    assert last.next_cursor is None
    assert page_after(PageQuery()) is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "AAAA",
        "é" * 22,
        "A" * 21 + "B",
        "A" * 20 + "+/",
        "A" * 22 + "==",
        "A" * 10 + "!!" + "A" * 12,
        "A" * 23,
        "A A" * 8,
    ],
)
def test_a_cursor_that_no_page_gave_is_refused(cursor):
    with pytest.raises(MalformedError, match="malformed_cursor"):
        page_after(PageQuery(cursor=cursor))
