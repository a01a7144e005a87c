"""When the copy may decide: the whole table, over all its inputs."""

from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from attendance_svc.domain.freshness import CopyState, Outlook, SeenVersion, decide_source, read_token
from tests.fakes.attendance import NINE

TICK = timedelta(microseconds=1)
RECENT = timedelta(seconds=5)
MARGIN = timedelta(milliseconds=1_250)
# Where `as_of` may lie, and what that alone allows: a yes and a no, a yes, or nothing.
AGES = {
    NINE + timedelta(days=1): "both",
    NINE + MARGIN: "both",
    NINE + MARGIN - TICK: "yes",
    NINE: "yes",
    NINE - RECENT: "yes",
    NINE - RECENT - TICK: "nothing",
    NINE - timedelta(days=1): "nothing",
    None: "nothing",
}
SINCE = {NINE - TICK: True, NINE: True, NINE + TICK: False, None: False}
FLAGS = (True, False)


@pytest.mark.parametrize("as_of", AGES)
def test_the_copy_decides_exactly_when_the_table_says_so(as_of):
    for since, *flags in product(SINCE, FLAGS, FLAGS, FLAGS, FLAGS, FLAGS, FLAGS):
        is_running, is_tainted, is_same_log, has_seen, is_measured, refuses = flags
        copy = CopyState(as_of=as_of, is_running=is_running, facts_since=since, is_tainted=is_tainted)
        outlook = Outlook(margin=MARGIN if is_measured else None, is_same_log=is_same_log, has_seen=has_seen)

        decided = decide_source(copy, NINE, outlook, refuses=refuses)

        sound = is_running and not is_tainted and is_same_log and has_seen and is_measured and SINCE[since]
        wanted = "ask"
        if sound and AGES[as_of] == "both":
            wanted = "local_exact"
        elif sound and AGES[as_of] == "yes" and not refuses:
            wanted = "local_recent"
        assert decided == wanted, (copy, outlook, refuses)


def test_a_larger_margin_never_makes_anything_more_certain():
    copy = CopyState(as_of=NINE + MARGIN, is_running=True, facts_since=NINE, is_tainted=False)

    decided = [decide_source(copy, NINE, Outlook(margin=margin), refuses=True) for margin in (MARGIN, MARGIN + TICK)]

    assert decided == ["local_exact", "ask"]


SOME_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.parametrize("kind", ["course", "group", "preferences"])
def test_a_token_of_academics_names_what_was_written(kind):
    seen = SeenVersion(kind=kind, id=UUID(SOME_ID), version=7)

    assert read_token(f"academics/3/{kind}:{SOME_ID}@7") == seen


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        f"attendance/3/course:{SOME_ID}@7",
        f"academics/3/classroom:{SOME_ID}@7",
        f"academics/3/course:{SOME_ID.upper()}@7",
        f"academics/3/course:{SOME_ID}@-7",
        f"academics/3/course:{SOME_ID}@{'9' * 19}",
        f"academics/3/course:{SOME_ID}@\N{ARABIC-INDIC DIGIT SEVEN}",
        f"academics/3/course:{SOME_ID}@7\n",
        f" academics/3/course:{SOME_ID}@7",
    ],
)
def test_any_other_token_is_ignored(text):
    assert read_token(text) is None
