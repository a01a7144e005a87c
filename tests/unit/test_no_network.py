"""The guard of the unit tests."""

import asyncio
import socket

import pytest


def test_a_unit_test_cannot_connect():
    with socket.socket() as one, pytest.raises(AssertionError):
        one.connect(("127.0.0.1", 9))


async def test_an_event_loop_still_works():
    assert await asyncio.to_thread(lambda: 1) == 1
