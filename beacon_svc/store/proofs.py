"""The proofs that beacons pushed, and what is needed to judge them."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from beacon_svc.domain.beacons import Beacon, BeaconKey, Stay
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.clock_model import Anchor
from beacon_svc.domain.proofs import FlashCode
from beacon_svc.ports import Alarm, Gathered, Judged, KeyName, KnownBeacon, Outcome, ProofFacts, Settlement, StoredProof
from beacon_svc.store.alerts import alert_of
from beacon_svc.store.beacons import totp_owner
from contracts.events.beacon import ProofReceived, ProofRejected
from contracts.events.envelope import Aggregate, Envelope, wrap
from contracts.ids import BeaconId, SchoolId, new_id
from infra.canon import from_base64url, to_base64url
from infra.postgres import Connection, Pool, Row, columns, connection
from infra.secret_box import SecretBox
from streams.outbox import Outbox

Made = TypeVar("Made")
# Of a key: hashes by number, and the numbers of those that wait for the one before.
Around = defaultdict[KeyName, tuple[dict[int, str], set[int]]]
MOST_BEACONS = 10_000

LIST_PUBLIC_KEYS = """
SELECT b.id, b.school_id, k.kid, k.spki FROM beacon AS b LEFT JOIN beacon_key AS k ON k.beacon_id = b.id
WHERE b.id = ANY($1)
"""
# Locked as they are given: in one order, as codes are below, so that batches do not wait for each other in a circle.
# LATERAL here and below: one look into an index for each, whatever the planner once knew of the tables.
LOCK_KEYS = """
SELECT b.id, b.school_id, b.serial, b.classroom_id, b.nfc_profile, b.totp_required, b.version, b.created_at,
       b.retired_at, b.totp_key_sealed, k.kid, k.spki, k.not_before, k.not_after, k.revoked_at
FROM unnest($1::uuid[], $2::text[]) AS w (beacon_id, kid)
CROSS JOIN LATERAL (SELECT * FROM beacon_key WHERE beacon_id = w.beacon_id AND kid = w.kid FOR UPDATE) AS k
CROSS JOIN LATERAL (SELECT * FROM beacon WHERE id = k.beacon_id LIMIT 1) AS b
"""
# Most proofs are new and follow one that is no more than a hash by now.
LIST_AROUND = """
SELECT w.beacon_id, w.kid, p.seq, p.sha256, p.waits
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS w (beacon_id, kid, seq)
CROSS JOIN LATERAL (
    SELECT seq, sha256, state = 'held' AND reason = 'chain_gap' AS waits FROM proof
    WHERE beacon_id = w.beacon_id AND kid = w.kid AND seq BETWEEN w.seq - 1 AND w.seq + 1 ORDER BY seq LIMIT 3
) AS p
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
LIST_ANCHORS = """
SELECT DISTINCT r.beacon_id, a.boot, a.uptime_ms, a.told_at, a.server_at, a.is_latest
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS r (beacon_id, boot, uptime_ms)
CROSS JOIN LATERAL (
    (SELECT *, false AS is_latest FROM beacon_anchor
     WHERE beacon_id = r.beacon_id AND boot = r.boot AND uptime_ms <= r.uptime_ms ORDER BY uptime_ms DESC LIMIT 1)
    UNION ALL
    (SELECT *, false FROM beacon_anchor
     WHERE beacon_id = r.beacon_id AND boot = r.boot AND uptime_ms > r.uptime_ms ORDER BY uptime_ms LIMIT 1)
    UNION ALL
    (SELECT *, true FROM beacon_anchor WHERE beacon_id = r.beacon_id ORDER BY server_at DESC LIMIT 1)
) AS a
"""
LIST_STAYS = """
SELECT beacon_id, classroom_id, assigned_from AS since, assigned_to AS until FROM beacon_assignment
WHERE beacon_id = ANY($1) AND (assigned_to IS NULL OR assigned_to >= $2) ORDER BY assigned_from
"""
# Codes used up, new proofs, and the events of all changes, in their order (as in streams.outbox).
# Arrays of arrays would lose their edges: flags come as words with commas.
KEEP = """
WITH redeemed AS (
    UPDATE flash_code AS c SET redeemed_by = r.proof_id, redeemed_room = r.room
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS r (id, proof_id, room)
    WHERE c.id = r.id AND c.id = ANY($1) AND c.redeemed_by IS NULL
), added AS (
    INSERT INTO proof (id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at,
                       uncertainty_ms, classroom_id, code_id, course_id, student_id, acting_school_id, flags, state,
                       reason, try_at, version)
    SELECT id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at,
           uncertainty_ms, classroom_id, code_id, course_id, student_id, acting_school_id, string_to_array(flags, ','),
           state, reason, try_at, version
    FROM unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::bigint[], $9::bytea[], $10::bytea[], $11::text[],
                $12::timestamptz[], $13::timestamptz[], $14::bigint[], $15::uuid[], $16::uuid[], $17::uuid[],
                $18::uuid[], $19::uuid[], $20::text[], $21::text[], $22::text[], $23::timestamptz[], $24::bigint[])
         AS n (id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at, uncertainty_ms,
               classroom_id, code_id, course_id, student_id, acting_school_id, flags, state, reason, try_at, version)
)
INSERT INTO streams_pending (shard, event_id, agg_type, agg_id, aggver, tenant, type, body)
SELECT shard, event_id, agg_type, agg_id, aggver, tenant, type, body
FROM unnest($25::smallint[], $26::uuid[], $27::text[], $28::uuid[], $29::bigint[], $30::uuid[], $31::text[],
            $32::bytea[]) WITH ORDINALITY AS e (shard, event_id, agg_type, agg_id, aggver, tenant, type, body, place)
ORDER BY place
"""
JUDGE_AGAIN = """
UPDATE proof SET proved_at = $2, classroom_id = $3, code_id = $4, course_id = $5, student_id = $6,
                 acting_school_id = $7, flags = string_to_array($8, ','), state = $9, reason = $10, try_at = $11,
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
WHERE k.beacon_id = a.beacon_id AND k.kid = a.kid AND k.kid = ANY($2) RETURNING k.beacon_id, k.kid, k.ack_seq
"""
# Not waited for on the disk: a proof whose settlement was lost is handed over again, and hears the same.
SETTLE = """
UPDATE proof AS p SET state = s.state, reason = s.reason, signature_id = s.signature_id,
                      signature_status = s.signature_status, try_at = s.try_at, try_count = p.try_count + 1
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[])
     AS s (id, state, reason, signature_id, signature_status, try_at),
     set_config('synchronous_commit', 'off', true)
WHERE p.id = s.id AND p.id = ANY($1) AND p.state = 'held'
"""
CLAIM_DUE = """
UPDATE proof SET try_at = $2 WHERE id = ANY(ARRAY(
    SELECT id FROM proof WHERE try_at <= $1 ORDER BY try_at LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id, school_id, beacon_id, kid, seq, message, sha256, signature, received_at, proved_at, uncertainty_ms,
          classroom_id, code_id, course_id, student_id, acting_school_id, flags, state, reason, signature_id,
          signature_status, try_at, try_count, version
"""
# As in KEEP.
PROOF_COLUMNS = 21
MS = timedelta(milliseconds=1)


