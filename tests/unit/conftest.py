"""A unit test touches no network: connecting a socket is an error."""

import socket

import pytest


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("a unit test must not open a connection; see tests/fakes")

    # asyncio's own wake-up pair comes from socketpair(), which does not connect on Linux and macOS.
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
