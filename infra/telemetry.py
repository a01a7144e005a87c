"""Structured logs, one JSON object per line on stderr, and the metrics page."""

import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from prometheus_client import generate_latest

from infra.request_context import current

Log = structlog.stdlib.BoundLogger
Fields = MutableMapping[str, Any]


def configure_logs(service: str, level: str) -> None:
    """Send this process's logs, and those of its libraries, to stderr as JSON lines."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _adding(service),
            structlog.processors.format_exc_info,
            _to_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, format='{"level":"%(levelname)s","logger":"%(name)s"}', force=True)


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
