"""Events that beacon_svc publishes. Never codes, payloads, keys or secrets."""

from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime

from contracts.events.envelope import Event


class BeaconState(Event):
    """What the beacon events report: the beacon after the change. kids: 16 hex digits each, the active keys."""

    beacon_id: UUID
    school_id: UUID
    classroom_id: UUID | None
    retired: bool
    kids: list[str]


class BeaconProvisioned(BeaconState):
    """Said when a beacon was made known."""

    type: ClassVar[str] = "beacon.beacon.provisioned.v1"


class BeaconUpdated(BeaconState):
    """Said when a beacon's settings or its shared secret changed."""

    type: ClassVar[str] = "beacon.beacon.updated.v1"


class BeaconAssigned(BeaconState):
    """Said when a beacon was put into a room."""

    type: ClassVar[str] = "beacon.beacon.assigned.v1"


class BeaconUnassigned(BeaconState):
    """Said when a beacon was taken out of its room."""

    type: ClassVar[str] = "beacon.beacon.unassigned.v1"


class BeaconRetired(BeaconState):
    """Said when a beacon went out of service."""

    type: ClassVar[str] = "beacon.beacon.retired.v1"


class BeaconKeyRotated(BeaconState):
    """Said when a beacon got a new key."""

    type: ClassVar[str] = "beacon.beacon.key_rotated.v1"


class ProofState(Event):
    """What the proof events report. proved_at: the proof's effective time."""

    proof_id: UUID
    beacon_id: UUID
    classroom_id: UUID | None
    proved_at: AwareDatetime
    received_at: AwareDatetime


class ProofReceived(ProofState):
    """Said when a proof was verified and stored, before attendance judged it."""

    type: ClassVar[str] = "beacon.proof.received.v1"

    flags: list[str]


class ProofRejected(ProofState):
    """Said when a stored proof shows nobody's presence."""

    type: ClassVar[str] = "beacon.proof.rejected.v1"

    reason: str


class SecurityAlert(Event):
    """Said when something looks like a clone, a replay or a tampered clock; a human should look."""

    type: ClassVar[str] = "beacon.security.alert.v1"

    beacon_id: UUID
    kind: str
    proof_id: UUID | None
