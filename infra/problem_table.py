"""Problems as HTTP and gRPC statuses: one table, both directions."""

from http import HTTPStatus

import grpc

from contracts.problems import (
    ConflictError,
    DeadlineError,
    ForbiddenError,
    InvalidInputError,
    MalformedError,
    NotAcceptableError,
    NotFoundError,
    PayloadTooLargeError,
    PreconditionFailedError,
    PreconditionRequiredError,
    ProblemError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedMediaError,
)

Code = grpc.StatusCode
# Where two kinds share a gRPC status, the first one is what a client raises.
TABLE: tuple[tuple[type[ProblemError], HTTPStatus, grpc.StatusCode], ...] = (
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY, Code.INVALID_ARGUMENT),
    (MalformedError, HTTPStatus.BAD_REQUEST, Code.INVALID_ARGUMENT),
    (UnauthenticatedError, HTTPStatus.UNAUTHORIZED, Code.UNAUTHENTICATED),
    (ForbiddenError, HTTPStatus.FORBIDDEN, Code.PERMISSION_DENIED),
    (NotFoundError, HTTPStatus.NOT_FOUND, Code.NOT_FOUND),
    (NotAcceptableError, HTTPStatus.NOT_ACCEPTABLE, Code.INVALID_ARGUMENT),
    (ConflictError, HTTPStatus.CONFLICT, Code.FAILED_PRECONDITION),
    (PreconditionFailedError, HTTPStatus.PRECONDITION_FAILED, Code.ABORTED),
    (PreconditionRequiredError, HTTPStatus.PRECONDITION_REQUIRED, Code.INVALID_ARGUMENT),
    (TooManyRequestsError, HTTPStatus.TOO_MANY_REQUESTS, Code.RESOURCE_EXHAUSTED),
    (PayloadTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Code.RESOURCE_EXHAUSTED),
    (UnsupportedMediaError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Code.INVALID_ARGUMENT),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE, Code.UNAVAILABLE),
    (DeadlineError, HTTPStatus.GATEWAY_TIMEOUT, Code.DEADLINE_EXCEEDED),
)
HTTP_STATUS = {kind: status for kind, status, _ in TABLE}
GRPC_STATUS = {kind: status for kind, _, status in TABLE}
PROBLEM_BY_GRPC_STATUS = {status: kind for kind, _, status in reversed(TABLE)}