class PostgresBeaconKeys:
    """Satisfies ports.BeaconKeys. Remembers what it read: none of it ever changes. most_count: of beacons."""

    def __init__(self, pool: Pool, *, most_count: int = MOST_BEACONS) -> None:
        self._pool, self._most_count = pool, most_count
        self._known: OrderedDict[BeaconId, KnownBeacon] = OrderedDict()

    async def find_all(self, wanted: Mapping[BeaconId, Collection[str]]) -> Mapping[BeaconId, KnownBeacon]:
        found = {
            id: known for id, kids in wanted.items() if (known := self._recall(id)) and known.keys.keys() >= {*kids}
        }
        unknown = wanted.keys() - found.keys()
        if unknown:
            found |= await self._read(unknown)
        return found

    def _recall(self, id: BeaconId) -> KnownBeacon | None:
        if id in self._known:
            self._known.move_to_end(id)
        return self._known.get(id)

    async def _read(self, ids: Collection[BeaconId]) -> Mapping[BeaconId, KnownBeacon]:
        async with connection(self._pool) as lent:
            rows = await lent.fetch(LIST_PUBLIC_KEYS, list(ids))
        keys: defaultdict[BeaconId, dict[str, bytes]] = defaultdict(dict)
        for row in rows:
            keys[row["id"]] |= {} if row["kid"] is None else {row["kid"]: row["spki"]}
        read = {row["id"]: KnownBeacon(school_id=row["school_id"], keys=keys[row["id"]]) for row in rows}
        self._known |= read
        while len(self._known) > self._most_count:
            self._known.popitem(last=False)
        return read


