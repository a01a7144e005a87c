"""beacon_svc hands in proofs over gRPC; attendance judges and keeps them."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from attendance_svc.grpc_api import AttendanceDesk
from contracts.ids import new_id
from contracts.problems import ProblemError
from contracts.rpc.attendance.api.v1 import attendance_pb2 as pb
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as rpc
from infra.grpc_problems import problems_to_status, to_problem
from tests.fakes.attendance import HOUR, MINUTE, NINE, a_plan

NOW = NINE + 5 * MINUTE


class Answering(grpc.aio.ServerInterceptor):
    """The part of the gate that speaks of problems; certificates are tested elsewhere."""

    async def intercept_service(self, continuation, details):
        handler = await continuation(details)

        async def call(request, context):
            async with problems_to_status(context, details.method):
                return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            call, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


class Beacon:
    def __init__(self, stub, school):
        self._stub, self._school = stub, school

    def request(self, at=NOW, **changes):
        usual = {
            "course_id": str(self._school.course.id),
            "student_id": str(uuid4()),
            "method": pb.SIGNATURE_METHOD_FLASHLIGHT,
            "beacon_proof": pb.BeaconProof(
                beacon_id=str(new_id()), proof_type="buzzLightyear", proof_payload=b"signed", proof_time=at
            ),
            "received_at": at,
            "idempotency_key": str(uuid4()),
            "acting_school_id": str(self._school.course.school_id),
        }
        return pb.CreateSignatureAttemptRequest(**(usual | changes))

    async def hand_in(self, request=None, **changes):
        request = request or self.request(**changes)
        try:
            return await self._stub.CreateSignatureAttempt(request, timeout=5)
        except grpc.aio.AioRpcError as error:
            raise to_problem(error, callee="attendance") from error

    async def hand_in_all(self, requests):
        answer = await self._stub.CreateSignatureAttempts(
            pb.CreateSignatureAttemptsRequest(attempts=requests), timeout=10
        )
        return list(answer.results)


@pytest.fixture
async def beacon(school):
    server = grpc.aio.server(interceptors=[Answering()])
    desk = AttendanceDesk(sources=school.sources, keep=school.keep, now=lambda: NOW)
    rpc.add_AttendanceCommandServiceServicer_to_server(desk, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Beacon(rpc.AttendanceCommandServiceStub(channel), school)
    await server.stop(None)


async def test_a_proof_in_time_is_accepted_and_announced(school, beacon):
    request = beacon.request()

    answer = await beacon.hand_in(request)

    assert (answer.status, answer.reason) == (pb.SIGNATURE_STATUS_ACCEPTED, "on_time")
    [(type_, body)] = await school.events()
    assert type_ == "signature.accepted"
    assert body["subject"] == f"signature/{answer.signature_id}"
    assert body["aggver"] == 1
    assert body["partitionkey"] == str(school.course.school_id)
    assert body["data"]["subject_id"] == request.student_id
    assert body["data"]["previous_status"] is None


@pytest.mark.parametrize(
    ("at", "status", "reason"),
    [
        (NINE - MINUTE, pb.SIGNATURE_STATUS_REFUSED, "too_early"),
        (NINE - 2 * HOUR, pb.SIGNATURE_STATUS_REFUSED, "too_early"),
        (NINE + 5 * MINUTE, pb.SIGNATURE_STATUS_ACCEPTED, "on_time"),
    ],
)
async def test_the_time_of_the_proof_decides(beacon, at, status, reason):
    answer = await beacon.hand_in(at=at)

    assert (answer.status, answer.reason) == (status, reason)


async def test_everything_about_a_decision_is_kept(school, beacon):
    answer = await beacon.hand_in()

    assert [await school.count(table) for table in ("signature", "student_signature", "proof")] == [1, 1, 1]
    row = await school.pool.fetchrow("SELECT * FROM signature_transition")
    assert (str(row["signature_id"]), row["n"], row["from_status"], row["to_status"]) == (
        answer.signature_id,
        1,
        None,
        "ACCEPTED",
    )
    [(_, body)] = await school.events()
    assert body["data"]["transition_digest"] == row["digest"].hex()


async def test_a_repeat_gets_the_same_signature_and_is_kept_once(school, beacon):
    request = beacon.request()

    first, second = await beacon.hand_in(request), await beacon.hand_in(request)

    assert first == second
    assert await school.count("signature") == 1
    assert await school.news() == ["signature.accepted"]


async def test_a_repeat_is_answered_while_academics_is_away(school, beacon):
    request = beacon.request()
    first = await beacon.hand_in(request)
    school.directory.is_down = True

    assert await beacon.hand_in(request) == first


@pytest.mark.parametrize("change", ["student_id", "beacon_proof"])
async def test_a_key_serves_one_student_and_one_proof(school, beacon, change):
    request = beacon.request()
    await beacon.hand_in(request)
    other = {
        "student_id": str(uuid4()),
        "beacon_proof": pb.BeaconProof(beacon_id=str(new_id()), proof_payload=b"other", proof_time=NOW),
    }
    fields = {"student_id": request.student_id, "beacon_proof": request.beacon_proof} | {change: other[change]}

    with pytest.raises(ProblemError, match="idempotency_key_reused"):
        await beacon.hand_in(idempotency_key=request.idempotency_key, **fields)

    assert await school.count("signature") == 1


async def test_a_second_proof_of_a_student_who_stands_is_kept_and_answered_with_the_first(school, beacon):
    student_id = str(uuid4())
    first = await beacon.hand_in(student_id=student_id)
    request = beacon.request(student_id=student_id)

    answers = [await beacon.hand_in(request), await beacon.hand_in(request)]

    assert [(answer.signature_id, answer.reason) for answer in answers] == [(first.signature_id, "already_signed")] * 2
    assert await school.count("signature") == 2
    assert await school.news() == ["signature.accepted"]


async def test_the_earliest_time_with_the_best_status_wins(school, beacon):
    student_id = str(uuid4())
    school.directory.plan = a_plan(replace(school.course, closing_delay=3 * MINUTE))
    late = await beacon.hand_in(student_id=student_id, at=NINE + 4 * MINUTE)
    on_time = await beacon.hand_in(student_id=student_id, at=NINE + MINUTE)

    assert [late.reason, on_time.reason] == ["after_closing_delay", "on_time"]
    rows = await school.pool.fetch("SELECT id, status, superseded_by, version FROM signature ORDER BY t")
    assert [(row["status"], str(row["superseded_by"]), row["version"]) for row in rows] == [
        ("ACCEPTED", "None", 1),
        ("LATE", on_time.signature_id, 2),
    ]
    assert await school.news() == ["signature.late", "signature.superseded", "signature.accepted"]


async def test_a_refusal_does_not_burn_the_student(school, beacon):
    student_id = str(uuid4())
    refused = await beacon.hand_in(student_id=student_id, at=NINE - MINUTE)
    accepted = await beacon.hand_in(student_id=student_id)

    assert [refused.status, accepted.status] == [pb.SIGNATURE_STATUS_REFUSED, pb.SIGNATURE_STATUS_ACCEPTED]
    assert await school.news() == ["signature.refused", "signature.accepted"]


async def test_while_academics_is_away_nobody_is_refused(school, beacon):
    school.directory.is_down = True

    answer = await beacon.hand_in(at=NINE - HOUR)

    assert (answer.status, answer.reason) == (pb.SIGNATURE_STATUS_PENDING, "awaiting_validation")
    assert await school.news() == ["signature.pending"]


async def test_an_unknown_course_is_refused_and_kept(school, beacon):
    answer = await beacon.hand_in(course_id=str(new_id()))

    assert (answer.status, answer.reason) == (pb.SIGNATURE_STATUS_REFUSED, "course_unknown")
    assert await school.count("signature") == 1


async def test_a_client_of_the_seeds_contract_is_served(school, beacon):
    student_id = str(uuid4())
    request = pb.CreateSignatureAttemptRequest(
        course_id=str(school.course.id), student_id=student_id, method=pb.SIGNATURE_METHOD_BEACON
    )

    answers = [await beacon.hand_in(request), await beacon.hand_in(request)]

    assert [answer.status for answer in answers] == [pb.SIGNATURE_STATUS_ACCEPTED] * 2
    assert len({answer.signature_id for answer in answers}) == 1
    [(_, body)] = await school.events()
    assert body["partitionkey"] == str(school.course.school_id)


@pytest.mark.parametrize(
    ("courses", "status", "reason"),
    [
        (1, pb.SIGNATURE_STATUS_ACCEPTED, "on_time"),
        (0, pb.SIGNATURE_STATUS_REFUSED, "course_unknown"),
        (2, pb.SIGNATURE_STATUS_REFUSED, "course_unknown"),
        (None, pb.SIGNATURE_STATUS_PENDING, "awaiting_validation"),
    ],
)
async def test_without_a_course_the_proved_room_tells(school, beacon, courses, status, reason):
    found = {0: [], 1: [school.course.id], 2: [school.course.id, new_id()], None: None}
    school.timetable.courses = found[courses]
    proof = pb.BeaconProof(beacon_id=str(new_id()), classroom_id=str(new_id()), proof_time=NOW)

    answer = await beacon.hand_in(course_id="", beacon_proof=proof)

    assert (answer.status, answer.reason) == (status, reason)


async def test_without_course_and_room_there_is_no_course(beacon):
    answer = await beacon.hand_in(course_id="")

    assert (answer.status, answer.reason) == (pb.SIGNATURE_STATUS_REFUSED, "course_unknown")


async def test_a_device_that_was_not_the_students_is_refused(beacon):
    answer = await beacon.hand_in(device_verified=False)

    assert answer.reason == "device_not_bound"


async def test_uncertainty_and_flags_reach_the_decision(beacon):
    uncertain = pb.BeaconProof(beacon_id=str(new_id()), proof_time=NINE, uncertainty_ms=2_000)
    unknown = pb.BeaconProof(beacon_id=str(new_id()), proof_time=NOW, uncertainty_ms=2**63 - 1)
    flagged = pb.BeaconProof(beacon_id=str(new_id()), proof_time=NOW, flags=["chain_gap"])

    answers = [await beacon.hand_in(beacon_proof=proof) for proof in (uncertain, unknown, flagged)]

    assert [answer.reason for answer in answers] == ["clock_uncertain", "clock_uncertain", "proof_flagged"]


async def test_a_proof_from_the_future_is_refused_whatever_it_says_of_its_arrival(beacon):
    answer = await beacon.hand_in(at=NOW + 10 * MINUTE)

    assert answer.reason == "future_proof"


@pytest.mark.parametrize(
    "changes",
    [
        {"student_id": ""},
        {"student_id": "A" * 32},
        {"course_id": "no"},
        {"method": pb.SIGNATURE_METHOD_UNSPECIFIED},
        {"method": pb.SIGNATURE_METHOD_TEACHER},
        {"method": pb.SIGNATURE_METHOD_ADMIN},
        {"method": 77},
        {"teacher_id": str(uuid4())},
        {"administrator_id": str(uuid4())},
        {"idempotency_key": "with space"},
        {"idempotency_key": "k" * 129},
        {"acting_school_id": "{0}"},
        {"received_at": NINE - 365 * 24 * HOUR * 10},
        {"beacon_proof": pb.BeaconProof(beacon_id="x")},
        {"beacon_proof": pb.BeaconProof(classroom_id="x")},
        {"beacon_proof": pb.BeaconProof(uncertainty_ms=-1)},
        {"beacon_proof": pb.BeaconProof(flags=["Not A Flag"])},
        {"beacon_proof": pb.BeaconProof(flags=["a"] * 17)},
        {"beacon_proof": pb.BeaconProof(proof_payload=b"x" * 16_385)},
        {"beacon_proof": pb.BeaconProof(proof_time=NINE + 11 * 366 * 24 * HOUR)},
        {"beacon_proof": pb.BeaconProof(proof_time=Timestamp(seconds=2**62))},
    ],
)
async def test_a_malformed_request_is_refused_and_nothing_is_kept(school, beacon, changes):
    with pytest.raises(ProblemError, match="malformed_field"):
        await beacon.hand_in(**changes)

    assert await school.count("signature") == 0


async def test_a_batch_is_bounded(school, beacon):
    request = beacon.request()

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await beacon.hand_in_all([request] * 513)

    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert await school.count("signature") == 0


async def test_of_attempts_at_the_same_moment_one_stands(school, beacon):
    student_id = str(uuid4())

    answers = await asyncio.gather(*(beacon.hand_in(student_id=student_id) for _ in range(6)))

    assert len({answer.signature_id for answer in answers}) == 1
    assert sorted(answer.reason for answer in answers) == ["already_signed"] * 5 + ["on_time"]
    assert await school.count("signature") == 6
    assert await school.news() == ["signature.accepted"]


async def test_equal_requests_at_the_same_moment_are_one(school, beacon):
    request = beacon.request()

    answers = await asyncio.gather(*(beacon.hand_in(request) for _ in range(6)))

    assert len({answer.signature_id for answer in answers}) == 1
    assert await school.count("signature") == 1


async def test_in_a_batch_each_attempt_stands_or_falls_by_itself(school, beacon):
    good, malformed = beacon.request(), beacon.request(student_id="nobody")
    early = beacon.request(at=NINE - MINUTE)

    results = await beacon.hand_in_all([good, malformed, early, good])

    assert [result.WhichOneof("result") for result in results] == ["response", "problem", "response", "response"]
    assert [result.response.reason for result in results] == ["on_time", "", "too_early", "on_time"]
    assert (results[1].problem.code, results[1].problem.grpc_status) == ("malformed_field", 3)
    assert results[0].response == results[3].response


async def test_a_room_full_of_students_in_one_batch(school, beacon):
    results = await beacon.hand_in_all([beacon.request() for _ in range(100)])

    assert {result.response.reason for result in results} == {"on_time"}
    assert len({result.response.signature_id for result in results}) == 100
