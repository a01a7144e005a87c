"""The public keys of beacons, without locks."""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Mapping

from beacon_svc.ports import KnownBeacon
from contracts.ids import BeaconId
from infra.postgres import Pool, connection

MOST_BEACONS = 10_000

LIST_PUBLIC_KEYS = """
SELECT b.id, b.school_id, k.kid, k.spki
FROM beacon AS b LEFT JOIN LATERAL (SELECT * FROM beacon_key WHERE beacon_id = b.id OFFSET 0) AS k ON true
WHERE b.id = ANY($1)
"""


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