class PostgresProofBook:
    """Satisfies ports.ProofBook. Whoever gives the connection owns the transaction."""

    def __init__(self, connection: Connection, *, outbox: Outbox, box: SecretBox) -> None:
        self._connection, self._outbox, self._box = connection, outbox, box

    async def gather(self, claims: Mapping[KeyName, Sequence[Claim]], *, since: datetime) -> Gathered:
        lent = self._connection
        key_rows = await lent.fetch(LOCK_KEYS, *columns(sorted(claims), 2))
        schools = {row["id"]: row["school_id"] for row in key_rows}
        every = [claim for some in claims.values() for claim in some if claim.beacon_id in schools]
        around = await self._around(every)
        by_seq = await self._by_seq(_repeated(every, around))
        codes = await self._codes({(schools[claim.beacon_id], claim.code) for claim in every}, since)
        readings = ([c.beacon_id for c in every], [c.boot for c in every], [c.uptime_ms for c in every])
        near, latest = _anchors_of(await lent.fetch(LIST_ANCHORS, *readings))
        stays = _by_beacon(await lent.fetch(LIST_STAYS, list(schools), since), Stay)
        facts: dict[KeyName, ProofFacts] = {}
        for row in key_rows:
            id, beacon = row["id"], _beacon_of(row)
            digests, waiting = around[id, row["kid"]]
            facts[id, row["kid"]] = ProofFacts(
                beacon=beacon,
                key=beacon.keys[0],
                totp_key=self._box.open(row["totp_key_sealed"], about=totp_owner(id)) if beacon.totp_required else None,
                by_seq=by_seq[id, row["kid"]],
                digests=digests,
                waiting=waiting,
                anchors=near[id],
                latest_anchor=latest.get(id),
                stays=stays[id],
            )
        return Gathered(facts=facts, codes=codes)

    async def _around(self, claims: Sequence[Claim]) -> Around:
        found: Around = defaultdict(lambda: ({}, set()))
        wanted = ([c.beacon_id for c in claims], [c.kid for c in claims], [c.seq for c in claims])
        for row in await self._connection.fetch(LIST_AROUND, *wanted):
            digests, waiting = found[row["beacon_id"], row["kid"]]
            digests[row["seq"]] = to_base64url(row["sha256"])
            if row["waits"]:
                waiting.add(row["seq"])
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

    async def keep(self, changes: Sequence[Judged | Alarm]) -> None:
        if not changes:
            return
        judged = [change for change in changes if isinstance(change, Judged)]
        codes = [one.redeems for one in judged if one.redeems is not None]
        used = columns([(code.id, code.redeemed_by, code.redeemed_room) for code in codes], 3)
        new = columns([_row_of(one.proof) for one in judged if one.proof.version == 1], PROOF_COLUMNS)
        events = self._outbox.rows(*map(_event_of, changes))
        await self._connection.execute(KEEP, *used, *new, *events)
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


def _repeated(claims: Sequence[Claim], around: Around) -> set[tuple[BeaconId, str, int]]:
    """Return where proofs are stored already."""
    return {(c.beacon_id, c.kid, c.seq) for c in claims if c.seq in around[c.beacon_id, c.kid][0]}


def _anchors_of(rows: Sequence[Row]) -> tuple[defaultdict[UUID, list[Anchor]], dict[UUID, Anchor]]:
    """Return those around the readings, and the latest, by beacon. Columns as in LIST_ANCHORS."""
    near: defaultdict[UUID, list[Anchor]] = defaultdict(list)
    latest: dict[UUID, Anchor] = {}
    for beacon_id, boot, uptime_ms, told_at, server_at, is_latest in rows:
        anchor = Anchor(boot=boot, uptime_ms=uptime_ms, told_at=told_at, server_at=server_at)
        if is_latest:
            latest[beacon_id] = anchor
        else:
            near[beacon_id].append(anchor)
    return near, latest


def _by_beacon(rows: Sequence[Row], make: Callable[..., Made]) -> defaultdict[UUID, list[Made]]:
    found: defaultdict[UUID, list[Made]] = defaultdict(list)
    for row in rows:
        fields = dict(row)
        found[fields.pop("beacon_id")].append(make(**fields))
    return found


def _beacon_of(row: Row) -> Beacon:
    """Columns as in LOCK_KEYS."""
    id, school_id, serial, classroom_id, nfc_profile, totp_required, version, created_at, retired_at, *rest = row
    _sealed, kid, spki, not_before, not_after, revoked_at = rest
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
    """Columns as in KEEP."""
    said = (proof.beacon_id, proof.kid, proof.seq, proof.message, from_base64url(proof.sha256), proof.signature)
    uncertainty_ms = None if proof.uncertainty is None else proof.uncertainty // MS
    times = (proof.received_at, proof.proved_at, uncertainty_ms)
    return (proof.id, proof.school_id, *said, *times, *_verdict_of(proof))


def _verdict_of(proof: StoredProof) -> tuple[Any, ...]:
    """Columns as at the end of those of KEEP, and in JUDGE_AGAIN."""
    whose = (proof.classroom_id, proof.code_id, proof.course_id, proof.student_id, proof.acting_school_id)
    return (*whose, ",".join(proof.flags), proof.outcome.state, proof.outcome.reason, proof.try_at, proof.version)


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
    fields |= {"sha256": to_base64url(row["sha256"]), "flags": tuple(row["flags"]), "outcome": outcome}
    return StoredProof(**fields, uncertainty=None if uncertainty_ms is None else uncertainty_ms * MS)
