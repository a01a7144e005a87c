"""Structured logs, one JSON object per line on stderr, and the metrics page."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog
from prometheus_client import generate_latest

from infra.clock import utc_now
from infra.request_context import RequestContext, current

Log = structlog.stdlib.BoundLogger
Fields = MutableMapping[str, Any]


class Lines:
    """The log as a file whose lines may wait for each other until the turn of the loop is over."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: list[str] = []

    def write(self, text: str) -> None:
        """Keep `text` until it is flushed: behind what came before."""
        self._waiting.append(text)

    def write_soon(self, text: str) -> None:
        """Keep `text` until this turn of the loop is over: one call of the system does for all."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(text)

    def flush(self) -> None:
        """Write what is kept."""
        kept, self._waiting = self._waiting, []
        if kept:
            self._file.write("".join(kept))
            self._file.flush()


class RequestLog:
    """Writes a line for each request that was served: the fields are always the same, so they need no general form."""

    def __init__(self, lines: Lines, service: str) -> None:
        self._lines = lines
        self._begin = '{"event": "request served", "action": "request", "level": "info", '
        self._begin += f'"module": "infra.http_server", "service": {_encode(service)}, '

    def add(self, context: RequestContext, method: str, route: str | None, status: int, elapsed_ms: int) -> None:
        """Tell of a request. route: as it was declared, never the path: codes travel in paths."""
        self._lines.write_soon(
            f'{self._begin}"method": {_encode(method)}, "route": {_encode(route)}, "status": {status}, '
            f'"elapsed_ms": {elapsed_ms}, "timestamp": "{utc_now().isoformat()[:-6]}Z", '
            f'"request_id": "{context.request_id}", "trace_id": "{context.traceparent[3:35]}"}}\n'
        )


def configure_logs(service: str, level: str) -> None:
    """Send this process's logs, and those of its libraries, to stderr as JSON lines."""
    global _request_log  # noqa: PLW0603 -- of the whole process, like structlog's own configuration
    least, lines = getattr(logging, level.upper()), Lines(sys.stderr)
    _request_log = RequestLog(lines, service) if least <= logging.INFO else None
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _adding(service),
            structlog.processors.format_exc_info,
            _to_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=lines),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format='{"level":"%(levelname)s","logger":"%(name)s"}', force=True)


_request_log: RequestLog | None = None


def request_log() -> RequestLog | None:
    """Return where requests are told of, None where nobody asked for it."""
    return _request_log


def _adding(service: str) -> Callable[[object, str, Fields], Fields]:
    def add(_logger: object, _method: str, event: Fields) -> Fields:
        event["service"] = service
        if context := current():
            event["request_id"] = context.request_id
            event["trace_id"] = context.traceparent[3:35]
        return event

    return add


# Made once: structlog's own renderer makes an encoder for every line.
_encode = json.JSONEncoder(default=repr).encode


def _to_line(_logger: object, _method: str, event: Fields) -> str:
    return _encode(event)


def logger(name: str) -> Any:  # noqa: ANN401 -- structlog's own type
    """Return the logger of a module. Every line carries `action=<word>`."""
    return structlog.get_logger(module=name)


def metrics_page() -> bytes:
    """Return what Prometheus reads."""
    return generate_latest()
