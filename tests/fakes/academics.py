"""What academics_svc sees of other services, in memory."""

from contracts.problems import UnavailableError


class KnownPeople:
    """Satisfies ports.People. known: id → (type, school). disabled: ids. asked: how often."""

    def __init__(self):
        self.known, self.disabled, self.is_down, self.asked = {}, set(), False, 0

    async def find_kinds(self, user_ids, *, school_id):
        self.asked += 1
        if self.is_down:
            raise UnavailableError("identity_down")
        here = {id_: kind for id_, (kind, school) in self.known.items() if school == school_id}
        return {id_: here[id_] for id_ in user_ids if id_ in here}

    async def may_enter(self, user_id, kind, *, school_id):
        kinds = await self.find_kinds([user_id], school_id=school_id)
        return kinds.get(user_id) == kind and user_id not in self.disabled


class KnownBeacons:
    """Satisfies ports.BeaconDirectory. known: room → school."""

    def __init__(self):
        self.known, self.is_down = {}, False

    async def has_beacons(self, classroom_id, *, school_id):
        if self.is_down:
            raise UnavailableError("beacon_down")
        return self.known.get(classroom_id) == school_id
