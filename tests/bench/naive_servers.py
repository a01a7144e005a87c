"""Baseline A's three servers: what somebody in a hurry would write, with the authentication and durability of ours.

A proof is checked, handed on by one RPC, validated by three more, and kept by four statements of one transaction.
Prints its port and serves until killed: `python -m tests.bench.naive_servers beacon|attendance|academics SETUP`.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from uuid import UUID, uuid5

import asyncpg
import uvloop
from aiohttp import hdrs, web
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict

from contracts.ids import new_id
from contracts.problems import ProblemError
from contracts.rpc.academics.api.v1 import academics_pb2 as academics
from contracts.rpc.academics.api.v1 import academics_pb2_grpc as academics_rpc
from contracts.rpc.attendance.api.v1 import attendance_pb2 as attendance
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as attendance_rpc
from infra.canon import canonical, from_spki, is_signed
from infra.clock import utc_now
from infra.grpc_client import Peer, connect
from infra.grpc_server import Identity, Register, build_server, start_server
from infra.tokens import BEACON_TOKEN, TokenVerifier

POOL_COUNT = 16
# An error would make the baseline worse than it is: it may take as long as it needs.
PATIENCE_S = 20.0
HOST = "127.0.0.1"
ADD_SIGNATURE = """
INSERT INTO naive_signature (id, course_id, subject_id, status, method, t, received_at, beacon_id, classroom_id, key)
VALUES ($1, $2, $3, 'ACCEPTED', 'FLASHLIGHT', $4, $4, $5, $6, $7)
"""
ADD_STUDENT = "INSERT INTO naive_student_signature (signature_id, uncertainty_ms, proof) VALUES ($1, $2, $3)"
ADD_TRANSITION = """
INSERT INTO naive_transition (signature_id, n, to_status, reason, actor_id, at)
VALUES ($1, 1, 'ACCEPTED', 'on_time', $2, $3)
"""
ADD_EVENT = "INSERT INTO naive_outbox (type, body) VALUES ('signature.accepted', $1)"


class Setup(BaseModel):
    """What a server is told. identity_folder: of the certificates. spki: hex, of the beacons' key and the tokens'."""

    identity_folder: Path
    database_url: str = ""
    next_port: int = 0
    kid: str = ""
    token_spki: str = ""
    beacon_spki: str = ""

    def identity(self, holder: str) -> Identity:
        folder = self.identity_folder
        return Identity(
            ca_file=folder / "ca.pem", cert_file=folder / f"{holder}.pem", key_file=folder / f"{holder}-key.pem"
        )


class Proof(BaseModel):
    """A signed proof."""

    model_config = ConfigDict(extra="ignore", strict=True)
    beacon_id: str
    kid: str
    boot: int
    seq: int
    code: int
    observed_at: int
    uptime_ms: int
    sync_age_ms: int | None
    prev: str
    sig: str

    @property
    def message(self) -> bytes:
        age = "-" if self.sync_age_ms is None else self.sync_age_ms
        clocks = (self.observed_at, self.uptime_ms, age)
        return canonical(
            "att.flash-proof.v1", self.beacon_id, self.kid, self.boot, self.seq, self.code, *clocks, self.prev
        )


class OneKey:
    """Satisfies tokens.KeySource."""

    def __init__(self, kid: str, key: ec.EllipticCurvePublicKey) -> None:
        self._kid, self._key = kid, key

    async def find(self, kid: str) -> ec.EllipticCurvePublicKey | None:
        return self._key if kid == self._kid else None


class NaiveBeacon:
    """Checks the token and the proof, then asks attendance. Who blinked is derived from the code, not looked up."""

    def __init__(self, setup: Setup, desk: attendance_rpc.AttendanceCommandServiceStub) -> None:
        keys = OneKey(setup.kid, from_spki(bytes.fromhex(setup.token_spki)))
        self._tokens = TokenVerifier(BEACON_TOKEN, keys, now=utc_now)
        self._key = from_spki(bytes.fromhex(setup.beacon_spki))
        self._desk, self._peer = desk, Peer("attendance")

    async def post_proof(self, request: web.Request) -> web.Response:
        try:
            caller = await self._tokens.verify(request.headers.get(hdrs.AUTHORIZATION, "").removeprefix("Bearer "))
            proof = Proof.model_validate_json(await request.read())
            if str(caller.id) != proof.beacon_id or not is_signed(proof.message, proof.sig, self._key):
                return web.json_response({"code": "forbidden"}, status=403)
            call = self._desk.CreateSignatureAttempt
            answer = await self._peer.ask(call, to_attempt(proof, caller.id), timeout_s=PATIENCE_S)
        except ProblemError as problem:
            return web.json_response({"code": problem.code}, status=503)
        return web.json_response({"seq": proof.seq, "signature_id": answer.signature_id, "status": "ACCEPTED"})


def to_attempt(proof: Proof, beacon_id: UUID) -> attendance.CreateSignatureAttemptRequest:
    """Fill in the contract that the product's services have too."""
    now = utc_now()
    course_id, student_id, classroom_id = (
        str(uuid5(beacon_id, f"{what}{proof.code}")) for what in ("course", "student", "room")
    )
    return attendance.CreateSignatureAttemptRequest(
        course_id=course_id,
        student_id=student_id,
        method=attendance.SIGNATURE_METHOD_FLASHLIGHT,
        beacon_proof=attendance.BeaconProof(
            beacon_id=proof.beacon_id,
            classroom_id=classroom_id,
            proof_type="buzzLightyear",
            proof_payload=proof.message + b"\n" + proof.sig.encode(),
            proof_time=now,
        ),
        received_at=now,
        idempotency_key=f"{proof.beacon_id}/{proof.kid}/{proof.seq}",
    )


