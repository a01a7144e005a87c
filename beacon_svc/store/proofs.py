"""The proofs that beacons pushed, and what is needed to judge them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from beacon_svc.domain.beacons import Beacon, BeaconKey, Stay
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.clock_model import Anchor
from beacon_svc.domain.proofs import FlashCode
from beacon_svc.ports import Alarm, Gathered, Judged, KeyName, Outcome, ProofFacts, Settlement, StoredProof
from beacon_svc.store.alerts import alert_of
from beacon_svc.store.beacons import totp_owner
from contracts.events.beacon import ProofReceived, ProofRejected
from contracts.events.envelope import Aggregate, Envelope, wrap
from contracts.ids import BeaconId, SchoolId, new_id
from infra.postgres import Connection, Row, columns
from infra.secret_box import SecretBox
from streams.outbox import Outbox

# Locked as they are given: in one order, as codes are below, so that batches do not wait for each other in a circle.
# LATERAL here and below: one look into an index for each, whatever the planner once knew of the tables. What is changed
# is found so, too, and then by its place: joined, each row of a batch would be compared with all others.
LOCK_KEYS = """
SELECT b.id, b.school_id, b.serial, b.classroom_id, b.nfc_profile, b.totp_required, b.version, b.created_at,
       b.retired_at, b.totp_key_sealed, k.kid, k.spki, k.not_before, k.not_after, k.revoked_at, k.ack_seq,
       s.rooms, s.froms, s.tos
FROM unnest($1::uuid[], $2::text[]) AS w (beacon_id, kid)
CROSS JOIN LATERAL (SELECT * FROM beacon_key WHERE beacon_id = w.beacon_id AND kid = w.kid FOR UPDATE) AS k
CROSS JOIN LATERAL (SELECT * FROM beacon WHERE id = k.beacon_id LIMIT 1) AS b
CROSS JOIN LATERAL (
    SELECT array_agg(classroom_id) AS rooms, array_agg(assigned_from) AS froms, array_agg(assigned_to) AS tos
    FROM (
        SELECT * FROM beacon_assignment WHERE beacon_id = k.beacon_id AND (assigned_to IS NULL OR assigned_to >= $3)
        ORDER BY assigned_from
    ) AS stays
) AS s
"""
# Most proofs are new and follow one that is no more than a hash by now. What the beacon's clocks showed before and
# after a proof, and last of all, comes with it.
LIST_AROUND = """
SELECT w.beacon_id, w.kid, w.seq, p.previous, p.is_stored, p.goes_on, p.next_waits,
       e.boot, e.uptime_ms, e.told_at, e.server_at, l.boot, l.uptime_ms, l.told_at, l.server_at,
       a.boot, a.uptime_ms, a.told_at, a.server_at
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
     AS w (beacon_id, kid, seq, boot, uptime_ms)
CROSS JOIN LATERAL (
    SELECT (array_agg(sha256) FILTER (WHERE n.seq < w.seq))[1] AS previous, bool_or(n.seq = w.seq) AS is_stored,
           bool_or(n.seq > w.seq) AS goes_on,
           bool_or(n.seq > w.seq AND n.state = 'held' AND n.reason = 'chain_gap') AS next_waits
    FROM (
        SELECT seq, sha256, state, reason FROM proof
        WHERE beacon_id = w.beacon_id AND kid = w.kid AND seq BETWEEN w.seq - 1 AND w.seq + 1 ORDER BY seq LIMIT 3
    ) AS n
) AS p
LEFT JOIN LATERAL (
    SELECT * FROM beacon_anchor WHERE beacon_id = w.beacon_id AND boot = w.boot AND uptime_ms <= w.uptime_ms
    ORDER BY uptime_ms DESC LIMIT 1
) AS e ON true
LEFT JOIN LATERAL (
    SELECT * FROM beacon_anchor WHERE beacon_id = w.beacon_id AND boot = w.boot AND uptime_ms > w.uptime_ms
    ORDER BY uptime_ms LIMIT 1
) AS l ON true
LEFT JOIN LATERAL (
    SELECT * FROM beacon_anchor WHERE beacon_id = w.beacon_id ORDER BY server_at DESC LIMIT 1
) AS a ON true
"""
LIST_BY_SEQ = """
SELECT p.id, p.school_id, p.beacon_id, p.kid, p.seq, p.message, p.sha256, p.signature, p.received_at, p.proved_at,
       p.uncertainty_ms, p.classroom_id, p.code_id, p.course_id, p.student_id, p.acting_school_id, p.flags, p.state,
       p.reason, p.signature_id, p.signature_status, p.try_at, p.try_count, p.version
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS w (beacon_id, kid, seq)
CROSS JOIN LATERAL (SELECT * FROM proof WHERE beacon_id = w.beacon_id AND kid = w.kid AND seq = w.seq LIMIT 1) AS p
"""
# In one order, so that beacons of one room that saw the same phones do not wait for each other in a circle.
LOCK_CODES = """
SELECT c.id, c.code, c.school_id, c.student_id, c.device_id, c.course_id, c.issued_at, c.expires_at, c.redeemed_by,
       c.redeemed_room
