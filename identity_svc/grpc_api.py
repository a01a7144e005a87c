"""gRPC door of identity_svc: parse, ask one query, answer."""

from collections.abc import Sequence
from uuid import UUID

from contracts.ids import canonical_uuid
from contracts.problems import InvalidInputError, NotFoundError
from contracts.rpc.identity.api.v1 import identity_pb2 as pb
from contracts.rpc.identity.api.v1 import identity_pb2_grpc as rpc
from identity_svc.domain.accounts import Account
from identity_svc.queries import find_account, list_accounts_by_id, list_usable_devices
from infra.grpc_problems import Context
from infra.grpc_server import peer_of
from infra.postgres import Pool, connection

MAX_USERS = 500
MAX_DEVICES = 500


class IdentityApi(rpc.IdentityQueryServiceServicer):
    """Serves `identity.api.v1.IdentityQueryService` to the other services."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def GetUserLite(  # noqa: N802 -- name fixed by the .proto
        self, request: pb.GetUserLiteRequest, context: Context
    ) -> pb.GetUserLiteResponse:
        """See identity.proto. Retired accounts are not found; the address is for operators only."""
        async with connection(self._pool) as lent:
            account = await find_account(lent, id_of(request.user_id, "user_id"))
        if account is None:
            raise NotFoundError("not_found")
        is_operator = peer_of(context.auth_context()) == "ops"
        return pb.GetUserLiteResponse(user=lite(account, email=account.email if is_operator else ""))

    async def Exists(self, request: pb.ExistsRequest, context: object) -> pb.ExistsResponse:  # noqa: N802
        """See identity.proto. Retired accounts do not exist; disabled ones do."""
        async with connection(self._pool) as lent:
            account = await find_account(lent, id_of(request.user_id, "user_id"))
        return pb.ExistsResponse(exists=account is not None)

    async def ValidateStudentDevice(  # noqa: N802
        self, request: pb.ValidateStudentDeviceRequest, context: object
    ) -> pb.ValidateStudentDeviceResponse:
        """See identity.proto. An identifier that is empty, or not one of ours, is not valid."""
        [device] = await self._validate([request])
        return device

    async def ValidateStudentDevices(  # noqa: N802
        self, request: pb.ValidateStudentDevicesRequest, context: object
    ) -> pb.ValidateStudentDevicesResponse:
        """See identity.proto."""
        if len(request.devices) > MAX_DEVICES:
            raise InvalidInputError("malformed_field", "devices")
        return pb.ValidateStudentDevicesResponse(devices=await self._validate(request.devices))

    async def _validate(
        self, wanted: Sequence[pb.ValidateStudentDeviceRequest]
    ) -> list[pb.ValidateStudentDeviceResponse]:
        pairs = [(id_of(one.student_id, "student_id"), device_id_of(one.device_identifier)) for one in wanted]
        async with connection(self._pool) as lent:
            keys = await list_usable_devices(lent, pairs)
        return [
            pb.ValidateStudentDeviceResponse(is_valid=True, device_id=str(pair[1]), public_key=keys[pair])
            if pair in keys
            else pb.ValidateStudentDeviceResponse(is_valid=False)
            for pair in pairs
        ]

    async def ListUsersLite(  # noqa: N802
        self, request: pb.ListUsersLiteRequest, context: object
    ) -> pb.ListUsersLiteResponse:
        """See identity.proto. Without addresses: these answers are for showing names."""
        if len(request.user_ids) > MAX_USERS:
            raise InvalidInputError("malformed_field", "user_ids")
        ids = [id_of(text, "user_ids") for text in request.user_ids]
        school_id = id_of(request.acting_school_id, "acting_school_id") if request.acting_school_id else None
        async with connection(self._pool) as lent:
            accounts = await list_accounts_by_id(lent, ids, school_id=school_id)
        return pb.ListUsersLiteResponse(users=[lite(account) for account in accounts])


def id_of(text: str, field: str) -> UUID:
    """Return the id that `text` spells. Raises: InvalidInputError("malformed_field")."""
    try:
        return canonical_uuid(text)
    except ValueError as error:
        raise InvalidInputError("malformed_field", field) from error


def device_id_of(text: str) -> UUID | None:
    """Return the device's id that `text` spells, None when it is none of ours."""
    try:
        return canonical_uuid(text)
    except ValueError:
        return None


def lite(account: Account, *, email: str = "") -> pb.UserLite:
    """Say in contract terms who somebody is."""
    return pb.UserLite(
        id=str(account.id),
        school_id=str(account.school_id) if account.school_id else "",
        email=email,
        firstname=account.firstname,
        lastname=account.lastname,
        user_type=account.type,
        disabled=account.disabled_at is not None,
    )
