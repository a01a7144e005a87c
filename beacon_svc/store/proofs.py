"""The proofs that beacons pushed, and what is needed to judge them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from beacon_svc.domain.beacons import Beacon, BeaconKey, Stay
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.clock_model import Anchor
from beacon_svc.domain.proofs import AlertKind, FlashCode
from beacon_svc.ports import Outcome, ProofFacts, StoredProof
from beacon_svc.store.alerts import alert_of
from beacon_svc.store.beacons import FIND as FIND_BEACON
from beacon_svc.store.beacons import GET_TOTP_KEY, beacon_of, totp_owner
from contracts.events.beacon import ProofReceived, ProofRejected
from contracts.events.envelope import Aggregate, Cause, wrap
from contracts.ids import BeaconId, ClassroomId, SchoolId, new_id
from contracts.problems import NotFoundError
from infra.canon import from_base64url, to_base64url
from infra.postgres import Connection, Pool, Row, connection
from infra.secret_box import SecretBox
from streams.outbox import Outbox

FIND_SCHOOL = "SELECT school_id FROM beacon WHERE id = $1"
FIND_KEY = """
SELECT kid, spki, not_before, not_after, revoked_at FROM beacon_key WHERE beacon_id = $1 AND kid = $2
"""
LOCK_KEY = """
SELECT kid, spki, not_before, not_after, revoked_at FROM beacon_key WHERE beacon_id = $1 AND kid = $2 FOR UPDATE
"""
LIST_BY_SEQ = """
SELECT id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at, uncertainty_ms,
       classroom_id, code_id, course_id, student_id, acting_school_id, flags, state, reason, signature_id,
       signature_status, try_at, try_count, version