FROM unnest($1::integer[], $2::uuid[]) AS w (code, school_id)
CROSS JOIN LATERAL (
    SELECT * FROM flash_code AS f WHERE f.code = w.code AND f.school_id = w.school_id AND f.issued_at >= $3
    ORDER BY f.issued_at FOR UPDATE OF f
) AS c
"""
# Codes used up, new proofs, acknowledged numbers, and the events of all changes, in their order (as in
# streams.outbox). The keys are locked.
KEEP = """
WITH redeemed AS (
    UPDATE flash_code AS c SET redeemed_by = r.proof_id, redeemed_room = r.room
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS r (id, proof_id, room)
    CROSS JOIN LATERAL (SELECT ctid AS place FROM flash_code WHERE id = r.id AND redeemed_by IS NULL OFFSET 0) AS f
    WHERE c.ctid = f.place
), added AS (
    INSERT INTO proof (id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at,
                       uncertainty_ms, classroom_id, code_id, course_id, student_id, acting_school_id, flags, state,
                       reason, try_at, version)
    SELECT * FROM unnest($4::added_proof[])
), acknowledged AS (
    UPDATE beacon_key AS k SET ack_seq = a.seq
    FROM unnest($5::uuid[], $6::text[], $7::bigint[]) AS a (beacon_id, kid, seq)
    CROSS JOIN LATERAL (
        SELECT ctid AS place FROM beacon_key WHERE beacon_id = a.beacon_id AND kid = a.kid OFFSET 0
    ) AS f
    WHERE k.ctid = f.place
)
INSERT INTO streams_pending (shard, event_id, agg_type, agg_id, aggver, tenant, type, body)
SELECT shard, event_id, agg_type, agg_id, aggver, tenant, type, body
FROM unnest($8::smallint[], $9::uuid[], $10::text[], $11::uuid[], $12::bigint[], $13::uuid[], $14::text[],
            $15::bytea[]) WITH ORDINALITY AS e (shard, event_id, agg_type, agg_id, aggver, tenant, type, body, place)
ORDER BY place
"""
JUDGE_AGAIN = """
UPDATE proof SET proved_at = $2, classroom_id = $3, code_id = $4, course_id = $5, student_id = $6,
                 acting_school_id = $7, flags = $8, state = $9, reason = $10, try_at = $11,
                 version = $12
WHERE id = $1 AND version = $12 - 1
"""
# Up to the first proof that neither follows the one before it nor has been waited for long enough.
ACKNOWLEDGE = """
UPDATE beacon_key AS k SET ack_seq = a.seq
FROM (
    SELECT w.beacon_id, w.kid, greatest(max(s.ack_seq), max(s.seq) FILTER (WHERE s.is_whole)) AS seq
    FROM unnest($1::uuid[], $2::text[]) AS w (beacon_id, kid) CROSS JOIN LATERAL (
        SELECT f.ack_seq, f.seq, bool_and(f.follows) OVER (ORDER BY f.seq) AS is_whole FROM (
            SELECT b.ack_seq, p.seq, p.seq = lag(p.seq, 1, b.ack_seq) OVER (ORDER BY p.seq) + 1
                                     OR p.received_at <= $3 AS follows
            FROM beacon_key AS b LEFT JOIN LATERAL (
                SELECT seq, received_at FROM proof WHERE beacon_id = b.beacon_id AND kid = b.kid AND seq > b.ack_seq
                ORDER BY seq LIMIT 1000
            ) AS p ON true WHERE b.beacon_id = w.beacon_id AND b.kid = w.kid
        ) AS f
    ) AS s GROUP BY w.beacon_id, w.kid
) AS a
CROSS JOIN LATERAL (
    SELECT ctid AS place FROM beacon_key WHERE beacon_id = a.beacon_id AND kid = a.kid OFFSET 0
) AS f
WHERE k.ctid = f.place RETURNING k.beacon_id, k.kid, k.ack_seq
"""
# Not waited for on the disk: a proof whose settlement was lost is handed over again, and hears the same.
SETTLE = """
UPDATE proof AS p SET state = s.state, reason = s.reason, signature_id = s.signature_id,
                      signature_status = s.signature_status, try_at = s.try_at, try_count = p.try_count + 1
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[])
     AS s (id, state, reason, signature_id, signature_status, try_at)