class NaiveAttendance(attendance_rpc.AttendanceCommandServiceServicer):
    """Asks academics three questions, one after the other, and keeps the signature by four statements."""

    def __init__(self, pool: asyncpg.Pool, questions: academics_rpc.AcademicsQueryServiceStub) -> None:
        self._pool, self._questions, self._peer = pool, questions, Peer("academics")

    async def CreateSignatureAttempt(self, request, context) -> attendance.CreateSignatureAttemptResponse:  # noqa: N802
        questions, room = self._questions, request.beacon_proof.classroom_id
        ids = {"course_id": request.course_id}
        await self._ask(questions.GetCourse, academics.GetCourseRequest(**ids))
        student = academics.ValidateStudentCourseRequest(student_id=request.student_id, **ids)
        is_allowed = (await self._ask(questions.ValidateStudentCourse, student)).is_allowed
        place = academics.ValidateClassroomCourseRequest(classroom_id=room, **ids)
        is_linked = (await self._ask(questions.ValidateClassroomCourse, place)).is_linked
        if not (is_allowed and is_linked):
            return attendance.CreateSignatureAttemptResponse(status=attendance.SIGNATURE_STATUS_REFUSED)
        signature_id = await self._keep(request)
        return attendance.CreateSignatureAttemptResponse(
            signature_id=str(signature_id), status=attendance.SIGNATURE_STATUS_ACCEPTED, reason="on_time"
        )

    async def _ask(self, call, question: Message) -> Message:
        return await self._peer.ask(call, question, timeout_s=PATIENCE_S)

    async def _keep(self, request: attendance.CreateSignatureAttemptRequest) -> UUID:
        signature_id, proof, now = new_id(), request.beacon_proof, utc_now()
        beacon_id, course_id, student_id = map(UUID, (proof.beacon_id, request.course_id, request.student_id))
        room, key = UUID(proof.classroom_id), request.idempotency_key
        async with self._pool.acquire() as connection, connection.transaction():
            row = (signature_id, course_id, student_id, now, beacon_id, room, key)
            await connection.execute(ADD_SIGNATURE, *row)
            await connection.execute(ADD_STUDENT, signature_id, 0, proof.proof_payload)
            await connection.execute(ADD_TRANSITION, signature_id, beacon_id, now)
            event = Event(id=str(signature_id), course_id=request.course_id, student_id=request.student_id, key=key)
            await connection.execute(ADD_EVENT, event.model_dump_json().encode())
        return signature_id


class Event(BaseModel):
    """What is told of a signature."""

    id: str
    course_id: str
    student_id: str
    key: str
    status: str = "ACCEPTED"


class NaiveAcademics(academics_rpc.AcademicsQueryServiceServicer):
    """Says yes without looking anything up, which flatters the baseline."""

    async def GetCourse(self, request, context) -> academics.GetCourseResponse:  # noqa: N802 -- as generated
        course = academics.Course(id=request.course_id, name="Course", start_at=utc_now(), end_at=utc_now())
        return academics.GetCourseResponse(course=course)

    async def ValidateStudentCourse(self, request, context) -> Message:  # noqa: N802
        return academics.ValidateStudentCourseResponse(is_allowed=True)

    async def ValidateClassroomCourse(self, request, context) -> Message:  # noqa: N802
        return academics.ValidateClassroomCourseResponse(is_linked=True, course_has_rooms=True)


async def beacon(setup: Setup) -> None:
    identity = setup.identity("beacon")
    async with connect(f"{HOST}:{setup.next_port}", callee="attendance", identity=identity) as channel:
        app = web.Application()
        door = NaiveBeacon(setup, attendance_rpc.AttendanceCommandServiceStub(channel))
        app.router.add_post("/beacon/proofs", door.post_proof)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        await serve(runner.addresses[0][1])


async def desk(setup: Setup) -> None:
    identity = setup.identity("attendance")
    async with (
        asyncpg.create_pool(setup.database_url, min_size=POOL_COUNT, max_size=POOL_COUNT) as pool,
        connect(f"{HOST}:{setup.next_port}", callee="academics", identity=identity) as channel,
    ):
        servicer = NaiveAttendance(pool, academics_rpc.AcademicsQueryServiceStub(channel))
        register = partial(attendance_rpc.add_AttendanceCommandServiceServicer_to_server, servicer)
        await serve_rpc(register, setup, "attendance")


async def school(setup: Setup) -> None:
    register = partial(academics_rpc.add_AcademicsQueryServiceServicer_to_server, NaiveAcademics())
    await serve_rpc(register, setup, "academics")


async def serve_rpc(register: Register, setup: Setup, holder: str) -> None:
    server, _ = build_server([register], service=holder)
    await serve(await start_server(server, setup.identity(holder), host=HOST, port=0))


async def serve(port: int) -> None:
    print(port, flush=True)  # noqa: T201 -- the parent reads it
    await asyncio.Event().wait()


SERVERS: dict[str, Callable[[Setup], Awaitable[None]]] = {"beacon": beacon, "attendance": desk, "academics": school}

if __name__ == "__main__":
    uvloop.run(SERVERS[sys.argv[1]](Setup.model_validate_json(sys.argv[2])))
