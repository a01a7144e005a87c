"""The contracts still say everything that was agreed first, and the committed code is what they generate."""

import pathlib
import subprocess
import sys

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

ROOT = pathlib.Path(__file__).parents[2]
SEED = pathlib.Path(__file__).parent / "seed"
AGREED = ("academics", "attendance", "identity")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """`compiled(folder, file)`: what protoc reads in that file."""
    target = tmp_path_factory.mktemp("descriptors") / "set"

    def read(folder, file):
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", "-I", folder, f"--descriptor_set_out={target}", file],
            check=True,
        )
        [found] = FileDescriptorSet.FromString(target.read_bytes()).file
        return found

    return read


@pytest.mark.parametrize("name", AGREED)
def test_everything_that_was_agreed_first_is_still_there(name, compiled):
    agreed = facts(compiled(SEED, f"{name}.proto"))
    ours = facts(compiled(ROOT, f"contracts/rpc/{name}/api/v1/{name}.proto"))

    assert len(agreed) > 20
    assert agreed - ours == set()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("string school_id = 2;", "string school_id = 20;"),
        ("string school_id = 2;", "string school = 2;"),
        ("bool is_online = 6;", "optional bool is_online = 6;"),
        ("int64 closed_count = 1;", "int32 closed_count = 1;"),
        ("rpc GetCourse(", "rpc FindCourse("),
        ("returns (GetCourseResponse)", "returns (stream GetCourseResponse)"),
        ("package academics.api.v1;", "package academics.v1;"),
        ("repeated string matched_group_ids", "string matched_group_ids"),
    ],
)
def test_a_change_of_what_was_agreed_is_found(before, after, compiled, tmp_path):
    text = (SEED / "academics.proto").read_text()
    assert before in text
    (tmp_path / "academics.proto").write_text(text.replace(before, after, 1))

    changed = facts(compiled(tmp_path, "academics.proto"))

    assert facts(compiled(SEED, "academics.proto")) - changed != set()


def test_the_generated_code_is_what_the_contracts_generate():
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "contracts", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_contracts_keep_to_the_rules_of_buf():
    done = subprocess.run(
        [pathlib.Path(sys.executable).parent / "buf", "lint"],
        cwd=ROOT / "contracts/rpc",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def facts(file: FileDescriptorProto):
    """Everything that a client generated from `file` counts on, one tuple each."""
    found = {("package", file.package)}
    for message in file.message_type:
        found |= {("message", message.name)}
        found |= {("field", message.name, *field_facts(field)) for field in message.field}
    for enum in file.enum_type:
        found |= {("value", enum.name, value.name, value.number) for value in enum.value}
    for service in file.service:
        found |= {
            ("rpc", service.name, m.name, m.input_type, m.output_type, m.client_streaming, m.server_streaming)
            for m in service.method
        }
    return found


def field_facts(field: FieldDescriptorProto):
    label, kind = (field.Label.Name(field.label), field.Type.Name(field.type))
    return field.name, field.number, label, kind, field.type_name, field.proto3_optional, field.HasField("oneof_index")
