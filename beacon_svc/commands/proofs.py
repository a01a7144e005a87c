"""Taking in what beacons push: many pushes at once, each answered by itself."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from beacon_svc.commands.judging import Ledger, Submission, judge_waiting
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.proofs import GAP_PATIENCE, KEPT
from beacon_svc.ports import BeaconKeys, KeyName, KnownBeacon, OpenProofBook, Outcome, ProofBook, StoredProof
from contracts.events.envelope import Cause
from contracts.ids import BeaconId
from contracts.problems import NotFoundError, ProblemError
from contracts.values import value
from infra.canon import from_spki, is_signed

# Fewer are checked faster than a thread is woken; and threads that share fewer wait for each other.
MANY, SHARE = 4, 64
# Checking leaves the interpreter's lock, and one thread shall be left for those who wait.
CHECKING_THREADS = 2
REMEMBERED_KEYS = 4_096

SIGNATURE_INVALID = Outcome(state="rejected", reason="signature_invalid")
KEY_UNKNOWN = Outcome(state="rejected", reason="key_unknown")
SEQ_CONFLICT = Outcome(state="rejected", reason="seq_conflict")

# Parsing a key costs as much as using it.
parse_key = lru_cache(maxsize=REMEMBERED_KEYS)(from_spki)


@value
class Push:
    """Proofs of one key, at least one, as they came in one request."""

    submissions: Sequence[Submission]
    pushed_by: BeaconId
    cause: Cause

    @property
    def key(self) -> KeyName:
        """The key that they were all signed with, as they say."""
        return self.submissions[0].key


@value
class Receipt:
    """What became of a push. ack_seq: the beacon may forget everything up to it.

    stored, refused: what is kept and what is not, by number; stored may hold more than was pushed: what had waited.
    """

    ack_seq: int
    stored: dict[int, StoredProof]
    refused: dict[int, Outcome]


@dataclass(slots=True, kw_only=True)
class _Entry:
    """A push on its way. signed: those of its proofs whose signatures fit. gaps_filled: numbers that waited."""

    push: Push
    signed: Sequence[Submission] = ()
    stored: dict[int, StoredProof] = field(default_factory=dict)
    refused: dict[int, Outcome] = field(default_factory=dict)
    gaps_filled: list[int] = field(default_factory=list)

    def receipt(self, ack_seq: int) -> Receipt:
        return Receipt(ack_seq=ack_seq, stored=self.stored, refused=self.refused)


async def take_in_proofs(
    pushes: Sequence[Push], *, keys: BeaconKeys, open_book: OpenProofBook
) -> list[Receipt | ProblemError]:
    """Check and keep pushed proofs, in one transaction; nothing is handed over yet. Safe to repeat.

    A proof is judged once. Returned for a push: NotFoundError("not_found") when its beacon is unknown in the
    pusher's school.
    """
    known = await keys.find_all(_wanted(pushes))
    answers = [_refuse(push, known) for push in pushes]
    entries = {at: _Entry(push=push) for at, push in enumerate(pushes) if answers[at] is None}
    if entries:
        await _check_signatures(entries.values(), known)
        async with open_book() as book:
            ack_seqs = await _keep(list(entries.values()), book)
        for at, entry in entries.items():
            ack_seq = ack_seqs.get(entry.push.key)
            answers[at] = NotFoundError("not_found") if ack_seq is None else entry.receipt(ack_seq)
    return [answer for answer in answers if answer is not None]


def _wanted(pushes: Sequence[Push]) -> Mapping[BeaconId, Collection[str]]:
    wanted: defaultdict[BeaconId, set[str]] = defaultdict(set)
    for push in pushes:
        beacon_id, kid = push.key
        wanted[beacon_id].add(kid)
        wanted[push.pushed_by].update()
    return wanted


def _refuse(push: Push, known: Mapping[BeaconId, KnownBeacon]) -> Receipt | ProblemError | None:
    """Answer a push that nothing more need be known of, None for any other."""
    beacon_id, kid = push.key
    beacon, pusher = known.get(beacon_id), known.get(push.pushed_by)
    if beacon is None or pusher is None or pusher.school_id != beacon.school_id:
        return NotFoundError("not_found")
    if kid not in beacon.keys:
        return Receipt(ack_seq=0, stored={}, refused={one.claim.seq: KEY_UNKNOWN for one in push.submissions})
    return None


async def _check_signatures(entries: Collection[_Entry], known: Mapping[BeaconId, KnownBeacon]) -> None:
    def fits(one: Submission) -> bool:
        return is_signed(one.message, one.signature, parse_key(known[one.claim.beacon_id].keys[one.claim.kid]))

    def check(some: Sequence[Submission]) -> list[bool]:
        return [fits(one) for one in some]

    every = [one for entry in entries for one in entry.push.submissions]
    if len(every) < MANY:
        found = check(every)
    else:
        share = max(SHARE, -(-len(every) // CHECKING_THREADS))
        shares = [every[start : start + share] for start in range(0, len(every), share)]
        found = [fit for some in await asyncio.gather(*(asyncio.to_thread(check, s) for s in shares)) for fit in some]
    fit_in_order = iter(found)
    for entry in entries:
        fit = {id(one): next(fit_in_order) for one in entry.push.submissions}
        entry.signed = [one for one in entry.push.submissions if fit[id(one)]]
        entry.refused = {one.claim.seq: SIGNATURE_INVALID for one in entry.push.submissions if not fit[id(one)]}


async def _keep(entries: Sequence[_Entry], book: ProofBook) -> Mapping[KeyName, int]:
    """Judge and keep what is signed, each key's proofs by number; return the acknowledged numbers of known keys."""
    claims: defaultdict[KeyName, list[Claim]] = defaultdict(list)
    for entry in entries:
        claims[entry.push.key] += [one.claim for one in entry.signed]
    oldest = min(entry.push.cause.at for entry in entries)
    gathered = await book.gather(claims, since=oldest - KEPT)
    present = [entry for entry in entries if entry.push.key in gathered.facts]
    ledger = Ledger(gathered)
    for entry, one in _in_order(present):
        if not ledger.take(one, cause=entry.push.cause):
            entry.refused[one.claim.seq] = SEQ_CONFLICT
            continue
        entry.stored[one.claim.seq] = ledger.judged[one.key][one.claim.seq]
        if ledger.waits_for(one):
            entry.gaps_filled.append(one.claim.seq + 1)
    reached = {key: ledger.acknowledged(key) for key in gathered.facts}
    plain = {key: seq for key, seq in reached.items() if seq is not None}
    moved = {key: seq for key, seq in plain.items() if seq > gathered.facts[key].ack_seq}
    await book.keep(ledger.changes, moved)
    await _release(present, book)
    if others := [key for key, seq in reached.items() if seq is None]:
        plain |= await book.acknowledge(others, given_up_before=oldest - GAP_PATIENCE)
    return plain


def _in_order(entries: Sequence[_Entry]) -> list[tuple[_Entry, Submission]]:
    """Return signed proofs: keys as they came, a key's proofs by number, of one number the one that came first."""
    place: dict[KeyName, int] = {}
    for entry in entries:
        place.setdefault(entry.push.key, len(place))
    every = [(entry, one) for entry in entries for one in entry.signed]
    return sorted(every, key=lambda pair: (place[pair[1].key], pair[1].claim.seq))


async def _release(entries: Sequence[_Entry], book: ProofBook) -> None:
    """Judge what waited for these proofs; whoever filled the gap hears of it, and whoever pushed it again."""
    for entry in entries:
        push = entry.push
        for seq in entry.gaps_filled:
            for proof in await judge_waiting(*push.key, seq, book=book, cause=push.cause):
                entry.stored[proof.seq] = proof
                for other in entries:
                    if other.push.key == push.key and proof.seq in other.stored:
                        other.stored[proof.seq] = proof
