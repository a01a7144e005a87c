"""The edge's configuration says what security.md asks, and Envoy takes it."""

import pathlib

import pytest
import yaml

from contracts.problems import TITLES
from infra.certs import renew
from infra.envoy.limits import LIMITS
from infra.envoy.render import CONTAINERS, Edge, render
from infra.envoy.replies import CODE_BY_DETAIL, CODE_BY_STATUS
from infra.envoy.routes import ROUTES, SERVICES
from infra.http_events import STREAM_LIMITS
from infra.local.envoy import validate

COMMITTED = pathlib.Path(__file__).parents[2] / "infra/docker/envoy.yaml"
LOCAL = Edge(port=8080, admin_port=9901, upstreams={service: "127.0.0.1:1" for service in SERVICES})


@pytest.fixture(scope="module")
def manager():
    """The settings of the HTTP connection manager."""
    listener = yaml.safe_load(render(LOCAL))["static_resources"]["listeners"][0]
    assert listener["per_connection_buffer_limit_bytes"] == 32_768
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def test_envoy_takes_the_local_configuration(tmp_path):
    file = tmp_path / "envoy.yaml"
    file.write_text(render(LOCAL))

    assert validate(file) == ""


def test_envoy_takes_the_configuration_of_the_containers(tmp_path):
    renew(tmp_path, holders=["identity"])
    file = tmp_path / "envoy.yaml"
    chain, key = CONTAINERS.certificate
    text = COMMITTED.read_text().replace(chain, f"{tmp_path}/identity.pem").replace(key, f"{tmp_path}/identity-key.pem")
    file.write_text(text)

    assert validate(file) == ""


def test_envoy_refuses_a_broken_configuration(tmp_path):
    file = tmp_path / "envoy.yaml"
    file.write_text(render(LOCAL).replace("jwt_authn.v3.PerRouteConfig", "jwt_authn.v3.Nothing"))

    assert validate(file) != ""


def test_the_configuration_of_the_containers_is_what_the_template_makes():
    assert COMMITTED.read_text() == render(CONTAINERS), "run: python -m infra.envoy.render > infra/docker/envoy.yaml"


def test_containers_speak_tls_1_3_and_nothing_older():
    chain = yaml.safe_load(COMMITTED.read_text())["static_resources"]["listeners"][0]["filter_chains"][0]

    tls = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert tls["tls_params"] == {"tls_minimum_protocol_version": "TLSv1_3"}


def test_limits_are_set(manager):
    assert manager["request_headers_timeout"] == "5s"
    assert manager["request_timeout"] == "15s"
    assert manager["stream_idle_timeout"] == "30s"
    assert manager["http2_protocol_options"]["max_concurrent_streams"] == 100
    assert {route["route"]["timeout"] for route in routes(manager)} == {"10s", "0s", "300s"}


def test_streams_keep_no_connections_from_others(manager):
    going_on = {route["name"] for route in routes(manager) if route["route"].get("priority") == "HIGH"}
    assert going_on == {route["name"] for route in routes(manager) if route["route"]["timeout"] == "0s"} == {"live"}
    for cluster in yaml.safe_load(render(LOCAL))["static_resources"]["clusters"]:
        others, streams = cluster["circuit_breakers"]["thresholds"]
        assert (others["max_connections"], streams["priority"]) == (512, "HIGH")
        assert streams["max_connections"] == streams["max_requests"] > 2 * STREAM_LIMITS.most_count


def test_a_quiet_stream_says_something_before_the_edge_takes_it_for_dead(manager):
    assert STREAM_LIMITS.heartbeat_s <= int(manager["stream_idle_timeout"].removesuffix("s")) / 2


def test_paths_have_one_spelling(manager):
    assert manager["normalize_path"] is manager["merge_slashes"] is True
    assert manager["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
    assert manager["common_http_protocol_options"]["headers_with_underscores_action"] == "REJECT_REQUEST"


def test_only_what_changes_nothing_is_sent_again_and_once(manager):
    policy = manager["route_config"]["virtual_hosts"][0]["retry_policy"]

    assert policy["num_retries"] == 1
    assert policy["retry_on"] == "connect-failure,refused-stream"
    assert policy["retriable_request_headers"] == [{"name": ":method", "string_match": {"exact": "GET"}}]
    assert not any("retry_policy" in route["route"] for route in routes(manager))


def test_every_route_states_whose_token_it_wants(manager):
    for route in routes(manager):
        demand = route["typed_per_filter_config"]["envoy.filters.http.jwt_authn"]
        assert demand.get("disabled") is True or demand["requirement_name"] in {"person", "beacon"}


def test_callers_are_counted_once_their_token_is_checked(manager):
    names = [filter_["name"] for filter_ in manager["http_filters"]]
    assert names.index("limits_per_caller") == names.index("envoy.filters.http.jwt_authn") + 1
    limits = manager["http_filters"][names.index("limits_per_caller")]["typed_config"]

    assert limits["max_dynamic_descriptors"] == 16_384
    assert limits["always_consume_default_token_bucket"] is False
    assert limits["filter_enabled"] == limits["filter_enforced"]
    assert {each["entries"][0]["value"]: each["token_bucket"] for each in limits["descriptors"]} == {
        "proofs": {"max_tokens": 20, "tokens_per_fill": 20, "fill_interval": "2s"},
        "signing": {"max_tokens": 6, "tokens_per_fill": 6, "fill_interval": "60s"},
        "phones": {"max_tokens": 3, "tokens_per_fill": 3, "fill_interval": "60s"},
        "corrections": {"max_tokens": 120, "tokens_per_fill": 120, "fill_interval": "60s"},
        "lists": {"max_tokens": 60, "tokens_per_fill": 60, "fill_interval": "60s"},
        "names": {"max_tokens": 30, "tokens_per_fill": 30, "fill_interval": "60s"},
        "reports": {"max_tokens": 10, "tokens_per_fill": 10, "fill_interval": "60s"},
    }
    assert {route.limit for route in ROUTES} == {None, *LIMITS}


def test_what_is_counted_by_is_written_by_the_edge_alone(manager):
    mutations = manager["early_header_mutation_extensions"][0]["typed_config"]["mutations"]
    assert {"remove_on_match": {"key_matcher": {"prefix": "x-user-", "ignore_case": True}}} in mutations
    assert manager["route_config"]["request_headers_to_remove"] == ["x-user-id", "x-user-type"]


def test_the_admin_page_is_on_loopback():
    for edge in (LOCAL, CONTAINERS):
        assert yaml.safe_load(render(edge))["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


def test_route_names_are_unique():
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def test_every_code_of_the_edge_has_a_title():
    assert {code for _, _, code in CODE_BY_DETAIL} | set(CODE_BY_STATUS.values()) <= set(TITLES)


def routes(manager):
    return manager["route_config"]["virtual_hosts"][0]["routes"]
