"""Problems over gRPC: the same class and code on both ends of a call."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio

from contracts.problems import DeadlineError, ProblemError, UnavailableError
from infra.problem_table import GRPC_STATUS, PROBLEM_BY_GRPC_STATUS
from infra.telemetry import logger

# The stubs are generic, the classes are not: hence strings.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# What gRPC itself refuses says so in a sentence.
SLUG = re.compile(r"[a-z][a-z0-9_]{2,63}")
# These blame this process, not whoever it is working for: to them it is an outage, never a refusal.
CALLED_WRONGLY = frozenset(("peer_unauthenticated", "peer_forbidden", "deadline_missing"))

log = logger(__name__)


@asynccontextmanager
async def problems_to_status(context: Context, method: str) -> AsyncIterator[None]:
    """Abort the call with the status and code of a ProblemError raised inside; a bug is logged and INTERNAL."""
    try:
        yield
    except ProblemError as problem:
        await context.abort(GRPC_STATUS[type(problem)], problem.code)
    except (grpc.aio.AbortError, grpc.aio.BaseError):
        raise
    except Exception:
        log.exception("call failed", action="bug", method=method)
        await context.abort(grpc.StatusCode.INTERNAL, "internal")


def to_problem(error: grpc.aio.AioRpcError, *, callee: str) -> ProblemError:
    """Return the problem that `callee` raised; anything else means `callee` is down."""
    kind, code = PROBLEM_BY_GRPC_STATUS.get(error.code()), error.details() or ""
    if kind is None or kind in (UnavailableError, DeadlineError) or not SLUG.fullmatch(code) or code in CALLED_WRONGLY:
        return UnavailableError(f"{callee}_down", code)
    return kind(code)
