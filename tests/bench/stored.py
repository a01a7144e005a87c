"""Years of signatures, put into the databases by SQL: copies of real ones, of other people and courses."""

import asyncio

from tests.bench.running import System

STORED = "SELECT count(*) FROM signature"
COURSE_SIZE = 30
AT_ONCE = 100_000
# Foreign keys and durability cost the seeding much and the load nothing.
HASTE = "SET LOCAL session_replication_role = replica; SET LOCAL synchronous_commit = off"
# Course by course, as they were signed; ids rise with time.
NEW = """
CREATE TEMPORARY TABLE new_signature ON COMMIT DROP AS
SELECT uuidv7() AS id, course_id, gen_random_uuid() AS subject_id
FROM (SELECT gen_random_uuid() AS course_id FROM generate_series(1, $1 / $2)) AS course, generate_series(1, $2::int)
"""
ADD_SIGNATURES = """
INSERT INTO signature (
    id, school_id, course_id, kind, subject_id, status, reason, method, t, received_at, rule_version, version,
    announced, idempotency_key, digest, beacon_id, classroom_id)
SELECT n.id, s.school_id, n.course_id, s.kind, n.subject_id, s.status, s.reason, s.method, s.t, s.received_at,
       s.rule_version, s.version, s.announced, n.id::text, s.digest, s.beacon_id, s.classroom_id
FROM new_signature n, (SELECT * FROM signature WHERE id = $1) AS s
"""
ADD_STUDENTS = """
INSERT INTO student_signature (signature_id, uncertainty_ms, flags, has_device, claim)
SELECT n.id, s.uncertainty_ms, s.flags, s.has_device, s.claim
FROM new_signature n, (SELECT * FROM student_signature WHERE signature_id = $1) AS s
"""
ADD_TRANSITIONS = """
INSERT INTO signature_transition (
    signature_id, n, from_status, to_status, reason, actor_type, actor_id, rule_version, at, evidence, salt, digest)
SELECT n.id, s.n, s.from_status, s.to_status, s.reason, s.actor_type, s.actor_id, s.rule_version, s.at, s.evidence,
       s.salt, s.digest
FROM new_signature n, (SELECT * FROM signature_transition WHERE signature_id = $1 AND n = 1) AS s
"""
ADD_PROOFS = """
INSERT INTO proof (signature_id, bytes)
SELECT n.id, s.bytes FROM new_signature n, (SELECT * FROM proof WHERE signature_id = $1) AS s
"""
MODEL = """
SELECT s.id FROM signature s JOIN proof p ON p.signature_id = s.id WHERE s.status = 'ACCEPTED' ORDER BY s.id LIMIT 1
"""
ADD_BEACON_PROOFS = """
INSERT INTO proof (
    id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at, uncertainty_ms,
    classroom_id, code_id, course_id, student_id, acting_school_id, flags, state, reason, signature_id,
    signature_status, try_count, version)
SELECT uuidv7(), p.school_id, p.beacon_id, lpad(to_hex($2::bigint), 16, '0'), n, p.message, p.sha256, p.signature,
       p.received_at, p.proved_at, p.uncertainty_ms, p.classroom_id, p.code_id, gen_random_uuid(), gen_random_uuid(),
       p.acting_school_id, p.flags, p.state, p.reason, gen_random_uuid(), p.signature_status, p.try_count, p.version
FROM (SELECT * FROM proof WHERE state = 'accepted' ORDER BY id LIMIT 1) AS p, generate_series(1, $1::bigint) AS n
"""


async def stored_in(system: System) -> int:
    return await system.admins["attendance"].fetchval(STORED)


async def add_signatures(system: System, *, up_to: int) -> int:
    """Add signatures to attendance and their proofs to beacon_svc until there are so many; some must be there.

    Return how many were added.
    """
    attendance, beacon = system.admins["attendance"], system.admins["beacon"]
    model, before = await attendance.fetchval(MODEL), await stored_in(system)
    while (missing := up_to - await stored_in(system)) >= COURSE_SIZE:
        count = min(missing, AT_ONCE)
        async with attendance.transaction():
            await attendance.execute(HASTE)
            await attendance.execute(NEW.replace("$1", str(count)).replace("$2", str(COURSE_SIZE)))
            for statement in (ADD_SIGNATURES, ADD_STUDENTS, ADD_TRANSITIONS, ADD_PROOFS):
                await attendance.execute(statement, model)
        async with beacon.transaction():
            await beacon.execute(HASTE)
            # Of another key each time: a key's numbers are given once.
            await beacon.execute(ADD_BEACON_PROOFS, count, missing)
    # What autovacuum would do later, in the middle of a measurement.
    await asyncio.gather(*(admin.execute("VACUUM ANALYZE") for admin in (attendance, beacon)))
    await attendance.execute("CHECKPOINT")
    return await stored_in(system) - before
