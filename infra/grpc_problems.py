"""Problems over gRPC: the same class and code on both ends of a call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import grpc.aio

from contracts.problems import ProblemError, UnavailableError
from infra.problem_table import GRPC_STATUS, PROBLEM_BY_GRPC_STATUS
from infra.telemetry import logger

# The stubs are generic, the classes are not: hence strings.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

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
    """Return the problem that `callee` raised; anything unmapped means `callee` is down."""
    kind = PROBLEM_BY_GRPC_STATUS.get(error.code())
    if kind is None or error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return UnavailableError(f"{callee}_down", error.details() or "")
    return kind(error.details() or "internal")
