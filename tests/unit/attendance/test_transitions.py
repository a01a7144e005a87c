"""The text that a transition's digest covers is the same for ever: digests of years ago must still fit."""

import json
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from attendance_svc.domain.evidence import evidence_of
from attendance_svc.domain.signatures import Actor, Transition
from contracts.ids import SignatureId
from tests.fakes.attendance import a_course, a_plan, an_attempt, some_facts

VALUES = st.none() | st.booleans() | st.integers() | st.text()


def a_transition(evidence, note=None, actor_id=None, before=None):
    return Transition(
        signature_id=SignatureId(UUID(int=7)),
        n=2,
        before=before,
        after="LATE",
        reason="corrected",
        note=note,
        actor=Actor(type="teacher", id=actor_id),
        rule_version=1,
        at=datetime(2026, 9, 1, 9, 0, tzinfo=UTC),
        evidence=evidence,
        salt=b"0123456789abcdef",
    )


def spelled(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@given(st.dictionaries(st.text(), VALUES), st.none() | st.text(), st.none() | st.uuids())
def test_the_text_is_json_with_sorted_keys_and_no_spaces(evidence, note, actor_id):
    transition = a_transition(evidence, note, actor_id, "ACCEPTED")

    assert transition.evidence_text == spelled(evidence)
    assert transition.canonical().decode() == spelled(
        {
            "signature_id": "00000000-0000-0000-0000-000000000007",
            "n": 2,
            "from": "ACCEPTED",
            "to": "LATE",
            "reason": "corrected",
            "note": note,
            "actor_type": "teacher",
            "actor_id": None if actor_id is None else str(actor_id),
            "rule_version": 1,
            "at": "2026-09-01T09:00:00.000000+00:00",
            "evidence": evidence,
        }
    )


def test_a_digest_of_years_ago_still_fits():
    evidence = {"t": "2026-09-01T09:00:00+00:00", "pos": 7, "is_known": True, "flags": None}
    transition = a_transition(evidence, 'Zoë said: "here"\n')

    assert transition.digest() == "92f33329a93c6a48b8472dbbea2275cc965a90bdfaf90640015a0f3295619483"


def test_all_that_decided_is_in_the_text():
    facts, attempt = some_facts(a_plan(a_course())), an_attempt()

    assert json.loads(a_transition(evidence_of(facts, attempt)).canonical())["evidence"] == evidence_of(facts, attempt)
