"""What beacon_svc needs from the outside, in its own words."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID

from beacon_svc.domain.beacons import Beacon, BeaconKey, Stay
from beacon_svc.domain.claims import Claim
from beacon_svc.domain.clock_model import Anchor
from beacon_svc.domain.proofs import AlertKind, Flag, FlashCode
from contracts.events.beacon import BeaconState
from contracts.events.envelope import Cause
from contracts.ids import BeaconId, ClassroomId, CourseId, DeviceId, SchoolId, StudentId
from contracts.values import value

PlaceKind = Literal["school", "classroom"]
ProofState = Literal["accepted", "held", "rejected"]


class BeaconRegistry(Protocol):
    """The beacons, inside the caller's transaction."""

    async def get(self, beacon_id: BeaconId, *, within: SchoolId | None) -> Beacon:
        """Return the beacon, locked against other changes. within: the caller's school, None for any.

        Raises: NotFoundError("not_found"), the same for an unknown beacon and one of another school.
        """
        ...

    async def add(self, beacon: Beacon, *, totp_key: bytes, announce: BeaconState, cause: Cause) -> bool:
        """Keep a new beacon with its news; False when its id is known already.

        Raises: ConflictError("serial_taken" | "key_taken").
        """
        ...

    async def save(self, beacon: Beacon, *, announce: BeaconState, cause: Cause) -> None:
        """Keep the changed beacon, its keys and its news; `version` is one higher than what `get` returned.

        Raises: ConflictError("key_taken").
        """
        ...

    async def move(self, beacon_id: BeaconId, classroom_id: ClassroomId | None, *, at: datetime) -> None:
        """End the beacon's stay where it is, and begin one in `classroom_id` unless that is None."""
        ...

    async def set_totp_key(self, beacon_id: BeaconId, key: bytes) -> None:
        """Replace the shared secret."""
        ...

    async def get_totp_key(self, beacon_id: BeaconId) -> bytes:
        """Return the shared secret (20 to 64 bytes)."""
        ...


# Opens the registry in a transaction: leaving commits, an exception rolls everything back.
OpenRegistry = Callable[[], AbstractAsyncContextManager[BeaconRegistry]]


class Places(Protocol):
    """Which schools and rooms there are (the copy of academics)."""

    async def has(self, kind: PlaceKind, id: UUID, *, school_id: SchoolId) -> bool:
        """Return whether that school has such a place, not retired. What was made a moment ago is waited for.

        Raises: UnavailableError("academics_down") while nobody can tell.
        """
        ...


class BeaconLogins(Protocol):
    """Who may log in, and who did, inside the caller's transaction."""

    async def find(self, beacon_id: BeaconId) -> Beacon | None:
        """Return the beacon, retired or not."""
        ...

    async def count_since(self, beacon_id: BeaconId, since: datetime) -> int:
        """Return how often it logged in since then."""
        ...

    async def keep_nonce(self, beacon_id: BeaconId, nonce: bytes, *, now: datetime, life: timedelta) -> bool:
        """Record the nonce; False when it was used before. Of equal ones exactly one wins."""
        ...

    async def add_anchor(self, beacon_id: BeaconId, anchor: Anchor) -> None:
        """Keep what the beacon's clocks showed."""
        ...

    async def alert(self, kind: AlertKind, beacon: Beacon, *, cause: Cause) -> None:
        """Announce that a human should look at the beacon."""
        ...


@value
class Report:
    """How a beacon is. queued_count: proofs not acknowledged. misread_count: damaged frames since it started."""

    boot: int
    uptime_ms: int
    queued_count: int
    misread_count: int
    battery_mv: int | None
    firmware: str | None


class BeaconReports(Protocol):
    """The newest report of each beacon."""

    async def keep(self, beacon_id: BeaconId, report: Report, *, at: datetime) -> None:
        """Replace the beacon's report."""
        ...


class FlashCodes(Protocol):
    """The issued codes, inside the caller's transaction."""

    async def lock(self) -> None:
        """Let everybody else who issues codes wait for this transaction. Comes before all the rest."""
        ...

    async def keep_nonces(
        self, nonces: Sequence[tuple[DeviceId, bytes]], *, now: datetime, life: timedelta
    ) -> Sequence[bool]:
        """Record the nonces of signed requests; False for what was used before. Of equal ones the first wins."""
        ...

    async def find(self, ids: Collection[UUID]) -> Mapping[UUID, FlashCode]:
        """Return those of these codes that were issued."""
        ...

    async def count_since(self, students: Collection[StudentId], since: datetime) -> Mapping[StudentId, int]:
        """Return how many codes each student was given since then."""
        ...

    async def add(self, codes: Sequence[FlashCode], *, quarantine: timedelta, since: datetime) -> Collection[UUID]:
        """Keep codes, all of other numbers, other students and one moment, and return the ids of those that were kept.

        The rest have a number that is in use or in quarantine. The student's codes issued since then end their life
        when the new one begins; what a beacon read before still counts.
        """
        ...


OpenCodes = Callable[[], AbstractAsyncContextManager[FlashCodes]]


