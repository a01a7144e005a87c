"""What the line of a row says, whatever became of it."""

from uuid import uuid4

import pytest

from contracts.problems import (
    TITLES,
    ConflictError,
    DeadlineError,
    InvalidInputError,
    UnavailableError,
)
from infra.import_answers import answer_of
from infra.imported import Imported

ID = uuid4()
LINES = [
    (Imported(ID, is_new=True), "created", None, None),
    (Imported(ID, is_new=False), "exists", None, None),
    (ConflictError("email_taken"), "refused", "email_taken", None),
    (InvalidInputError("malformed_body", fields=["name"]), "refused", "malformed_body", ["name"]),
    (UnavailableError("identity_down"), "unanswered", "identity_down", None),
    (DeadlineError("deadline_exceeded"), "unanswered", "deadline_exceeded", None),
    (ZeroDivisionError("a secret"), "unanswered", "internal", None),
]


@pytest.mark.parametrize(("outcome", "status", "code", "fields"), LINES)
def test_only_what_was_judged_is_called_refused(outcome, status, code, fields):
    line = answer_of(7, outcome)

    assert (line.row, line.status, line.code, line.fields) == (7, status, code, fields)
    assert line.title == (TITLES[code] if code else None)
    assert line.id == (None if code else ID)
    assert "secret" not in line.model_dump_json()
