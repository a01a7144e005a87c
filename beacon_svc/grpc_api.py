"""gRPC door of beacon_svc: what other services ask about beacons."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from beacon_svc.queries.beacons import BeaconFilter, list_beacons
from beacon_svc.queries.nfc import NfcQuestion, NfcSighting, verify_nfc_code
from contracts.ids import ClassroomId, SchoolId, canonical_uuid
from contracts.problems import InvalidInputError
from contracts.rpc.beacon.api.v1 import beacon_pb2 as pb
from contracts.rpc.beacon.api.v1 import beacon_pb2_grpc as rpc
from infra.clock import Clock
from infra.grpc_problems import Context
from infra.postgres import Connection
from infra.secret_box import SecretBox

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
MOST_AHEAD = timedelta(days=3650)
MAX_SERIAL_CHARS = 64
# A room has a few; the bound keeps an answer small whatever was entered.
MOST_BEACONS = 200


class BeaconQueries(rpc.BeaconQueryServiceServicer):
    """Serves `beacon.api.v1.BeaconQueryService`. Queries only: asking changes nothing."""

    def __init__(
        self, *, open_reading: Callable[[], AbstractAsyncContextManager[Connection]], box: SecretBox, now: Clock
    ) -> None:
        self._open_reading, self._box, self._now = open_reading, box, now

    async def VerifyNfcCode(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.VerifyNfcCodeRequest, context: Context
    ) -> pb.VerifyNfcCodeResponse:
        """See beacon.proto. A wrong code is an answer, never an error."""
        if not request.HasField("at") or not 0 < len(request.serial) <= MAX_SERIAL_CHARS or "\0" in request.serial:
            raise InvalidInputError("malformed_field")
        question = NfcQuestion(
            serial=request.serial,
            code=request.code,
            at=self._moment(request.at),
            school_id=_school(request.acting_school_id),
        )
        async with self._open_reading() as connection:
            found = await verify_nfc_code(connection, question, box=self._box)
        if not isinstance(found, NfcSighting):
            return pb.VerifyNfcCodeResponse(is_valid=False, reason=found)
        room = "" if found.classroom_id is None else str(found.classroom_id)
        return pb.VerifyNfcCodeResponse(
            is_valid=True, beacon_id=str(found.beacon_id), classroom_id=room, step=found.step
        )

    async def ListBeaconsByClassroom(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.ListBeaconsByClassroomRequest, context: Context
    ) -> pb.ListBeaconsByClassroomResponse:
        """See beacon.proto."""
        wanted = BeaconFilter(
            classroom_id=ClassroomId(_id(request.classroom_id)), school_id=_school(request.acting_school_id)
        )
        async with self._open_reading() as connection:
            found = await list_beacons(connection, wanted, after=None, limit=MOST_BEACONS)
        return pb.ListBeaconsByClassroomResponse(
            beacons=[
                pb.BeaconLite(
                    id=str(beacon.id),
                    school_id=str(beacon.school_id),
                    classroom_id=str(beacon.classroom_id),
                    serial=beacon.serial,
                )
                for beacon in found
            ]
        )

    def _moment(self, stamp: Timestamp) -> datetime:
        try:
            at = stamp.ToDatetime(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise InvalidInputError("malformed_field") from error
        if not EARLIEST <= at <= self._now() + MOST_AHEAD:
            raise InvalidInputError("malformed_field")
        return at


def _school(text: str) -> SchoolId | None:
    return SchoolId(_id(text)) if text else None


def _id(text: str) -> UUID:
    try:
        return canonical_uuid(text)
    except ValueError as error:
        raise InvalidInputError("malformed_field") from error
