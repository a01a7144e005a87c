"""How the edge checks tokens; the services check them again, so this keeps out what is plainly not ours."""

from infra.envoy.limits import CALLER_HEADERS
from infra.envoy.replies import Json

# So long may a revoked key pass the edge. Envoy keeps the keys that it fetched ahead until it gets others, so they also
# outlast an outage of the issuer; only keys that a request had to wait for are dropped after this time.
KEYS_CACHE_S = 60
# A token lives for 600 s, and the issuer's clock may be ahead as far as ours may be behind.
LONGEST_LIFE_S = 660
# Checking a signature costs more than all else the edge does with a request. A remembered token still expires.
REMEMBERED_TOKENS = 4_096

# By kind of caller: issuer, audience, cluster and path of the keys.
KEYS: dict[str, tuple[str, str, str, str]] = {
    "person": ("rollcall-identity", "rollcall-api", "identity", "/.well-known/jwks.json"),
    "beacon": ("rollcall-beacon", "rollcall-beacon", "beacon", "/beacon/jwks.json"),
}


def providers(cache_s: int) -> Json:
    """Return Envoy's JwtProvider messages by kind of caller."""
    return {kind: provider(kind, cache_s) for kind in KEYS}


def provider(kind: str, cache_s: int) -> Json:
    """Return one JwtProvider."""
    issuer, audience, cluster, path = KEYS[kind]
    return {
        "issuer": issuer,
        "audiences": [audience],
        "forward": True,
        "require_expiration": True,
        "max_lifetime": f"{LONGEST_LIFE_S}s",
        "clock_skew_seconds": 30,
        # Without this line a token is also taken from the query, which ends in logs.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "remote_jwks": {
            "http_uri": {"uri": f"http://{cluster}{path}", "cluster": cluster, "timeout": "2s"},
            "cache_duration": f"{cache_s}s",
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "1s"},
        },
        "claim_to_headers": [{"claim_name": claim, "header_name": name} for claim, name in CALLER_HEADERS.items()],
        "jwt_cache_config": {"jwt_cache_size": REMEMBERED_TOKENS},
    }
