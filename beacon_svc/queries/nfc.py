"""Whether an NFC code is one that a beacon showed at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from beacon_svc.domain.beacons import Stay, room_at
from beacon_svc.domain.clock_model import Anchor, typical_offset
from beacon_svc.domain.nfc import MAX_OFFSET, find_step
from contracts.ids import BeaconId, ClassroomId, SchoolId
from infra.postgres import Connection
from infra.secret_box import SecretBox

NfcRefusal = Literal["nfc_serial_unknown", "nfc_code_invalid"]

FIND = """
SELECT id, totp_key_sealed FROM beacon
WHERE serial = $1 AND nfc_profile = 'totp-v1' AND ($2::uuid IS NULL OR school_id = $2)
  AND (retired_at IS NULL OR retired_at > $3)
"""
LIST_ANCHORS = """
SELECT boot, uptime_ms, told_at, server_at FROM beacon_anchor
WHERE beacon_id = $1 AND server_at <= $2 ORDER BY server_at DESC LIMIT 5
"""
LIST_STAYS = """
SELECT classroom_id, assigned_from AS since, assigned_to AS until FROM beacon_assignment
WHERE beacon_id = $1 AND assigned_from <= $2 AND (assigned_to IS NULL OR assigned_to > $2)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NfcSighting:
    """A code that was right. classroom_id: where the beacon stood, None when in no room. step: of 15 s."""

    beacon_id: BeaconId
    classroom_id: ClassroomId | None
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NfcQuestion:
    """A code that somebody read off the beacon of that serial at `at`. school_id: others' beacons are unknown."""

    serial: str
    code: str
    at: datetime
    school_id: SchoolId | None


async def verify_nfc_code(connection: Connection, question: NfcQuestion, *, box: SecretBox) -> NfcSighting | NfcRefusal:
    """Return what a right code shows, or why it is not right. Asking uses nothing up."""
    row = await connection.fetchrow(FIND, question.serial, question.school_id, question.at)
    if row is None:
        return "nfc_serial_unknown"
    beacon_id = BeaconId(row["id"])
    anchors = [Anchor(**dict(anchor)) for anchor in await connection.fetch(LIST_ANCHORS, beacon_id, question.at)]
    offset = typical_offset([anchor.offset for anchor in anchors], most=MAX_OFFSET)
    key = box.open(row["totp_key_sealed"], about=f"beacon:{beacon_id}:totp")
    step = find_step(key, question.code, shown_at=question.at + offset)
    if step is None:
        return "nfc_code_invalid"
    stays = [Stay(**dict(stay)) for stay in await connection.fetch(LIST_STAYS, beacon_id, question.at)]
    return NfcSighting(beacon_id=beacon_id, classroom_id=room_at(stays, question.at), step=step)
