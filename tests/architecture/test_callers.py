"""The table of callers and the protos name the same calls."""

import importlib

from google.protobuf.descriptor import FileDescriptor

from contracts.rpc.callers import CALLERS, QUERIES
from tests.architecture.sources import ROOT

PROTOS = sorted((ROOT / "contracts/rpc").rglob("*.proto"))
# Served by the standard library of gRPC, not by a proto of ours.
HEALTH = {"grpc.health.v1.Health": {"Check", "Watch"}}


def test_every_call_of_every_proto_says_who_may_make_it():
    listed = {service: set(methods) for service, methods in CALLERS.items()}

    assert listed == services() | HEALTH


def test_no_call_is_closed_to_everybody():
    assert [f"{s}.{m}" for s, methods in CALLERS.items() for m, peers in methods.items() if not peers] == []


def test_clients_retry_exactly_what_is_not_a_command():
    commands = {service for service in services() if service.endswith("CommandService")}

    assert CALLERS.keys() - commands == QUERIES


def services():
    files: list[FileDescriptor] = [
        importlib.import_module(".".join(proto.relative_to(ROOT).with_suffix("").parts) + "_pb2").DESCRIPTOR
        for proto in PROTOS
    ]
    return {
        service.full_name: {method.name for method in service.methods}
        for file in files
        for service in file.services_by_name.values()
    }
