"""Beacons, one, by filter, or by room."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from beacon_svc.domain.beacons import Beacon, BeaconKey
from contracts.ids import BeaconId, ClassroomId, SchoolId
from contracts.problems import NotFoundError
from infra.postgres import Connection, Row, planned_anew

GET = """
SELECT id, school_id, serial, classroom_id, nfc_profile, totp_required, version, created_at, retired_at
FROM beacon WHERE id = $1 AND ($2::uuid IS NULL OR school_id = $2)
"""
LIST = """
SELECT id, school_id, serial, classroom_id, nfc_profile, totp_required, version, created_at, retired_at
FROM beacon
WHERE ($1::uuid IS NULL OR school_id = $1) AND ($2::uuid IS NULL OR classroom_id = $2)
  AND ($3::text IS NULL OR serial = $3) AND ($4::uuid IS NULL OR id > $4)
ORDER BY id LIMIT $5
"""
LIST_KEYS = """
SELECT beacon_id, kid, spki, not_before, not_after, revoked_at
FROM beacon_key WHERE beacon_id = ANY($1) ORDER BY not_before, kid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconFilter:
    """Which beacons are wanted; None: any."""

    school_id: SchoolId | None = None
    classroom_id: ClassroomId | None = None
    serial: str | None = None


async def get_beacon(connection: Connection, beacon_id: BeaconId, *, within: SchoolId | None) -> Beacon:
    """Return the beacon. within: the caller's school, None for any. Raises: NotFoundError("not_found")."""
    row = await connection.fetchrow(GET, beacon_id, within)
    if row is None:
        raise NotFoundError("not_found")
    return (await _with_keys(connection, [row]))[0]


async def list_beacons(connection: Connection, wanted: BeaconFilter, *, after: UUID | None, limit: int) -> list[Beacon]:
    """Return at most `limit` beacons in the order of their ids, those after `after`."""
    async with planned_anew(connection):
        rows = await connection.fetch(LIST, wanted.school_id, wanted.classroom_id, wanted.serial, after, limit)
    return await _with_keys(connection, rows)


async def _with_keys(connection: Connection, rows: Sequence[Row]) -> list[Beacon]:
    keys: dict[UUID, list[BeaconKey]] = {row["id"]: [] for row in rows}
    for key in await connection.fetch(LIST_KEYS, list(keys)):
        fields = dict(key)
        keys[fields.pop("beacon_id")].append(BeaconKey(**fields))
    return [Beacon(**dict(row), keys=tuple(keys[row["id"]])) for row in rows]
