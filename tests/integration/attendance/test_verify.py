"""Whoever changes, behind the service's back, what was decided about a signature is found out and named."""

import asyncio
import json
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from typer.testing import CliRunner

from attendance_svc.__main__ import app
from attendance_svc.store.transitions import LIST_TRANSITIONS, transition_of
from streams.seal import PostgresLedger
from tests.integration.attendance.playing import sign

PLACES = {
    "REDIS_URL": "redis://127.0.0.1:9/0",
    "TLS_CA_FILE": "ca.pem",
    "TLS_CERT_FILE": "attendance.pem",
    "TLS_KEY_FILE": "attendance-key.pem",
    "KEY_FILE": "key",
    "IDENTITY_JWKS_URL": "http://127.0.0.1:9/jwks.json",
    "BEACON_JWKS_URL": "http://127.0.0.1:9/jwks.json",
    "PUBLIC_ORIGIN": "https://api.school.example",
}
UPDATE = "UPDATE signature_transition SET {} WHERE signature_id = $1 AND n = 2"
FORGED = "UPDATE signature_transition SET note = $2, digest = $3 WHERE signature_id = $1 AND n = 2"
BY_HAND = "SET session_replication_role = replica"


@pytest.fixture
async def corrected(school, teacher):
    """A signature that a teacher corrected, and one of somebody else whose second try changed nothing; all is told."""
    kept, again = await sign(school, uuid4()), uuid4()
    await sign(school, again)
    await sign(school, again)
    await teacher.patch(kept.signature.id, 1, status="LATE", reason="came with the others")
    for shard in range(4):
        await PostgresLedger(pool=school.pool, shard=shard).seal(limit=100, seen=None)
    return kept.signature.id


@pytest.fixture
def verify(school):
    """Run `python -m attendance_svc verify`: return its exit code, a verdict per shard, what differs, the count."""

    async def run():
        variables = {f"ATTENDANCE_{name}": value for name, value in PLACES.items()}
        variables |= {"ATTENDANCE_DATABASE_URL": school.admin_url}
        done = await asyncio.to_thread(CliRunner().invoke, app, ["verify"], env=variables)
        assert done.stderr == ""
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done.exit_code, lines[:4], lines[4:-1], lines[-1]

    return run


@pytest.fixture
async def tamper(school):
    """Change rows as somebody who may do everything and whom no constraint stops."""
    connection = await asyncpg.connect(school.admin_url)
    await connection.execute(BY_HAND)
    yield connection.execute
    await connection.close()


async def test_what_nobody_touched_is_sound(corrected, verify):
    code, verdicts, differing, count = await verify()

    assert (code, differing, count) == (0, [], {"rows": 4, "differing": 0})
    assert sum(verdict["entries"] for verdict in verdicts) == 3, "the second try told nothing"


@pytest.mark.parametrize(
    "change",
    [
        "note = 'never came'",
        "note = NULL",
        "reason = 'on_time'",
        """evidence = evidence || '{"basis": "copy"}'""",
        "evidence = '[]'",
        "from_status = NULL",
        "actor_type = 'admin'",
        "actor_id = gen_random_uuid()",
        "rule_version = rule_version + 1",
        "at = at - interval '1 microsecond'",
        "salt = substr(sha256('x'), 1, 16)",
    ],
)
async def test_a_changed_transition_is_found_and_named(corrected, verify, tamper, change):
    await tamper(UPDATE.format(change), corrected)

    code, verdicts, differing, count = await verify()

    assert (code, count["differing"]) == (1, 1)
    assert differing == [{"signature_id": str(corrected), "transition": 2, "why": "is not what was decided"}]
    assert [verdict["first_bad"] for verdict in verdicts] == [None] * 4, "the digests are still what was told"


async def test_a_transition_that_was_rewritten_with_its_digest_is_not_what_the_log_tells(
    corrected, verify, tamper, school
):
    row = (await school.pool.fetch(LIST_TRANSITIONS, [corrected]))[1]
    forged = replace(transition_of(row, json.loads(row["evidence"])), note="never came")
    await tamper(FORGED, corrected, forged.note, bytes.fromhex(forged.digest()))

    code, verdicts, differing, _ = await verify()

    assert (code, differing) == (1, []), "the row itself looks right"
    assert [verdict["why"] for verdict in verdicts if verdict["first_bad"]] == [
        f"signature {corrected} has no such transition"
    ]


@pytest.mark.parametrize(
    ("change", "n", "why"),
    [
        ("DELETE FROM signature_transition WHERE signature_id = $1 AND n = 1", 1, "is missing"),
        ("UPDATE signature SET version = 1 WHERE id = $1", 2, "is beyond the signature's version"),
        ("UPDATE signature SET status = 'REFUSED' WHERE id = $1", 2, "led to LATE, the signature says REFUSED"),
    ],
)
async def test_a_history_that_does_not_lead_to_its_signature_is_found(corrected, verify, tamper, change, n, why):
    await tamper(change, corrected)

    code, _, differing, _ = await verify()

    assert (code, differing) == (1, [{"signature_id": str(corrected), "transition": n, "why": why}])


async def test_steps_whose_signature_was_removed_are_found(corrected, verify, tamper):
    await tamper("DELETE FROM signature WHERE id = $1", corrected)

    code, _, differing, _ = await verify()

    assert code == 1
    assert differing == [{"signature_id": str(corrected), "transition": n, "why": "is of no signature"} for n in (1, 2)]


async def test_a_signature_that_was_removed_with_all_its_history_is_missed_by_the_log(corrected, verify, tamper):
    for table, column in (
        ("signature_transition", "signature_id"),
        ("student_signature", "signature_id"),
        ("signature", "id"),
    ):
        await tamper(f"DELETE FROM {table} WHERE {column} = $1", corrected)

    code, verdicts, _, _ = await verify()

    assert code == 1
    assert f"signature {corrected} has no such transition" in [verdict["why"] for verdict in verdicts]
