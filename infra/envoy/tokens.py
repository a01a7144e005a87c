"""How the edge checks tokens; the services check them again, so this keeps out what is plainly not ours."""

from infra.envoy.replies import Json

KEYS_CACHE_S = 300
# Envoy forgets keys that it cannot renew. A second provider with a long memory lets people work on while the issuer is
# away. It may take a token whose key was revoked since: the services, which hear of it within seconds, do not.
STANDBY_CACHE_S = 86_400
# Checking a signature costs more than all else the edge does with a request. A remembered token still expires.
REMEMBERED_TOKENS = 4_096

# By kind of caller: issuer, audience, cluster and path of the keys.
KEYS: dict[str, tuple[str, str, str, str]] = {
    "person": ("rollcall-identity", "rollcall-api", "identity", "/.well-known/jwks.json"),
    "beacon": ("rollcall-beacon", "rollcall-beacon", "beacon", "/beacon/jwks.json"),
}


def providers(cache_s: int) -> Json:
    """Return Envoy's JwtProvider messages by name."""
    made: dict[str, Json] = {}
    for kind in KEYS:
        made[kind] = provider(kind, cache_s)
        made[standby(kind)] = provider(kind, STANDBY_CACHE_S)
    return made


def any_of(kind: str) -> Json:
    """Return the requirement that a token of this kind holds, by fresh keys or else by remembered ones."""
    return {"requires_any": {"requirements": [{"provider_name": kind}, {"provider_name": standby(kind)}]}}


def standby(kind: str) -> str:
    """Return the name of the provider with the long memory."""
    return f"{kind}-standby"


def provider(kind: str, cache_s: int) -> Json:
    """Return one JwtProvider."""
    issuer, audience, cluster, path = KEYS[kind]
    return {
        "issuer": issuer,
        "audiences": [audience],
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": 30,
        # Without this line a token is also taken from the query, which ends in logs.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "remote_jwks": {
            "http_uri": {"uri": f"http://{cluster}{path}", "cluster": cluster, "timeout": "2s"},
            "cache_duration": f"{cache_s}s",
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "1s"},
        },
        "jwt_cache_config": {"jwt_cache_size": REMEMBERED_TOKENS},
    }
