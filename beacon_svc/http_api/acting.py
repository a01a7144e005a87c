"""Who causes a change, and in which school they may."""

from datetime import datetime

from contracts.events.envelope import Cause
from contracts.ids import SchoolId
from infra.request_context import current
from infra.tokens import Caller


def cause_of(caller: Caller, *, now: datetime) -> Cause:
    """Return who and what makes a change happen, for its events."""
    context = current()
    return Cause(
        at=now,
        actor_type=caller.type,
        actor_id=caller.id,
        request_id=context.request_id if context else None,
        traceparent=context.traceparent if context else None,
    )


def scope_of(caller: Caller) -> SchoolId | None:
    """Return the school whose beacons the caller may see, None for every school (developers)."""
    return SchoolId(caller.school_id) if caller.school_id is not None else None
