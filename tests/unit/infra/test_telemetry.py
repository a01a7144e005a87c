"""A line of the log is one JSON object that says who wrote it, for which request."""

import asyncio
import io
import json
import subprocess
import sys
from uuid import UUID

from infra.request_context import RequestContext
from infra.telemetry import Lines, RequestLog

PROGRAM = """
from uuid import UUID
from infra.request_context import serving
from infra.telemetry import configure_logs, logger

configure_logs("beacon", "info")
log = logger("here")
log.debug("not asked for", action="none")
log.info("outside", action="start", odd=UUID(int=1))
with serving(request_id="request-1", traceparent=None, limit_s=None):
    log.info("inside", action="request", text="ü\\n")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed", action="bug")
"""


def test_lines_tell_service_request_and_fault():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    outside, inside, failed = map(json.loads, run.stderr.splitlines())
    common = {"service": "beacon", "module": "here", "level": "info"}
    assert outside.items() >= (common | {"event": "outside", "action": "start", "odd": repr(UUID(int=1))}).items()
    assert "request_id" not in outside
    assert inside.items() >= (common | {"event": "inside", "request_id": "request-1", "text": "ü\n"}).items()
    assert len(inside["trace_id"]) == 32
    assert inside["timestamp"].endswith("Z")
    assert (failed["level"], failed["action"]) == ("error", "bug")
    assert "ZeroDivisionError" in failed["exception"]


class Written(io.StringIO):
    """Counts how often the system is asked to write."""

    flush_count = 0

    def flush(self):
        self.flush_count += 1


CONTEXT = RequestContext("request-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None)


async def test_requests_of_one_turn_are_written_together_when_it_is_over():
    written = Written()
    requests = RequestLog(Lines(written), "beacon")

    for status in (200, 404):
        requests.add(CONTEXT, "GET", "/rooms/{room_id}" if status == 200 else None, status, 7)
    before = written.getvalue()
    await asyncio.sleep(0)

    first, second = map(json.loads, written.getvalue().splitlines())
    assert (before, written.flush_count) == ("", 1)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "request served", "action": "request", "level": "info", "module": "infra.http_server",
        "service": "beacon", "method": "GET", "route": "/rooms/{room_id}", "status": 200, "elapsed_ms": 7,
        "request_id": "request-1", "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }  # fmt: skip
    assert (second["route"], second["status"]) == (None, 404)


async def test_a_line_that_does_not_wait_takes_those_that_do_along():
    written = Written()
    lines = Lines(written)

    lines.write_soon("request 1\n")
    lines.write("fault\n")
    lines.flush()
    lines.write_soon("request 2\n")
    await asyncio.sleep(0)

    assert written.getvalue().splitlines() == ["request 1", "fault", "request 2"]
