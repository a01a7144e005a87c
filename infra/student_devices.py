"""Whose phone is whose: asked of identity_svc for many at once, and remembered for a minute."""

from collections.abc import Sequence
from uuid import UUID

import grpc.aio

from contracts.problems import ProblemError, UnavailableError
from contracts.rpc.identity.api.v1 import identity_pb2 as identity
from contracts.rpc.identity.api.v1 import identity_pb2_grpc as identity_rpc
from infra.coalescer import Coalescer
from infra.device_requests import DeviceKey
from infra.grpc_client import Peer
from infra.identity_news import DeviceMemory

# identity_svc takes up to 500.
PER_CALL = 256
# A student and what is said to be the student's phone.
Pair = tuple[UUID, UUID]


class GrpcStudentDevices:
    """Asks identity_svc for the keys of phones. A room that signs at once is asked about in a few calls.

    known: what is remembered for a minute, or until a request names another key.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._peer = Peer("identity")
        self._stub = identity_rpc.IdentityQueryServiceStub(channel)
        self._asking: Coalescer[Pair, DeviceKey | None] = Coalescer(self._ask, max_batch_count=PER_CALL)
        self.known = DeviceMemory[DeviceKey]()

    async def find_key(self, student_id: UUID, device_id: UUID, *, kid: str) -> DeviceKey | None:
        """Return the key of that student's phone, None when it is not theirs. kid: the key that the request names.

        Raises: UnavailableError("identity_down").
        """
        known = self.known.find(student_id, device_id)
        if known is not None and known.kid == kid:
            return known
        return await self._asking.submit((student_id, device_id))

    async def _ask(self, pairs: Sequence[Pair]) -> Sequence[DeviceKey | UnavailableError | None]:
        mark = self.known.mark()
        request = identity.ValidateStudentDevicesRequest(
            devices=[
                identity.ValidateStudentDeviceRequest(student_id=str(student_id), device_identifier=str(device_id))
                for student_id, device_id in pairs
            ]
        )
        try:
            answer = await self._peer.ask(self._stub.ValidateStudentDevices, request)
        except ProblemError as error:
            # What it refuses is our fault or its own, never the phone's.
            raise UnavailableError("identity_down", error.code) from error
        if len(answer.devices) != len(pairs):
            raise UnavailableError("identity_down", "malformed answer")
        return [self._heard(*pair, device, mark) for pair, device in zip(pairs, answer.devices, strict=True)]

    def _heard(
        self, student_id: UUID, device_id: UUID, device: identity.ValidateStudentDeviceResponse, mark: int
    ) -> DeviceKey | UnavailableError | None:
        if not device.is_valid:
            self.known.forget(student_id, device_id)
            return None
        try:
            key = DeviceKey.of(device.public_key)
        except ValueError:
            return UnavailableError("identity_down", "malformed answer")
        self.known.keep(student_id, device_id, key, mark=mark)
        return key