@value
class Outcome:
    """What became of a proof. reason: attendance's once it is accepted. signature_*: set once it is accepted."""

    state: ProofState
    reason: str
    signature_id: UUID | None = None
    signature_status: str | None = None


@value
class StoredProof:
    """A proof as it was kept. message: what the beacon signed. digest: its SHA-256. signature: low s.

    What is not known is None. code_id to acting_school_id come from the code that it redeems. try_at: when a held
    proof is looked at again, None when only a human can help. version: counts its events.
    """

    id: UUID
    school_id: SchoolId
    beacon_id: BeaconId
    kid: str
    seq: int
    message: bytes
    digest: bytes
    signature: str
    received_at: datetime
    proved_at: datetime
    uncertainty: timedelta | None
    outcome: Outcome
    flags: tuple[Flag, ...] = ()
    classroom_id: ClassroomId | None = None
    code_id: UUID | None = None
    course_id: CourseId | None = None
    student_id: StudentId | None = None
    acting_school_id: SchoolId | None = None
    try_at: datetime | None = None
    try_count: int = 0
    version: int = 1


# A beacon and the name (kid) of one of its keys.
KeyName = tuple[BeaconId, str]


@value
class KnownBeacon:
    """What never changes about a beacon: whose it is, and its public keys (SPKI, DER) by kid, revoked or not."""

    school_id: SchoolId
    keys: Mapping[str, bytes]


class BeaconKeys(Protocol):
    """The public keys of beacons, without locks."""

    async def find_all(self, wanted: Mapping[BeaconId, Collection[str]]) -> Mapping[BeaconId, KnownBeacon]:
        """Return the known ones of these beacons, with the wanted keys (by kid) as far as there are any."""
        ...


@value
class ProofFacts:
    """What is known about some proofs of one key.

    beacon: with that key alone. totp_key: None unless the beacon must show codes. ack_seq: acknowledged so far. by_seq:
    stored proofs with the same numbers. digests: SHA-256 of stored proofs before these, by number. followed:
    those of these numbers after which another is stored. waiting: those stored after these that wait for them.
    """

    beacon: Beacon
    key: BeaconKey
    totp_key: bytes | None
    ack_seq: int
    by_seq: Mapping[int, StoredProof]
    digests: Mapping[int, bytes]
    followed: Collection[int]
    waiting: Collection[int]
    anchors: Sequence[Anchor]
    latest_anchor: Anchor | None
    stays: Sequence[Stay]


@value
class Gathered:
    """What is known about proofs of many keys. facts: unknown keys are absent. codes: by the beacons' school."""

    facts: Mapping[KeyName, ProofFacts]
    codes: Mapping[tuple[SchoolId, int], Sequence[FlashCode]]


@value
class Judged:
    """A new proof, or a held one judged again (`version` one higher). redeems: the code that it uses up."""

    proof: StoredProof
    redeems: FlashCode | None
    cause: Cause


@value
class Alarm:
    """A human should look at the beacon."""

    kind: AlertKind
    beacon: Beacon
    proof_id: UUID
    cause: Cause


@value
class Settlement:
    """What attendance said about a held proof. try_at: when it is asked again, None when it need not be."""

    proof_id: UUID
    outcome: Outcome
    try_at: datetime | None


class ProofBook(Protocol):
    """The proofs of beacons, inside the caller's transaction."""

    async def gather(self, claims: Mapping[KeyName, Sequence[Claim]], *, since: datetime) -> Gathered:
        """Lock the keys and the codes, and return what is known. since: codes issued before count no more."""
        ...

    async def keep(self, changes: Sequence[Judged | Alarm], acknowledged: Mapping[KeyName, int]) -> None:
        """Keep proofs and the codes they use up, and announce everything in this order.

        acknowledged: numbers that move with it, of keys that are locked.
        """
        ...

    async def acknowledge(self, keys: Sequence[KeyName], *, given_up_before: datetime) -> Mapping[KeyName, int]:
        """Move the acknowledged numbers as far as proofs are stored, and return them. The keys are locked.

        given_up_before: what a proof received before then still waits for counts as stored.
        """
        ...

    async def find(self, beacon_id: BeaconId, kid: str, seq: int) -> StoredProof | None:
        """Return a stored proof."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Keep what attendance said; a proof that is not held any more stays as it is."""
        ...

    async def claim_due(self, now: datetime, *, until: datetime, limit: int) -> list[StoredProof]:
        """Return held proofs whose time to be looked at has come, longest due first; others leave them until then."""
        ...


OpenProofBook = Callable[[], AbstractAsyncContextManager[ProofBook]]


@dataclass(frozen=True, slots=True)
class NotHandedIn:
    """Attendance did not take a proof. code: the problem. is_final: it never will."""

    code: str
    is_final: bool


@value
class HandedIn:
    """What attendance decided. status, reason: its own words."""

    signature_id: UUID
    status: str
    reason: str


class AttendanceDesk(Protocol):
    """Where verified proofs are handed in (attendance_svc, over gRPC)."""

    async def hand_in(self, proofs: Sequence[StoredProof]) -> list[HandedIn | NotHandedIn]:
        """Return what became of each, in order. Safe to repeat: a proof's id names it.

        An outage is an answer (`NotHandedIn`), never raised.
        """
        ...