CROSS JOIN LATERAL (SELECT ctid AS place FROM proof WHERE id = s.id AND state = 'held' OFFSET 0) AS f
CROSS JOIN set_config('synchronous_commit', 'off', true)
WHERE p.ctid = f.place
"""
CLAIM_DUE = """
UPDATE proof SET try_at = $2 WHERE id = ANY(ARRAY(
    SELECT id FROM proof WHERE try_at <= $1 ORDER BY try_at LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at, uncertainty_ms,
          classroom_id, code_id, course_id, student_id, acting_school_id, flags, state, reason, signature_id,
          signature_status, try_at, try_count, version
"""
MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Around:
    """What is known around the proofs of one key, as in ProofFacts. stored: numbers. anchors: by what names them."""

    stored: list[int] = field(default_factory=list)
    digests: dict[int, bytes] = field(default_factory=dict)
    followed: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    anchors: dict[tuple[Any, ...], Anchor] = field(default_factory=dict)
    latest: Anchor | None = None

    def add(self, row: tuple[Any, ...]) -> None:
        """Columns as in LIST_AROUND."""
        seq, previous, is_stored, goes_on, next_waits = row[2:7]
        if previous is not None:
            self.digests[seq - 1] = previous
        if is_stored:
            self.stored.append(seq)
        if goes_on:
            self.followed.add(seq)
        if next_waits:
            self.waiting.add(seq + 1)
        for near in (row[7:11], row[11:15]):
            if near[0] is not None and near not in self.anchors:
                self.anchors[near] = _anchor_of(*near)
        if self.latest is None and row[15] is not None:
            self.latest = _anchor_of(*row[15:])


class PostgresProofBook:
    """Satisfies ports.ProofBook. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection, *, outbox: Outbox, box: SecretBox) -> None:
        self._connection, self._outbox, self._box = connection, outbox, box

    async def gather(self, claims: Mapping[KeyName, Sequence[Claim]], *, since: datetime) -> Gathered:
        key_rows = await self._connection.fetch(LOCK_KEYS, *columns(sorted(claims), 2), since)
        schools = {row["id"]: row["school_id"] for row in key_rows}
        every = [claim for some in claims.values() for claim in some if claim.beacon_id in schools]
        around = await self._around(every)
        by_seq = await self._by_seq([(*key, seq) for key, near in around.items() for seq in near.stored])
        codes = await self._codes({(schools[claim.beacon_id], claim.code) for claim in every}, since)
        facts: dict[KeyName, ProofFacts] = {}
        for row in key_rows:
            name, beacon = (row["id"], row["kid"]), _beacon_of(row)
            near = around[name]
            facts[name] = ProofFacts(
                beacon=beacon,
                key=beacon.keys[0],
                totp_key=self._totp_key_of(row),
                ack_seq=row["ack_seq"],
                by_seq=by_seq[name],
                digests=near.digests,
                followed=near.followed,
                waiting=near.waiting,
                anchors=list(near.anchors.values()),
                latest_anchor=near.latest,
                stays=_stays_of(row),
            )
        return Gathered(facts=facts, codes=codes)

    def _totp_key_of(self, row: Row) -> bytes | None:
        return self._box.open(row["totp_key_sealed"], about=totp_owner(row["id"])) if row["totp_required"] else None

    async def _around(self, claims: Sequence[Claim]) -> defaultdict[KeyName, _Around]:
        found: defaultdict[KeyName, _Around] = defaultdict(_Around)
        wanted = [(c.beacon_id, c.kid, c.seq, c.boot, c.uptime_ms) for c in claims]
        for row in await self._connection.fetch(LIST_AROUND, *columns(wanted, 5)):
            found[row["beacon_id"], row["kid"]].add(tuple(row))
        return found

    async def _by_seq(self, wanted: Collection[tuple[BeaconId, str, int]]) -> dict[KeyName, dict[int, StoredProof]]:
        found: defaultdict[KeyName, dict[int, StoredProof]] = defaultdict(dict)
        if wanted:
            for row in await self._connection.fetch(LIST_BY_SEQ, *columns(wanted, 3)):
                found[row["beacon_id"], row["kid"]][row["seq"]] = proof_of(row)
        return found

    async def _codes(
        self, wanted: Collection[tuple[SchoolId, int]], since: datetime
    ) -> dict[tuple[SchoolId, int], list[FlashCode]]:
        found: defaultdict[tuple[SchoolId, int], list[FlashCode]] = defaultdict(list)
        schools, numbers = columns(sorted(wanted), 2)
        for row in await self._connection.fetch(LOCK_CODES, numbers, schools, since):
            found[row["school_id"], row["code"]].append(FlashCode(**dict(row)))
        return found

    async def keep(self, changes: Sequence[Judged | Alarm], acknowledged: Mapping[KeyName, int]) -> None:
        if not (changes or acknowledged):
            return
        judged = [change for change in changes if isinstance(change, Judged)]
        codes = [one.redeems for one in judged if one.redeems is not None]
        used = columns([(code.id, code.redeemed_by, code.redeemed_room) for code in codes], 3)
        new = [_row_of(one.proof) for one in judged if one.proof.version == 1]
        events = self._outbox.rows(*map(_event_of, changes))
        numbers = columns([(*key, seq) for key, seq in sorted(acknowledged.items())], 3)
        await self._connection.execute(KEEP, *used, new, *numbers, *events)
        for one in judged:
            if one.proof.version > 1:
                await self._connection.execute(JUDGE_AGAIN, one.proof.id, one.proof.proved_at, *_verdict_of(one.proof))

    async def acknowledge(self, keys: Sequence[KeyName], *, given_up_before: datetime) -> Mapping[KeyName, int]:
        moved = await self._connection.fetch(ACKNOWLEDGE, *columns(keys, 2), given_up_before)
        return {(row["beacon_id"], row["kid"]): row["ack_seq"] for row in moved}

    async def find(self, beacon_id: BeaconId, kid: str, seq: int) -> StoredProof | None:
        row = await self._connection.fetchrow(LIST_BY_SEQ, [beacon_id], [kid], [seq])
        return None if row is None else proof_of(row)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        rows = [
            (
                s.proof_id,
                s.outcome.state,
                s.outcome.reason,
                s.outcome.signature_id,
                s.outcome.signature_status,
                s.try_at,
            )
            for s in settlements
        ]
        await self._connection.execute(SETTLE, *columns(sorted(rows, key=itemgetter(0)), 6))

    async def claim_due(self, now: datetime, *, until: datetime, limit: int) -> list[StoredProof]:
        return [proof_of(row) for row in await self._connection.fetch(CLAIM_DUE, now, until, limit)]


def _anchor_of(boot: int, uptime_ms: int, told_at: datetime, server_at: datetime) -> Anchor:
    return Anchor(boot=boot, uptime_ms=uptime_ms, told_at=told_at, server_at=server_at)


def _stays_of(row: Row) -> list[Stay]:
    """Columns as in LOCK_KEYS."""
    stays = zip(row["rooms"] or (), row["froms"] or (), row["tos"] or (), strict=True)
    return [Stay(classroom_id=room, since=since, until=until) for room, since, until in stays]


def _beacon_of(row: Row) -> Beacon:
    """Columns as in LOCK_KEYS."""
    id, school_id, serial, classroom_id, nfc_profile, totp_required, version, created_at, retired_at, *rest = row
    _sealed, kid, spki, not_before, not_after, revoked_at, *_others = rest
    key = BeaconKey(kid=kid, spki=spki, not_before=not_before, not_after=not_after, revoked_at=revoked_at)
    return Beacon(
        id=id,
        school_id=school_id,
        serial=serial,
        classroom_id=classroom_id,
        nfc_profile=nfc_profile,
        totp_required=totp_required,
        version=version,
        created_at=created_at,
        retired_at=retired_at,
        keys=(key,),
    )


def _row_of(proof: StoredProof) -> tuple[Any, ...]:
    """Return a new proof as an added_proof."""
    said = (proof.beacon_id, proof.kid, proof.seq, proof.message, proof.digest, proof.signature)
    uncertainty_ms = None if proof.uncertainty is None else proof.uncertainty // MS
    times = (proof.received_at, proof.proved_at, uncertainty_ms)
    return (proof.id, proof.school_id, *said, *times, *_verdict_of(proof))


def _verdict_of(proof: StoredProof) -> tuple[Any, ...]:
    """Columns as at the end of an added_proof, and in JUDGE_AGAIN."""
    whose = (proof.classroom_id, proof.code_id, proof.course_id, proof.student_id, proof.acting_school_id)
    return (*whose, proof.flags, proof.outcome.state, proof.outcome.reason, proof.try_at, proof.version)


def _event_of(change: Judged | Alarm) -> Envelope:
    if isinstance(change, Alarm):
        beacon, proof_id = change.beacon, change.proof_id
        return alert_of(
            change.kind, beacon_id=beacon.id, school_id=beacon.school_id, proof_id=proof_id, cause=change.cause
        )
    proof = change.proof
    of = Aggregate(type="proof", id=proof.id, version=proof.version, school_id=proof.school_id)
    return wrap(news_of(proof), id=new_id(), of=of, cause=change.cause)


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
    fields |= {"digest": fields.pop("sha256"), "flags": tuple(row["flags"]), "outcome": outcome}
    return StoredProof(**fields, uncertainty=None if uncertainty_ms is None else uncertainty_ms * MS)
