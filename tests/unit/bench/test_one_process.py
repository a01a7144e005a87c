from contracts.rpc.attendance.api.v1 import attendance_pb2 as attendance
from contracts.rpc.attendance.api.v1 import attendance_pb2_grpc as attendance_rpc
from tests.bench.one_process import FunctionCalls


class Desk(attendance_rpc.AttendanceCommandServiceServicer):
    async def CreateSignatureAttempt(self, request, context):  # noqa: N802 -- as generated
        reason = request.student_id + str(context.invocation_metadata())
        return attendance.CreateSignatureAttemptResponse(reason=reason)


async def test_a_stub_calls_the_servicer_that_was_added_after_it_was_made():
    calls = FunctionCalls()
    stub = attendance_rpc.AttendanceCommandServiceStub(calls)
    attendance_rpc.add_AttendanceCommandServiceServicer_to_server(Desk(), calls)

    answer = await stub.CreateSignatureAttempt(
        attendance.CreateSignatureAttemptRequest(student_id="ada"), timeout=1.0, metadata=()
    )

    assert answer.reason == "ada()"
