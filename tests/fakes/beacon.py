"""The services that beacon_svc calls, as far as their contracts go."""

from contextlib import asynccontextmanager
from uuid import NAMESPACE_URL, uuid5

from contracts.problems import InvalidInputError, UnavailableError
from contracts.rpc.attendance.api.v1 import attendance_pb2 as attendance
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as attendance_rpc
from contracts.rpc.identity.api.v1 import identity_pb2 as identity
from contracts.rpc.identity.api.v1 import identity_pb2_grpc as identity_rpc
from infra.grpc_server import Identity, build_server, start_server


class AttendancePeer(attendance_rpc.AttendanceCommandServiceServicer):
    """Accepts what it hears. down: answers nothing. unwanted: students whose attempts it calls malformed."""

    name = "attendance"
    register = staticmethod(attendance_rpc.add_AttendanceCommandServiceServicer_to_server)

    def __init__(self):
        self.heard, self.calls, self.down, self.unwanted = {}, 0, False, set()

    async def CreateSignatureAttempt(self, request, context):  # noqa: N802 -- as generated
        self.calls += 1
        return self._judge(request)

    async def CreateSignatureAttempts(self, request, context):  # noqa: N802 -- as generated
        self.calls += 1
        results = []
        for attempt in request.attempts:
            try:
                results.append(attendance.AttemptResult(response=self._judge(attempt)))
            except InvalidInputError as problem:
                faulty = attendance.AttemptProblem(grpc_status=3, code=problem.code)
                results.append(attendance.AttemptResult(problem=faulty))
        return attendance.CreateSignatureAttemptsResponse(results=results)

    def _judge(self, request):
        if self.down:
            raise UnavailableError("database_down")
        if request.student_id in self.unwanted:
            raise InvalidInputError("malformed_field")
        self.heard[request.idempotency_key] = request
        return attendance.CreateSignatureAttemptResponse(
            signature_id=str(uuid5(NAMESPACE_URL, request.idempotency_key)),
            status=attendance.SIGNATURE_STATUS_ACCEPTED,
            reason="on_time",
            rule_version=1,
        )


class IdentityPeer(identity_rpc.IdentityQueryServiceServicer):
    """Knows which device (student id, device id) has which public key. down: answers nothing. calls: of any size."""

    name = "identity"
    register = staticmethod(identity_rpc.add_IdentityQueryServiceServicer_to_server)

    def __init__(self):
        self.bound, self.calls, self.down = {}, 0, False

    async def ValidateStudentDevices(self, request, context):  # noqa: N802 -- as generated
        self.calls += 1
        if self.down:
            raise UnavailableError("database_down")
        return identity.ValidateStudentDevicesResponse(devices=map(self._validate, request.devices))

    def _validate(self, device):
        spki = self.bound.get((device.student_id, device.device_identifier))
        if spki is None:
            return identity.ValidateStudentDeviceResponse(is_valid=False)
        return identity.ValidateStudentDeviceResponse(
            is_valid=True, device_id=device.device_identifier, public_key=spki
        )


@asynccontextmanager
async def serving(peer, certificates):
    """Serve `peer` over mTLS under its own name; its `address` is where."""
    server, _status = build_server([lambda server: peer.register(peer, server)])
    own = Identity(
        ca_file=certificates / "ca.pem",
        cert_file=certificates / f"{peer.name}.pem",
        key_file=certificates / f"{peer.name}-key.pem",
    )
    peer.address = f"127.0.0.1:{await start_server(server, own, host='127.0.0.1', port=0)}"
    yield peer
    await server.stop(grace=0)
