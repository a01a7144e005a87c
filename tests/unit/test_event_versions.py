"""No event changes in a way that breaks who reads it today or what was written yesterday."""

import copy

import pytest

from contracts.events.catalogue import EVENTS
from infra.cli.event_versions import breaks, versions
from infra.cli.schemas import event_schema

COURSE = "academics.course.updated.v1"


@pytest.mark.parametrize("wire_name", EVENTS)
def test_the_shape_of_today_breaks_no_shape_that_ever_was(wire_name):
    kept = versions(wire_name)

    assert kept, "run ./dev contracts"
    assert [found for version in kept for found in breaks(version, event_schema(wire_name))] == []


@pytest.fixture
def course():
    return versions(COURSE)[-1]


def changed(course, change):
    made = copy.deepcopy(course)
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda s: s["properties"].pop("start_at"), "data.start_at is gone"),
        (
            lambda s: s["properties"].update(room={"type": "string"}),
            "data.room is new and has no default",
        ),
        (
            lambda s: s["properties"]["cancelled"].update(type="string"),
            'data.cancelled.type was "boolean" and is "string"',
        ),
        (
            lambda s: s["properties"]["closed_by"]["anyOf"][0]["enum"].append("sweep"),
            "data.closed_by.anyOf was",
        ),
        (
            lambda s: s["properties"]["start_at"].pop("format"),
            'data.start_at.format was "date-time" and is null',
        ),
    ],
    ids=["a field is gone", "a new one has no default", "another kind", "a new word", "any text"],
)
def test_a_change_that_breaks_an_old_reader_is_found(course, change, found):
    [sentence] = breaks(course, changed(course, change))

    assert sentence.startswith(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["properties"].update(room={"type": "string", "default": ""}),
        lambda s: s.update(description="Said otherwise."),
        lambda s: s["properties"]["start_at"].update(title="Begin"),
    ],
    ids=["a new field with a default", "another sentence", "another title"],
)
def test_an_optional_field_and_other_words_break_nobody(course, change):
    assert breaks(course, changed(course, change)) == []
