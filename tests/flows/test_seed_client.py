"""The seed's contract is intact: a client made from the seed's protos alone gets right answers from every RPC."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.envoy.routes import SERVICES

HERE = Path(__file__).parent
SEED = HERE.parent / "contract" / "seed"


@pytest.fixture
def generated(tmp_path):
    """A folder with the code that grpc_tools makes from the seed's own protos."""
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", SEED, f"--python_out={tmp_path}"]
    protos = sorted(SEED.glob("*.proto"))
    subprocess.run([*command, f"--grpc_python_out={tmp_path}", *protos], check=True, capture_output=True)
    return tmp_path


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_every_call_of_the_seed_gets_a_right_answer(world, generated):
    course, student = await world.day.plan("For the seed's client"), world.day.students[11]
    place = world.stage.services.stack.place
    given = {
        "addresses": {name: f"127.0.0.1:{place.doors[name].grpc}" for name in SERVICES},
        "certificates": str(place.certificates),
        "course_id": course,
        "school_id": str(world.day.id),
        "student_id": str(student.id),
        "teacher_id": str(world.day.teacher.id),
        "classroom_id": str(world.day.rooms["main"]),
        "beacon_id": str(world.day.beacons["main"].id),
        "device_id": str(student.phone.device_id),
    }

    said = await ask(generated, given)

    assert said["GetCourse"]["course"]["id"] == course
    assert said["GetCourse"]["course"]["school_id"] == str(world.day.id)
    assert said["GetCourse"]["course"]["signature_closing_delay_minutes"] == 15
    assert said["ValidateTeacherCourse"] == {"is_assigned": True}
    assert said["ValidateStudentCourse"] == {
        "is_allowed": True,
        "matched_group_ids": [str(world.day.groups["main"])],
    }
    assert said["ValidateClassroomCourse"]["is_linked"] is True
    assert said["GetSchoolPreferences"]["preferences"]["default_signature_closing_delay_minutes"] == 15
    assert said["CloseExpiredCourses"].keys() <= {"closed_count"}
    assert said["CreateSignatureAttempt"]["status"] == "SIGNATURE_STATUS_ACCEPTED"
    assert said["GetUserLite"]["user"]["user_type"] == "student"
    assert said["Exists"] == {"exists": True}
    assert said["ValidateStudentDevice"]["is_valid"] is True


async def ask(generated, given):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        HERE / "seed_client.py",
        env={"PYTHONPATH": str(generated)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate(json.dumps(given).encode())
    assert process.returncode == 0, complaint.decode()
    return json.loads(out)
