"""How often one caller may ask for what; `routes.py` says which route asks for what."""

from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from infra.envoy.replies import Json

LimitName = Literal["proofs", "signing", "phones", "corrections", "lists", "names", "reports"]

# What the token filter writes into the request for this filter, and the router takes out again. From outside, headers
# of this kind do not come in.
CALLER_HEADERS: Final = {"sub": "x-user-id", "user_type": "x-user-type"}
# Callers remembered per limit, the last ones seen, at about 1 kB each. Whoever was forgotten begins anew.
REMEMBERED_CALLERS = 16_384
METADATA = "rollcall.limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many requests at once, and as many again evenly within the window. user_type: only of callers of this type."""

    count: int
    window_s: int
    of: Literal["beacon", "person", "student"] = "person"

    @property
    def wait_s(self) -> int:
        """Return after how many seconds one more is free."""
        return ceil(self.window_s / self.count)


LIMITS: dict[LimitName, Limit] = {
    # Ten a second, which is 600 a minute; over two seconds, because a network bunches what a beacon sends evenly.
    "proofs": Limit(count=20, window_s=2, of="beacon"),
    # Teachers and administrators mark whole classes through the same door.
    "signing": Limit(count=6, window_s=60, of="student"),
    # How many may succeed identity counts: one in seven days.
    "phones": Limit(count=3, window_s=60, of="student"),
    "corrections": Limit(count=120, window_s=60),
    "lists": Limit(count=60, window_s=60),
    "names": Limit(count=30, window_s=60),
    "reports": Limit(count=10, window_s=60),
}


def per_caller(factor: int, requests_per_second: int) -> Json:
    """Return Envoy's LocalRateLimit, which counts by the limit that the route names and by the token's subject.

    factor: multiplies every count. requests_per_second: of requests without a limit; those have passed it before.
    """
    always: Json = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "per_caller",
        "token_bucket": bucket(requests_per_second, 1),
        "always_consume_default_token_bucket": False,
        "filter_enabled": always,
        "filter_enforced": always,
        "max_dynamic_descriptors": REMEMBERED_CALLERS,
        "rate_limits": [{"actions": [of_route("limit"), *(of_header(name) for name in ("user_type", "sub"))]}],
        "descriptors": [descriptor(name, limit, factor) for name, limit in LIMITS.items()],
        "response_headers_to_add": [
            {"header": {"key": "retry-after", "value": f"%METADATA(ROUTE:{METADATA}:wait_s)%"}}
        ],
    }


def descriptor(name: LimitName, limit: Limit, factor: int) -> Json:
    """Return one limit; an entry without a value stands for each value by itself."""
    entries: list[Json] = [{"key": "limit", "value": name}]
    if limit.of != "beacon":
        entries.append({"key": "user_type", "value": "student"} if limit.of == "student" else {"key": "user_type"})
    entries.append({"key": "sub"})
    return {"entries": entries, "token_bucket": bucket(limit.count * factor, limit.window_s)}


def bucket(count: int, window_s: int) -> Json:
    """Return a TokenBucket."""
    return {"max_tokens": count, "tokens_per_fill": count, "fill_interval": f"{window_s}s"}


def of_route(key: str) -> Json:
    """Return the action that reads the route's metadata; a route that has none is not counted."""
    path: Json = {"key": METADATA, "path": [{"key": key}]}
    return {"metadata": {"descriptor_key": key, "metadata_key": path, "source": "ROUTE_ENTRY"}}


def of_header(claim: str) -> Json:
    """Return the action that reads a claim of the checked token. Beacons' tokens have no user type."""
    read: dict[str, Json] = {"header_name": CALLER_HEADERS[claim], "descriptor_key": claim}
    return {"request_headers": read | {"skip_if_absent": claim == "user_type"}}


def metadata(name: LimitName) -> Json:
    """Return what a route says of its limit."""
    return {"filter_metadata": {METADATA: {"limit": name, "wait_s": str(LIMITS[name].wait_s)}}}
