"""What makes a human look."""

from uuid import UUID

from beacon_svc.domain.proofs import AlertKind
from contracts.events.beacon import SecurityAlert
from contracts.events.envelope import Aggregate, Cause, Envelope, wrap
from contracts.ids import BeaconId, SchoolId, new_id


def alert_of(
    kind: AlertKind, *, beacon_id: BeaconId, school_id: SchoolId, proof_id: UUID | None, cause: Cause
) -> Envelope:
    """Return the alert in its envelope; each is an aggregate of its own, so alerts wait for nobody."""
    of = Aggregate(type="alert", id=new_id(), version=1, school_id=school_id)
    return wrap(SecurityAlert(beacon_id=beacon_id, kind=kind, proof_id=proof_id), id=new_id(), of=of, cause=cause)
