"""Failures a caller can see: one class per kind, one code per case, every code listed here with its title."""


class ProblemError(Exception):
    """A failure with a stable, wire-visible `code` in snake_case ("beacon_unknown").

    extra: more members of the problem document, JSON values only, never secrets or echoed input.
    """

    def __init__(self, code: str, detail: str = "", **extra: str | int | list[str]) -> None:
        super().__init__(detail or code)
        self.code = code
        self.extra = extra


class MalformedError(ProblemError):
    """The request cannot be read at all (400)."""


class UnauthenticatedError(ProblemError):
    """Nobody vouches for the caller (401)."""


class ForbiddenError(ProblemError):
    """The caller is known and may not do this (403)."""


class NotFoundError(ProblemError):
    """The named thing is not there, or not for this caller (404)."""


class ConflictError(ProblemError):
    """A true request at the wrong moment (409)."""


class PreconditionFailedError(ProblemError):
    """The caller saw another version than the current one (412)."""


class PreconditionRequiredError(ProblemError):
    """The caller must say which version it saw (428)."""


class PayloadTooLargeError(ProblemError):
    """The body is larger than this door takes (413)."""


class UnsupportedMediaError(ProblemError):
    """The body is not of a kind this door reads (415)."""


class InvalidInputError(ProblemError):
    """The request was read and can never succeed as sent (422)."""


class TooManyRequestsError(ProblemError):
    """The caller is over its limit and may come back later (429)."""


class UnavailableError(ProblemError):
    """A dependency is down; the caller may retry (503)."""


class DeadlineError(ProblemError):
    """The time for this request ran out; whether it was done is unknown (504)."""


# Every code that leaves a door as a problem. The reasons of refusals are in attendance_svc/domain.py.
TITLES: dict[str, str] = {
    # what every door can say
    "malformed_json": "The body is not strict JSON",
    "malformed_body": "The body has fields of the wrong kind",
    "malformed_query": "The query has parameters of the wrong kind",
    "malformed_path": "The path is not one this door serves",
    "malformed_field": "A field of the message has the wrong form",
    "malformed_header": "A header has the wrong form",
    "malformed_cursor": "The cursor was not made by this list",
    "unsupported_media_type": "Only application/json is read here",
    "body_too_large": "The body is larger than this door takes",
    "route_unknown": "There is nothing here",
    "method_not_allowed": "This method is not served here",
    "not_found": "There is no such thing",
    "token_missing": "A bearer token is needed",
    "token_invalid": "The token is not valid",
    "token_expired": "The token has expired",
    "token_revoked": "The token was revoked",
    "keys_unavailable": "Tokens cannot be checked right now",
    "forbidden": "The caller may not do this",
    "version_required": "If-Match with the version seen is needed",
    "version_stale": "Somebody changed this since it was read",
    "idempotency_key_reused": "The idempotency key belongs to another request",
    "request_in_progress": "The same request is being served right now",
    "rate_limited": "Too many requests",
    "overloaded": "Too many requests are in flight",
    "deadline_missing": "A call must carry a deadline",
    "deadline_exceeded": "The time for this request ran out",
    "database_down": "The database cannot be reached right now",
    "peer_unauthenticated": "The calling service is not known",
    "peer_forbidden": "The calling service may not call this",
    "internal": "Something failed here",
    # what the edge itself says
    "malformed_request": "The request is not well-formed HTTP",
    "headers_too_large": "The headers are larger than this door takes",
    "request_too_slow": "The request took too long to arrive",
    "upstream_down": "The service behind this door cannot be reached right now",
    "identity_down": "identity_svc cannot be reached right now",
    "academics_down": "academics_svc cannot be reached right now",
    "attendance_down": "attendance_svc cannot be reached right now",
    "beacon_down": "beacon_svc cannot be reached right now",
    # requests signed by a student's device
    "device_signature_missing": "This request must be signed by the student's device",
    "device_signature_invalid": "The device's signature does not fit this request",
    "device_clock_skew": "The device's clock is too far from the server's",
    "device_not_bound": "The device is not bound to this student",
    "replay": "This signed request was already used",
    # the log
    "log_down": "The log cannot be read right now",
    "shard_unknown": "There is no such shard",
    "log_truncated": "The log no longer holds these positions",
    "log_forked": "The log does not continue what the caller has",
    "log_reincarnated": "The log was started anew",
}
