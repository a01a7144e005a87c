"""What a beacon says: I read this code then. And the names and hashes that follow from it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from beacon_svc.domain.clock_model import Reading
from contracts.ids import BeaconId
from contracts.values import value

PROOF_TAG = "att.flash-proof.v1"
GENESIS_TAG = "att.flash-genesis.v1"
# Drawn once; must never change: it names every proof for ever.
PROOF_NAMESPACE = UUID("6f1d0f0e-6d57-5f0e-9c39-0a7a3c2f4b10")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ABSENT = "-"


@value
class Claim:
    """A pushed proof as the beacon signed it.

    seq: counts the proofs signed with key `kid`. code: 28 bits. observed_ms: Unix time by the beacon's clock.
    prev: SHA-256 of the previous proof's message, base64url. sync_age_ms: None when its clock was never set.
    """

    beacon_id: BeaconId
    kid: str
    boot: int
    seq: int
    code: int
    observed_ms: int
    uptime_ms: int
    sync_age_ms: int | None
    prev: str

    @property
    def id(self) -> UUID:
        """The name of this proof: the same for every repeat of it, end to end."""
        return uuid5(PROOF_NAMESPACE, f"{self.beacon_id}:{self.kid}:{self.seq}")

    @property
    def observed_at(self) -> datetime:
        """When, by the beacon's clock."""
        return EPOCH + timedelta(milliseconds=self.observed_ms)

    @property
    def reading(self) -> Reading:
        """What the beacon's clocks showed."""
        return Reading(
            boot=self.boot, uptime_ms=self.uptime_ms, observed_at=self.observed_at, sync_age_ms=self.sync_age_ms
        )

    def lines(self) -> list[str]:
        """Return the lines that the beacon signs."""
        age = ABSENT if self.sync_age_ms is None else self.sync_age_ms
        numbers = (self.boot, self.seq, self.code, self.observed_ms, self.uptime_ms, age)
        return [PROOF_TAG, str(self.beacon_id), self.kid, *map(str, numbers), self.prev]


def claim_of(message: bytes) -> Claim:
    """Return the claim that a stored message spells."""
    _tag, beacon_id, kid, boot, seq, code, observed_ms, uptime_ms, age, prev = message.decode("ascii").split("\n")
    return Claim(
        beacon_id=BeaconId(UUID(beacon_id)),
        kid=kid,
        boot=int(boot),
        seq=int(seq),
        code=int(code),
        observed_ms=int(observed_ms),
        uptime_ms=int(uptime_ms),
        sync_age_ms=None if age == ABSENT else int(age),
        prev=prev,
    )
