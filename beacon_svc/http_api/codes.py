"""The door through which a student's phone gets a code to blink."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from beacon_svc.commands.codes import CodeRequest
from beacon_svc.domain.proofs import FlashCode
from contracts.ids import CourseId, DeviceId, SchoolId, StudentId, new_id
from contracts.problems import ForbiddenError
from infra.clock import Clock
from infra.device_requests import SignedRequest, check, read_signed_request
from infra.http_bodies import Answer, Body, Id, NoQuery
from infra.http_routes import AnyRoute, Call, Reply, Route
from infra.optical_frame import SYMBOLS_PER_S, encode
from infra.student_devices import GrpcStudentDevices
from infra.tokens import CallerType

STUDENTS: frozenset[CallerType] = frozenset(("student",))


class CodeBody(Body):
    """JSON of POST /beacon/flash-codes."""

    course_id: Id


class CodeAnswer(Answer):
    """A code to blink. expires_in: seconds. symbols: "1" for light; symbol_hz of them a second."""

    code: int
    expires_in: int
    symbols: str
    symbol_hz: int = SYMBOLS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeParts:
    """What the door needs. issue: gives a code, together with others. origin: what phones sign for."""

    issue: Callable[[CodeRequest], Awaitable[FlashCode]]
    devices: GrpcStudentDevices
    origin: str
    now: Clock


class CodeApi:
    """Routes for students."""

    def __init__(self, parts: CodeParts) -> None:
        self._parts = parts

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        return [
            Route(
                method="POST",
                path="/beacon/flash-codes",
                handler=self.post_code,
                who=STUDENTS,
                body=CodeBody,
                answer=CodeAnswer,
                status=201,
                summary="Get a code to blink before a beacon; the request is signed by the student's device",
            )
        ]

    async def post_code(self, call: Call[CodeBody, NoQuery]) -> Reply:
        caller = call.caller
        if caller.school_id is None:
            raise ForbiddenError("forbidden")
        student_id = StudentId(caller.id)
        signed = read_signed_request(call.request.headers, method="POST", path=call.request.raw_path, body=call.raw)
        await self._check_device(signed, student_id)
        request = CodeRequest(
            id=new_id(),
            school_id=SchoolId(caller.school_id),
            student_id=student_id,
            device_id=DeviceId(signed.device_id),
            course_id=CourseId(call.body.course_id),
            nonce=signed.nonce,
        )
        code = await self._parts.issue(request)
        life = code.expires_at - code.issued_at
        answer = CodeAnswer(code=code.code, expires_in=int(life.total_seconds()), symbols=encode(code.code))
        return Reply(status=201, body=answer, headers={"Cache-Control": "no-store"})

    async def _check_device(self, signed: SignedRequest, student_id: StudentId) -> None:
        key = await self._parts.devices.find_key(student_id, signed.device_id, kid=signed.kid)
        if key is None:
            raise ForbiddenError("device_not_bound")
        check(signed, key, origin=self._parts.origin, person_id=student_id, now=self._parts.now())
