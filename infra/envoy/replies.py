"""What the edge itself answers: problems, in the form and with the codes of the services."""

from typing import TypeAlias

from contracts.problems import TITLES

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | bool"

# Whose reason decides comes first: an outage of identity must not look like a bad token.
CODE_BY_DETAIL: tuple[tuple[str, int, str], ...] = (
    ("Jwks_remote_fetch_is_failed", 503, "keys_unavailable"),
    ("Jwt_is_missing", 401, "token_missing"),
    ("Jwt_is_expired", 401, "token_expired"),
    ("Audiences_in_Jwt_are_not_allowed", 401, "token_invalid"),
)
CODE_BY_STATUS: dict[int, str] = {
    400: "malformed_request",
    401: "token_invalid",
    403: "malformed_request",
    404: "route_unknown",
    408: "request_too_slow",
    413: "body_too_large",
    429: "rate_limited",
    431: "headers_too_large",
    501: "malformed_request",
    503: "upstream_down",
    504: "deadline_exceeded",
}
HEADER_BY_STATUS: dict[int, tuple[str, str]] = {
    401: ("www-authenticate", 'Bearer error="invalid_token"'),
    429: ("retry-after", "1"),
    503: ("retry-after", "1"),
}
# Who sent no token has made no error. Source: RFC 6750 section 3.1.
HEADER_BY_CODE: dict[str, tuple[str, str]] = {"token_missing": ("www-authenticate", "Bearer")}
# Envoy says 403 to whoever would speak another protocol, and 501 to a coding that nobody knows: no fault of ours.
STATUS_INSTEAD: dict[int, int] = {403: 400, 501: 400}


def local_replies() -> Json:
    """Return Envoy's LocalReplyConfig."""
    by_detail = [reply(detail_is(detail), status, code) for detail, status, code in CODE_BY_DETAIL]
    by_status = [
        reply(status_is("EQ", status), STATUS_INSTEAD.get(status, status), code)
        for status, code in CODE_BY_STATUS.items()
    ]
    other = reply(status_is("GE", 500), 503, "upstream_down")
    return {"mappers": [*by_detail, *by_status, other], "body_format": body("malformed_request")}


def reply(when: Json, status: int, code: str) -> Json:
    """Return a mapper that answers `status` and `code` when `when` holds."""
    mapper: dict[str, Json] = {"filter": when, "status_code": status, "body_format_override": body(code)}
    said = HEADER_BY_CODE.get(code) or HEADER_BY_STATUS.get(status)
    if said:
        header: Json = {"header": {"key": said[0], "value": said[1]}, "append_action": "ADD_IF_ABSENT"}
        mapper["headers_to_add"] = [header]
    return mapper


def body(code: str) -> Json:
    """Return the format of a problem. Source: RFC 9457."""
    return {
        "content_type": "application/problem+json",
        "json_format": {
            "type": f"urn:rollcall:problem:{code}",
            "title": TITLES[code],
            "status": "%RESPONSE_CODE%",
            "code": code,
            "request_id": "%REQ(X-REQUEST-ID)%",
        },
    }


def status_is(comparison: str, status: int) -> Json:
    """Return a filter on the status that Envoy was about to answer."""
    value: Json = {"default_value": status, "runtime_key": "edge.unused"}
    return {"status_code_filter": {"comparison": {"op": comparison, "value": value}}}


def detail_is(detail: str) -> Json:
    """Return a filter on why the token filter refused."""
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": f"response.code_details == 'jwt_authn_access_denied{{{detail}}}'",
            },
        }
    }
