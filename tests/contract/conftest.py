"""What every contract suite needs."""

import pytest

from infra.grpc_client import Peer


@pytest.fixture(autouse=True)
def patient_queries(monkeypatch):
    """Ask for up to five seconds: what is promised is the answer, and a busy machine connects in more than 300 ms."""
    monkeypatch.setitem(Peer.ask.__kwdefaults__, "timeout_s", 5.0)
