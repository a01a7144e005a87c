"""A line of the log is one JSON object that says who wrote it, for which request."""

import json
import subprocess
import sys
from uuid import UUID

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
