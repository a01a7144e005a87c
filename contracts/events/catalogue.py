"""Every event that any service publishes, by wire name."""

from contracts.events import academics, attendance, beacon, identity
from contracts.events.envelope import Event


def _concrete(module: object) -> list[type[Event]]:
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Event)]
    return [event for event in found if "type" in vars(event)]


EVENTS: dict[str, type[Event]] = {
    event.type: event for module in (identity, academics, attendance, beacon) for event in _concrete(module)
}
