"""Make the edge's configuration: one template for the local stack and for containers.

`python -m infra.envoy.render` writes the one for containers, which is kept in `infra/docker/envoy.yaml`.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from infra.envoy.limits import CALLER_HEADERS, metadata, per_caller
from infra.envoy.replies import Json, local_replies
from infra.envoy.routes import ROUTES, SERVICES, Caller, Route, Service
from infra.envoy.tokens import KEYS, KEYS_CACHE_S, providers

TEMPLATE = Path(__file__).with_name("envoy.yaml.tmpl")
FILTER = "type.googleapis.com/envoy.extensions.filters.http."
# Each stream keeps a connection to its service. Envoy counts by priority: those that go on must not use up what others
# sign through. More than a service bears, so that it is the service that refuses.
STREAMS: Json = {"priority": "HIGH", "max_connections": 2_048, "max_requests": 2_048}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What differs between places.

    upstreams: host:port of each service's HTTP door. certificate: PEM files of chain and key; None speaks plain HTTP.
    requests_per_second: for everybody together. limits_times: multiplies what one caller may ask for.
    """

    port: int
    admin_port: int
    upstreams: dict[Service, str]
    address: str = "127.0.0.1"
    certificate: tuple[str, str] | None = None
    requests_per_second: int = 5_000
    limits_times: int = 1
    keys_cache_s: int = KEYS_CACHE_S


CONTAINERS = Edge(
    address="0.0.0.0",  # noqa: S104 -- the container's own network
    port=8443,
    admin_port=9901,
    upstreams={service: f"{service}:8080" for service in SERVICES},
    certificate=("/run/secrets/edge_certificate", "/run/secrets/edge_key"),
)


def render(edge: Edge) -> str:
    """Return the YAML that Envoy reads."""
    return Template(TEMPLATE.read_text()).substitute(
        address=edge.address,
        port=edge.port,
        admin_port=edge.admin_port,
        requests_per_second=edge.requests_per_second,
        limits_per_caller=flow(per_caller(edge.limits_times, edge.requests_per_second)),
        caller_headers=flow(list(CALLER_HEADERS.values())),
        providers=flow(providers(edge.keys_cache_s)),
        requirements=flow({kind: {"provider_name": kind} for kind in KEYS}),
        transport_socket=transport_socket(edge),
        local_replies=flow(local_replies()),
        routes=block([route(each) for each in ROUTES], indent=24),
        clusters=block([cluster(name, address) for name, address in edge.upstreams.items()], indent=4),
    )


def route(of: Route) -> Json:
    """Return Envoy's form of a route."""
    filters: dict[str, Json] = {"envoy.filters.http.jwt_authn": demand(of.caller)}
    if of.is_streamed:
        filters["envoy.filters.http.buffer"] = {"@type": f"{FILTER}buffer.v3.BufferPerRoute", "disabled": True}
    match: dict[str, Json] = {"safe_regex": {"regex": of.path}}
    if of.method:
        match["headers"] = [{"name": ":method", "string_match": {"exact": of.method}}]
    made: dict[str, Json] = {
        "name": of.name,
        "match": match,
        "route": {
            "cluster": of.to,
            "timeout": f"{of.timeout_s}s",
            "regex_rewrite": {"pattern": {"regex": of.rewrite.pattern}, "substitution": of.rewrite.into},
            **({} if of.timeout_s else {"priority": "HIGH"}),
        },
        "typed_per_filter_config": filters,
    }
    return made | {"metadata": metadata(of.limit)} if of.limit else made


def demand(caller: Caller) -> Json:
    """Return what the token filter demands on a route."""
    kind = f"{FILTER}jwt_authn.v3.PerRouteConfig"
    if caller == "anyone":
        return {"@type": kind, "disabled": True}
    return {"@type": kind, "requirement_name": caller}


def cluster(name: str, address: str) -> Json:
    """Return Envoy's form of a service: found by name, so an address that changes is followed."""
    host, port = address.rsplit(":", 1)
    endpoint: Json = {"address": {"socket_address": {"address": host, "port_value": int(port)}}}
    options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": name,
        "type": "STRICT_DNS",
        # A service that is gone refuses at once; this is for one that is busy.
        "connect_timeout": "3s",
        "per_connection_buffer_limit_bytes": 32_768,
        "circuit_breakers": {"thresholds": [{"max_connections": 512, "max_requests": 1_024}, STREAMS]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                # Less than the services' keep-alive of 30 s: otherwise a request may meet a connection that closes.
                "common_http_protocol_options": {"idle_timeout": "20s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }


def transport_socket(edge: Edge) -> str:
    """Return the line that asks for TLS 1.3, or nothing."""
    if edge.certificate is None:
        return ""
    chain, key = edge.certificate
    tls: Json = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"},
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificates": [
                    {"certificate_chain": {"filename": chain}, "private_key": {"filename": key}},
                ],
            },
        },
    }
    return f"transport_socket: {flow(tls)}"


def block(items: list[Json], *, indent: int) -> str:
    """Return a YAML list, one line per item, to be put `indent` columns deep."""
    return "".join(f"\n{' ' * indent}- {flow(item)}" for item in items)


def flow(value: Json) -> str:
    """Return `value` in one line: JSON is YAML."""
    return json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(render(CONTAINERS))