FROM proof WHERE beacon_id = $1 AND kid = $2 AND seq = ANY($3)
"""
LIST_GAPS = """
SELECT seq FROM proof
WHERE beacon_id = $1 AND kid = $2 AND seq = ANY($3) AND state = 'held' AND reason = 'chain_gap'
"""
# In one order, so that beacons of one room that saw the same phones do not wait for each other in a circle.
LOCK_CODES = """
SELECT id, code, school_id, student_id, device_id, course_id, issued_at, expires_at, redeemed_by, redeemed_room
FROM flash_code WHERE code = ANY($1) AND school_id = $2 AND issued_at >= $3 ORDER BY id FOR UPDATE
"""
LIST_ANCHORS_AROUND = """
SELECT DISTINCT a.boot, a.uptime_ms, a.told_at, a.server_at
FROM unnest($2::bigint[], $3::bigint[]) AS r (boot, uptime_ms)
CROSS JOIN LATERAL (
    (SELECT * FROM beacon_anchor WHERE beacon_id = $1 AND boot = r.boot AND uptime_ms <= r.uptime_ms
     ORDER BY uptime_ms DESC LIMIT 1)
    UNION ALL
    (SELECT * FROM beacon_anchor WHERE beacon_id = $1 AND boot = r.boot AND uptime_ms > r.uptime_ms
     ORDER BY uptime_ms LIMIT 1)
) AS a
"""
FIND_LATEST_ANCHOR = """
SELECT boot, uptime_ms, told_at, server_at FROM beacon_anchor WHERE beacon_id = $1 ORDER BY server_at DESC LIMIT 1
"""
LIST_STAYS = """
SELECT classroom_id, assigned_from AS since, assigned_to AS until FROM beacon_assignment
WHERE beacon_id = $1 AND (assigned_to IS NULL OR assigned_to >= $2) ORDER BY assigned_from
"""
REDEEM = "UPDATE flash_code SET redeemed_by = $2, redeemed_room = $3 WHERE id = $1 AND redeemed_by IS NULL"
ADD = """
INSERT INTO proof (id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at,
                   uncertainty_ms, classroom_id, code_id, course_id, student_id, acting_school_id, flags, state,
                   reason, try_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
"""
JUDGE_AGAIN = """
UPDATE proof SET proved_at = $2, classroom_id = $3, code_id = $4, course_id = $5, student_id = $6,
                 acting_school_id = $7, flags = $8, state = $9, reason = $10, try_at = $11, version = $12
WHERE id = $1 AND version = $12 - 1
"""
LIST_AFTER_ACK = """
SELECT p.seq, p.received_at, k.ack_seq FROM beacon_key AS k
JOIN proof AS p ON p.beacon_id = k.beacon_id AND p.kid = k.kid AND p.seq > k.ack_seq
WHERE k.beacon_id = $1 AND k.kid = $2 ORDER BY p.seq LIMIT 1000
"""
ACKNOWLEDGE = """
UPDATE beacon_key SET ack_seq = greatest(ack_seq, $3) WHERE beacon_id = $1 AND kid = $2 RETURNING ack_seq
"""
SETTLE = """
UPDATE proof SET state = $2, reason = $3, signature_id = $4, signature_status = $5, try_at = $6,
                 try_count = try_count + 1
WHERE id = $1 AND state = 'held'
"""
CLAIM_DUE = """
UPDATE proof SET try_at = $2 WHERE id IN (
    SELECT id FROM proof WHERE try_at <= $1 ORDER BY try_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at, uncertainty_ms,
          classroom_id, code_id, course_id, student_id, acting_school_id, flags, state, reason, signature_id,
          signature_status, try_at, try_count, version
"""
MS = timedelta(milliseconds=1)


class PostgresBeaconKeys:
    """Satisfies ports.BeaconKeys."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, beacon_id: BeaconId, kid: str) -> tuple[SchoolId, BeaconKey | None] | None:
        async with connection(self._pool) as lent:
            school_id = await lent.fetchval(FIND_SCHOOL, beacon_id)
            row = await lent.fetchrow(FIND_KEY, beacon_id, kid)
        return None if school_id is None else (school_id, None if row is None else BeaconKey(**dict(row)))


class PostgresProofBook:
    """Satisfies ports.ProofBook. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection, *, outbox: Outbox, box: SecretBox) -> None:
        self._connection, self._outbox, self._box = connection, outbox, box

    async def gather(self, beacon_id: BeaconId, kid: str, *, claims: Sequence[Claim], since: datetime) -> ProofFacts:
        lent = self._connection
        key_row = await lent.fetchrow(LOCK_KEY, beacon_id, kid)
        row = await lent.fetchrow(FIND_BEACON, beacon_id)
        if key_row is None or row is None:
            raise NotFoundError("not_found")
        beacon = beacon_of(row, [key_row])
        seqs = sorted({seq for claim in claims for seq in (claim.seq - 1, claim.seq)})
        followers = [claim.seq + 1 for claim in claims]
        boots, uptimes = [claim.boot for claim in claims], [claim.uptime_ms for claim in claims]
        latest = await lent.fetchrow(FIND_LATEST_ANCHOR, beacon_id)
        return ProofFacts(
            beacon=beacon,
            key=beacon.keys[0],
            totp_key=await self._totp_key(beacon),
            by_seq={stored["seq"]: proof_of(stored) for stored in await lent.fetch(LIST_BY_SEQ, beacon_id, kid, seqs)},
            gaps=frozenset(gap["seq"] for gap in await lent.fetch(LIST_GAPS, beacon_id, kid, followers)),
            codes=await self._codes(claims, beacon.school_id, since),
            anchors=[Anchor(**dict(a)) for a in await lent.fetch(LIST_ANCHORS_AROUND, beacon_id, boots, uptimes)],
            latest_anchor=None if latest is None else Anchor(**dict(latest)),
            stays=[Stay(**dict(stay)) for stay in await lent.fetch(LIST_STAYS, beacon_id, since)],
        )

    async def _totp_key(self, beacon: Beacon) -> bytes | None:
        if not beacon.totp_required:
            return None
        sealed = await self._connection.fetchval(GET_TOTP_KEY, beacon.id)
        return self._box.open(sealed, about=totp_owner(beacon.id))

    async def _codes(self, claims: Sequence[Claim], school_id: SchoolId, since: datetime) -> dict[int, list[FlashCode]]:
        numbers = [claim.code for claim in claims]
        found: dict[int, list[FlashCode]] = defaultdict(list)
        for row in await self._connection.fetch(LOCK_CODES, numbers, school_id, since):
            found[row["code"]].append(FlashCode(**dict(row)))
        return found

    async def redeem(self, code: FlashCode, *, proof_id: UUID, room: ClassroomId) -> None:
        await self._connection.execute(REDEEM, code.id, proof_id, room)

    async def keep(self, proof: StoredProof, *, cause: Cause) -> None:
        whose = (proof.classroom_id, proof.code_id, proof.course_id, proof.student_id, proof.acting_school_id)
        result = (list(proof.flags), proof.outcome.state, proof.outcome.reason, proof.try_at, proof.version)
        if proof.version == 1:
            said = (proof.beacon_id, proof.kid, proof.seq, proof.message, from_base64url(proof.sha256))
            uncertainty_ms = None if proof.uncertainty is None else proof.uncertainty // MS
            times = (proof.received_at, proof.proved_at, uncertainty_ms)
            columns = (proof.id, proof.school_id, *said, proof.signature, *times, *whose, *result)
            await self._connection.execute(ADD, *columns)
        else:
            await self._connection.execute(JUDGE_AGAIN, proof.id, proof.proved_at, *whose, *result)
        of = Aggregate(type="proof", id=proof.id, version=proof.version, school_id=proof.school_id)
        await self._outbox.add(self._connection, wrap(news_of(proof), id=new_id(), of=of, cause=cause))

    async def alert(self, kind: AlertKind, beacon: Beacon, *, proof_id: UUID, cause: Cause) -> None:
        event = alert_of(kind, beacon_id=beacon.id, school_id=beacon.school_id, proof_id=proof_id, cause=cause)
        await self._outbox.add(self._connection, event)

    async def acknowledge(self, beacon_id: BeaconId, kid: str, *, given_up_before: datetime) -> int:
        ack_seq = 0
        for row in await self._connection.fetch(LIST_AFTER_ACK, beacon_id, kid):
            if row["seq"] != max(ack_seq, row["ack_seq"]) + 1 and row["received_at"] > given_up_before:
                break
            ack_seq = row["seq"]
        return int(await self._connection.fetchval(ACKNOWLEDGE, beacon_id, kid, ack_seq))

    async def find(self, beacon_id: BeaconId, kid: str, seq: int) -> StoredProof | None:
        row = await self._connection.fetchrow(LIST_BY_SEQ, beacon_id, kid, [seq])
        return None if row is None else proof_of(row)

    async def settle(self, proof: StoredProof, outcome: Outcome, *, try_at: datetime | None) -> None:
        what = (outcome.state, outcome.reason, outcome.signature_id, outcome.signature_status)
        await self._connection.execute(SETTLE, proof.id, *what, try_at)

    async def claim_due(self, now: datetime, *, until: datetime, limit: int) -> list[StoredProof]:
        return [proof_of(row) for row in await self._connection.fetch(CLAIM_DUE, now, until, limit)]


def news_of(proof: StoredProof) -> ProofReceived | ProofRejected:
    """Say in contract terms what became of a proof."""
    state = {
        "proof_id": proof.id,
        "beacon_id": proof.beacon_id,
        "classroom_id": proof.classroom_id,
        "proved_at": proof.proved_at,
        "received_at": proof.received_at,
    }
    if proof.outcome.state == "rejected":
        return ProofRejected.model_validate(state | {"reason": proof.outcome.reason})
    return ProofReceived.model_validate(state | {"flags": list(proof.flags)})


def proof_of(row: Row) -> StoredProof:
    """Columns as in LIST_BY_SEQ."""
    fields = dict(row)
    uncertainty_ms = fields.pop("uncertainty_ms")
    outcome = Outcome(
        state=fields.pop("state"),
        reason=fields.pop("reason"),
        signature_id=fields.pop("signature_id"),
        signature_status=fields.pop("signature_status"),
    )
    fields |= {"sha256": to_base64url(row["sha256"]), "flags": tuple(row["flags"]), "outcome": outcome}
    return StoredProof(**fields, uncertainty=None if uncertainty_ms is None else uncertainty_ms * MS)
